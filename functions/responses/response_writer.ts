import type { ChatEvent, DrawnToken } from "../../lib/contracts/chat.ts";
import type { ErrorReport } from "../../lib/contracts/error.ts";
import type { Answer } from "../_shared/answers.ts";
import { toDrawnLogprob } from "../_shared/logprobs.ts";
import {
  type ContentPart,
  createItemId,
  type OutputItem,
  type ResponseObject,
  toResponseError,
  toResponseUsage,
} from "./response.ts";

/** An event of a streamed response. */
export interface ResponseEvent {
  type: string;
  sequence_number: number;
  response?: ResponseObject;
}

type Item<Type extends OutputItem["type"]> = Extract<OutputItem, { type: Type }>;

/**
 * Builds a response of an engine's events and says each change as an event of OpenAI's stream: an item is added, its
 * part is added, grows and is done, and the item is done before the next one begins.
 */
export class ResponseWriter {
  readonly #response: ResponseObject;
  /** The item that is being written; it is the last of the output. */
  #open: OutputItem | null = null;
  #sequenceNumber = 0;

  constructor(response: ResponseObject) {
    this.#response = response;
  }

  /** The response as far as it is. */
  get response(): ResponseObject {
    return this.#response;
  }

  /** What opens a stream. */
  begin(): ResponseEvent[] {
    return [this.#tellResponse("response.created"), this.#tellResponse("response.in_progress")];
  }

  /** Takes an event over; `done` completes the response. */
  add(event: ChatEvent): ResponseEvent[] {
    switch (event.type) {
      case "reasoning":
        return this.#addReasoning(event.text);
      case "text":
        return this.#addText(event.text, event.tokens ?? []);
      case "tool_call":
        return this.#addCall(event.id, event.name);
      case "tool_arguments":
        return this.#addArguments(event.text);
      case "done":
        return this.#complete(event);
      default:
        return [];
    }
  }

  /** Ends a response that failed; what it has so far stays in it. */
  fail(report: ErrorReport): ResponseEvent {
    if (this.#open !== null) this.#open.status = "incomplete";
    this.#response.status = "failed";
    this.#response.error = toResponseError(report);
    return this.#tellResponse("response.failed");
  }

  #addReasoning(delta: string): ResponseEvent[] {
    const { item, events } = this.#ensure("reasoning", () => ({
      type: "reasoning",
      id: createItemId("rs"),
      status: "in_progress",
      summary: [],
      content: [],
    }));
    const [part = null] = item.content;
    if (part === null) events.push(this.#addPart(item, { type: "reasoning_text", text: "" }));
    item.content[0]!.text += delta;
    return [...events, this.#tellPart("response.reasoning_text.delta", { delta })];
  }

  #addText(delta: string, tokens: readonly DrawnToken[]): ResponseEvent[] {
    const { item, events } = this.#ensure("message", () => ({
      type: "message",
      id: createItemId("msg"),
      status: "in_progress",
      role: "assistant",
      content: [],
    }));
    if (item.content.length === 0) {
      events.push(this.#addPart(item, { type: "output_text", text: "", annotations: [], logprobs: [] }));
    }
    const part = item.content[0]!;
    const logprobs = tokens.map(toDrawnLogprob);
    part.text += delta;
    for (const logprob of logprobs) part.logprobs.push(logprob);
    return [...events, this.#tellPart("response.output_text.delta", { delta, logprobs })];
  }

  #addCall(callId: string, name: string): ResponseEvent[] {
    const item = { id: createItemId("fc"), call_id: callId, name, arguments: "" };
    return [...this.#close("completed"), this.#addItem({ type: "function_call", status: "in_progress", ...item })];
  }

  #addArguments(delta: string): ResponseEvent[] {
    const item = this.#open;
    if (item?.type !== "function_call") throw new Error("Arguments came without a call");
    item.arguments += delta;
    return [this.#tellItem("response.function_call_arguments.delta", { delta })];
  }

  #complete({ finishReason, usage }: Extract<ChatEvent, { type: "done" }>): ResponseEvent[] {
    const status = finishReason === "length" ? "incomplete" : "completed";
    const events = this.#close(status);
    this.#response.status = status;
    this.#response.usage = toResponseUsage(usage);
    if (status === "incomplete") this.#response.incomplete_details = { reason: "max_output_tokens" };
    return [...events, this.#tellResponse(`response.${status}`)];
  }

  /** The open item, if it is of this type, or a new one after it. */
  #ensure<Type extends OutputItem["type"]>(
    type: Type,
    create: () => Item<Type>,
  ): { item: Item<Type>; events: ResponseEvent[] } {
    if (this.#open?.type === type) return { item: this.#open as Item<Type>, events: [] };
    const item = create();
    return { item, events: [...this.#close("completed"), this.#addItem(item)] };
  }

  #addItem(item: OutputItem): ResponseEvent {
    this.#open = item;
    this.#response.output.push(item);
    return this.#tell("response.output_item.added", { output_index: this.#index, item });
  }

  #addPart(item: Item<"message"> | Item<"reasoning">, part: ContentPart): ResponseEvent {
    const event = this.#tellPart("response.content_part.added", { part });
    (item.content as ContentPart[]).push(part);
    return event;
  }

  #close(status: "completed" | "incomplete"): ResponseEvent[] {
    const item = this.#open;
    if (item === null) return [];
    const events = this.#closeContent(item);
    item.status = status;
    events.push(this.#tell("response.output_item.done", { output_index: this.#index, item }));
    this.#open = null;
    return events;
  }

  #closeContent(item: OutputItem): ResponseEvent[] {
    if (item.type === "function_call") {
      const { name, arguments: text } = item;
      return [this.#tellItem("response.function_call_arguments.done", { name, arguments: text })];
    }
    return item.content.flatMap((part) => [
      part.type === "output_text"
        ? this.#tellPart("response.output_text.done", { text: part.text, logprobs: part.logprobs })
        : this.#tellPart("response.reasoning_text.done", { text: part.text }),
      this.#tellPart("response.content_part.done", { part }),
    ]);
  }

  get #index(): number {
    return this.#response.output.length - 1;
  }

  /** Of a response its output alone goes on changing: what a client sent is said again and not copied. */
  #tellResponse(type: string): ResponseEvent {
    const { output, ...rest } = this.#response;
    return { ...this.#tell(type, {}), response: { ...rest, output: structuredClone(output) } };
  }

  #tellItem(type: string, fields: object): ResponseEvent {
    return this.#tell(type, { output_index: this.#index, item_id: this.#open!.id, ...fields });
  }

  #tellPart(type: string, fields: object): ResponseEvent {
    return this.#tellItem(type, { content_index: 0, ...fields });
  }

  /** A copy, because what it tells of goes on changing. */
  #tell(type: string, fields: object): ResponseEvent {
    return { type, sequence_number: this.#sequenceNumber++, ...structuredClone(fields) };
  }
}

/** A response event by event. */
export async function* streamResponse(
  writer: ResponseWriter,
  answer: Answer,
): AsyncGenerator<ResponseEvent, void, void> {
  yield* writer.begin();
  for await (const event of answer.events) yield* writer.add(event);
}

/** A response as a whole. */
export async function collectResponse(writer: ResponseWriter, answer: Answer): Promise<ResponseObject> {
  for await (const event of answer.events) writer.add(event);
  return writer.response;
}
