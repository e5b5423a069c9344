/** What a stream was asked to be. */
export interface StreamExpectation {
  /** Whether `stream_options.include_usage` was sent, as Copilot always does. Default true. */
  usage?: boolean;
  /** Whether the answer is meant to break off with an error event. Default false. */
  error?: boolean;
}

type Json = Record<string, unknown>;

/** After so many equal texts at its end Copilot takes an answer for a loop and throws it away. */
const EQUAL_TEXTS_MAX = 9;

/**
 * Reads the raw bytes of a streamed chat completion as Copilot Chat's parser does and returns a sentence for everything
 * that would lose or garble something there; an empty list means that all of it arrives.
 */
export function findStreamViolations(bytes: Uint8Array, expectation: StreamExpectation = {}): string[] {
  const { usage = true, error = false } = expectation;
  const checker = new StreamChecker();
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    checker.complain("The bytes are not UTF-8");
  }
  const lines = text.split(/\r?\n/);
  if (lines.pop() !== "" || lines.at(-1) !== "") checker.complain("The last event is not ended by an empty line");
  lines.forEach((line, index) => checker.addLine(line, lines[index + 1] ?? ""));
  return checker.finish({ usage, error });
}

class StreamChecker {
  readonly #violations: string[] = [];
  readonly #toolCalls = new ToolCallChecker((violation) => this.complain(violation));
  readonly #texts: string[] = [];
  #first: Json | null = null;
  #finishReason: string | null = null;
  #usages = 0;
  #done = false;
  #errors = 0;

  complain(violation: string): void {
    this.#violations.push(violation);
  }

