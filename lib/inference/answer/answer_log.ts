import type { AnswerFormat, Tool } from "../../contracts/chat.ts";
import { DomainError } from "../../errors.ts";
import { validate } from "../../schema/validate.ts";
import type { ReadEnding, ReadEvent } from "./answer_reader.ts";
import type { CallListener } from "./call_scanner.ts";

const ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH = 24;

/** What an answer is held against at its end. */
export interface AnswerDemands {
  tools: readonly Tool[];
  format: AnswerFormat;
  /** An answer without a call is none. */
  mustCall: boolean;
}

/**
 * Collects the events of one answer, and checks at its end that calls and JSON are what was asked for. A call that its
 * schema does not accept is told all the same, since whoever executes it has to check it anyway; under `strict` it ends
 * the answer with `answer_invalid`.
 */
export class AnswerLog implements CallListener {
  /** Complete calls. */
  calls = 0;
  #events: ReadEvent[] = [];
  /** The call that is being written. */
  #call: { name: string; json: string } | null = null;
  #begun = 0;
  #text = "";
  #error: DomainError | null = null;

  constructor(private readonly demands: AnswerDemands) {}

  text(text: string): void {
    if (text === "") return;
    if (this.demands.format.type !== "text") this.#text += text;
    this.#add({ type: "text", text });
  }

  reasoning(text: string): void {
    if (text !== "") this.#add({ type: "reasoning", text });
  }

  onName(name: string): void {
    this.#call = { name, json: "" };
    this.#add({ type: "tool_call", index: this.#begun++, id: drawCallId(), name });
  }

  onArguments(json: string): void {
    if (this.#call !== null) this.#call.json += json;
    this.#add({ type: "tool_arguments", index: this.#begun - 1, text: json });
  }

  /** The call is complete. */
  endCall(): void {
    if (this.#call === null) return;
    this.calls++;
    const { name, json } = this.#call;
    this.#call = null;
    const tool = this.demands.tools.find((tool) => tool.name === name);
    if (tool === undefined || !tool.strict) return;
    const problem = findProblem(json, tool.parameters);
    if (problem !== null) this.#fail(`The model called "${name}" with arguments that its schema refuses: ${problem}`);
  }

  /** What was found since this was asked last. */
  take(): ReadEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  end({ cut }: { cut: boolean }): ReadEnding {
    if (!cut && this.#call !== null) this.#fail(`The model broke off its call of "${this.#call.name}"`);
    if (!cut && this.calls === 0) this.#checkText();
    return { events: this.take(), calls: this.calls, error: cut ? null : this.#error };
  }

  #checkText(): void {
    const { format, mustCall } = this.demands;
    if (mustCall) return this.#fail("The model called no tool, though it had to");
    if (format.type === "text" || (format.type === "schema" && !format.strict)) return;
    const problem = findProblem(this.#text, format.type === "json" ? { type: "object" } : format.schema);
    if (problem !== null) this.#fail(`The model's answer is not the JSON that was asked for: ${problem}`);
  }

  #fail(message: string): void {
    this.#error ??= new DomainError("answer_invalid", `${message}; ask again, or ask a larger model`);
  }

  #add(event: ReadEvent): void {
    const last = this.#events.at(-1);
    if (event.type === "tool_call" || last === undefined || last.type !== event.type) this.#events.push(event);
    else last.text += event.text;
  }
}

function findProblem(json: string, schema: Tool["parameters"]): string | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return "it is no JSON";
  }
  return validate(schema, value);
}

/** `call_` and 24 random letters and digits: clients tell the calls of a whole conversation apart by it. */
function drawCallId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_LENGTH));
  return "call_" + Array.from(bytes, (byte) => ID_CHARACTERS[byte % ID_CHARACTERS.length]).join("");
}
