import type { ChatEvent } from "../contracts/chat.ts";
import type { WorkerEvent } from "../contracts/worker.ts";
import { toReport } from "../errors.ts";

/** What an {@linkcode streamAnswer} needs beside the answer. */
export interface AnswerStreamOptions {
  /** Milliseconds without the reader taking anything after which what it has not taken is dropped. */
  stallMs: number;
  /** Stops the engine: the reader has gone, or was dropped. */
  abort(): void;
  /** Called once when nothing of the answer is held any more. */
  onClosed(): void;
}

/**
 * Turns an answer into server-sent {@linkcode WorkerEvent}s. The engine never waits for the reader: what a slow one has
 * not taken is held, pieces of one text merged, so that it is never more than the answer itself, which the context bounds.
 * A reader that takes nothing for `stallMs` loses the answer; one that goes away stops the engine at once.
 */
export function streamAnswer(
  answer: AsyncIterable<ChatEvent>,
  options: AnswerStreamOptions,
): ReadableStream<Uint8Array> {
  // Without a high-water mark of 0 the stream would ask for one chunk ahead of its reader and blur who is slow.
  return new ReadableStream(new AnswerSource(answer, options), { highWaterMark: 0 });
}

class AnswerSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #answer: AsyncIterable<ChatEvent>;
  readonly #options: AnswerStreamOptions;
  readonly #encoder = new TextEncoder();
  #held: WorkerEvent[] = [];
  #complete = false;
  #closed = false;
  /** Wakes a reader that waits for the next event. */
  #wake: (() => void) | null = null;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;

  constructor(answer: AsyncIterable<ChatEvent>, options: AnswerStreamOptions) {
    this.#answer = answer;
    this.#options = options;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#run(controller);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#held.length === 0 && !this.#complete) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#stopStallTimer();
    if (this.#closed) return;
    const text = this.#held.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
    this.#held = [];
    if (text !== "") controller.enqueue(this.#encoder.encode(text));
    if (!this.#complete) return;
    controller.close();
    this.#close();
  }

  cancel(): void {
    this.#options.abort();
    this.#close();
  }

  /** Takes the answer from the engine as fast as it comes. */
  async #run(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      for await (const event of this.#answer) this.#hold(event, controller);
    } catch (error) {
      this.#hold({ type: "error", error: toReport(error) }, controller);
    }
    this.#complete = true;
    this.#wakeReader(controller);
  }

  #hold(event: WorkerEvent, controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#closed) return;
    const last = this.#held.at(-1);
    if (last === undefined || !mergeInto(last, event)) this.#held.push({ ...event });
    this.#complete ||= event.type === "done" || event.type === "error";
    this.#wakeReader(controller);
  }

  /** Tells a reader that waits that there is something to take, or begins to count how long it does not come. */
  #wakeReader(controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.#closed) return;
    if (this.#wake === null) {
      this.#stallTimer ??= setTimeout(() => this.#drop(controller), this.#options.stallMs);
      return;
    }
    this.#wake();
    this.#wake = null;
  }

  #drop(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#options.abort();
    this.#close();
    controller.error(new Error(`The reader took nothing for ${this.#options.stallMs} ms`));
  }

  #stopStallTimer(): void {
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held = [];
    this.#stopStallTimer();
    this.#wake?.();
    this.#options.onClosed();
  }
}

/** Adds an event to the one before it, when both are pieces of one text; returns whether it did. */
function mergeInto(last: WorkerEvent, event: WorkerEvent): boolean {
  if (last.type === "text" && event.type === "text") {
    last.text += event.text;
    if (event.tokens !== undefined) last.tokens = [...last.tokens ?? [], ...event.tokens];
    return true;
  }
  if (last.type === "reasoning" && event.type === "reasoning") {
    last.text += event.text;
    return true;
  }
  if (last.type === "tool_arguments" && event.type === "tool_arguments" && last.index === event.index) {
    last.text += event.text;
    return true;
  }
  return false;
}