  addLine(line: string, next: string): void {
    if (line === "" || line.startsWith(":")) return;
    if (!line.startsWith("data: ")) return this.complain(`A line is neither data nor comment: ${line.slice(0, 40)}`);
    if (next !== "") this.complain("An event has more than one line");
    if (this.#done) this.complain("Something follows [DONE]");
    if (this.#errors > 0) this.complain("Something follows an error");
    if (line === "data: [DONE]") {
      this.#done = true;
      return;
    }
    const payload = parse(line.slice("data: ".length));
    if (payload === null) return this.complain(`An event holds no JSON object: ${line.slice(0, 40)}`);
    if ("error" in payload) this.#addError(payload);
    else this.#addChunk(payload);
  }

  finish({ usage, error }: Required<StreamExpectation>): string[] {
    this.#toolCalls.finish(this.#finishReason);
    if (this.#errors > 0 !== error) this.complain(error ? "No error event came" : "An error event came");
    if (!error) {
      if (!this.#done) this.complain("The stream does not end in [DONE]");
      if (this.#finishReason === null) this.complain("No chunk has a finish_reason: no choices, for Copilot");
      if (this.#usages !== (usage ? 1 : 0)) this.complain(`There are ${this.#usages} chunks with usage`);
    }
    const last = this.#texts.slice(-EQUAL_TEXTS_MAX - 1);
    if (last.length > EQUAL_TEXTS_MAX && new Set(last).size === 1) this.complain("The last ten texts are equal");
    return this.#violations;
  }

  #addError(payload: Json): void {
    this.#errors++;
    const { message, code } = payload["error"] as Json;
    if (typeof message !== "string" || message === "") this.complain("An error has no message");
    if (typeof code !== "string" || code === "") this.complain("An error has no code");
    if ("choices" in payload) this.complain("An error has choices: its message is lost");
  }

  #addChunk(chunk: Json): void {
    this.#checkHead(chunk);
    const choices = chunk["choices"];
    if (!Array.isArray(choices)) return this.complain("A chunk has no choices");
    if (chunk["usage"] !== undefined && chunk["usage"] !== null) this.#addUsage(chunk["usage"] as Json, choices);
    else if (choices.length !== 1) this.complain(`A chunk has ${choices.length} choices`);
    for (const choice of choices as Json[]) this.#addChoice(choice);
  }

  #checkHead(chunk: Json): void {
    if (chunk["object"] !== "chat.completion.chunk") this.complain(`A chunk's object is ${chunk["object"]}`);
    if (!/^chatcmpl-\w+/.test(String(chunk["id"]))) this.complain(`A chunk's id is ${chunk["id"]}`);
    if (!Number.isInteger(chunk["created"])) this.complain("A chunk has no created");
    if (typeof chunk["model"] !== "string") this.complain("A chunk has no model");
    this.#first ??= chunk;
    for (const name of ["id", "created", "model"]) {
      if (chunk[name] !== this.#first[name]) this.complain(`The ${name} changes between chunks`);
    }
  }

  #addUsage(usage: Json, choices: unknown[]): void {
    this.#usages++;
    const { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total } = usage;
    const all = [prompt, completion, total];
    if (!all.every(Number.isInteger)) this.complain("A usage lacks a number: the completion is corrupted");
    else if (Number(prompt) + Number(completion) !== total) this.complain("A usage's total is not the sum");
    if (choices.length > 0) this.complain("A chunk with usage has choices");
    if (this.#finishReason === null) this.complain("The usage comes before the finish_reason");
  }

  #addChoice(choice: Json): void {
    if (choice["index"] !== 0) this.complain(`A choice's index is ${choice["index"]}`);
    if (this.#finishReason !== null) this.complain("A choice follows the finish_reason");
    const delta = (choice["delta"] ?? {}) as Json;
    const opens = choice === (this.#first?.["choices"] as unknown[])[0];
    if (opens !== (delta["role"] === "assistant")) this.complain("The role is not in the first delta alone");
    const { content, tool_calls: toolCalls } = delta;
    if (typeof content === "string" && toolCalls !== undefined && !(opens && content === "")) {
      this.complain("A delta has content and tool_calls: the content is lost");
    }
    if (typeof content === "string" && content !== "") this.#texts.push(content);
    if (toolCalls !== undefined) this.#toolCalls.add(toolCalls as Json[]);
    const reason = choice["finish_reason"] ?? null;
    if (reason !== null && !/^(stop|length|tool_calls)$/.test(String(reason))) {
      this.complain(`It finishes by ${reason}`);
    }
    this.#finishReason = reason as string | null;
  }
}

/** Copilot keys tool calls by id: one that is missing, repeated or interleaved merges two calls into one. */
class ToolCallChecker {
  readonly #complain: (violation: string) => void;
  readonly #ids = new Set<string>();
  readonly #indexes: unknown[] = [];

  constructor(complain: (violation: string) => void) {
    this.#complain = complain;
  }

  add(calls: Json[]): void {
    for (const call of calls) {
      const { index, id } = call;
      if (call["function"] === undefined) this.#complain("A piece of a tool call has no function: the parser throws");
      const { name, arguments: args } = (call["function"] ?? {}) as Json;
      if (!Number.isInteger(index)) this.#complain("A tool call has no index");
      if (args !== undefined && typeof args !== "string") this.#complain("A tool call's arguments are no text");
      if (index === this.#indexes.at(-1)) continue;
      if (this.#indexes.includes(index)) this.#complain("Tool calls are interleaved");
      this.#indexes.push(index);
      if (typeof id !== "string" || id === "") this.#complain("A tool call has no id");
      else if (this.#ids.has(id)) this.#complain("Two tool calls have one id");
      this.#ids.add(String(id));
      if (typeof name !== "string" || name === "") this.#complain("A tool call has no name");
    }
  }

  finish(finishReason: string | null): void {
    const called = this.#indexes.length > 0;
    if (called && finishReason === "length") this.#complain("Tool calls end by length: they are dropped");
    if (!called && finishReason === "tool_calls") this.#complain("It finishes by tool_calls without any");
  }
}

function parse(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : null;
  } catch {
    return null;
  }
}
