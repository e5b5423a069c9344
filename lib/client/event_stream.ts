/** One message of a server-sent event stream. */
export interface StreamMessage {
  /** The `event:` field, `message` when there is none. */
  event: string;
  /** The `data:` lines, joined by line feeds. */
  data: string;
}

/** Most characters of one message; a longer one is not an event stream but an accident. */
const MESSAGE_CHARACTERS_MAX = 16 * 1024 * 1024;

/**
 * Reads server-sent events from a response's body, however it is cut into chunks; comments are skipped, and so is a
 * message that the stream's end cuts off. Leaving the iteration cancels the body.
 * Follows https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream, without `id` and
 * `retry`, which nothing here uses.
 *
 * @throws {RangeError} when one message is longer than 16 Mi characters.
 */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamMessage, void, void> {
  const message = new MessageBuilder();
  for await (const line of readLines(body)) {
    const complete = message.add(line);
    if (complete !== null) yield complete;
  }
}

/** Collects the fields of one message until the empty line that ends it. */
class MessageBuilder {
  #event = "";
  #data: string[] = [];
  #characters = 0;

  add(line: string): StreamMessage | null {
    if (line === "") return this.#take();
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#event = value;
    if (field === "data") {
      this.#data.push(value);
      this.#characters += value.length;
      refuseTooLong(this.#characters);
    }
    return null;
  }

  #take(): StreamMessage | null {
    const message = { event: this.#event || "message", data: this.#data.join("\n") };
    const empty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    this.#characters = 0;
    return empty ? null : message;
  }
}

/** Lines of a UTF-8 stream without their ends (LF, CR or CRLF); what follows the last end is cut off, and dropped. */
async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A CR at the end of a chunk may be half of a CRLF: it waits for the next one.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      refuseTooLong(rest.length);
      yield* lines;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function refuseTooLong(characters: number): void {
  if (characters > MESSAGE_CHARACTERS_MAX) {
    throw new RangeError(`A message of the event stream is longer than ${MESSAGE_CHARACTERS_MAX} characters`);
  }
}
