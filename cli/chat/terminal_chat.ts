import type { ClientMessage } from "../../lib/client/chat.ts";
import { DomainError, toReport } from "../../lib/errors.ts";

const PROMPT = "\n> ";
const HELP = "/new starts anew, /exit or Ctrl-D ends, Ctrl-C stops an answer";

/** What a terminal chat stands on. */
export interface TerminalChatParts {
  /** What the person types, a line at a time. */
  lines: AsyncIterable<string>;
  write(text: string): void;
  /** Streams the texts of an answer; throws `request_cancelled` after an abort. */
  ask(messages: readonly ClientMessage[], signal: AbortSignal): AsyncIterable<string>;
}

/** A conversation in a terminal: it remembers what was said until it is told to start anew. */
export class TerminalChat {
  readonly #parts: TerminalChatParts;
  #messages: ClientMessage[] = [];
  #answering: AbortController | null = null;

  constructor(parts: TerminalChatParts) {
    this.#parts = parts;
  }

  /** Stops the answer that is being streamed; without one it says how to end, for that may be what was meant. */
  interrupt(): void {
    if (this.#answering !== null) this.#answering.abort();
    else this.#parts.write(`\n${HELP}${PROMPT}`);
  }

  /** Talks until the person ends it. */
  async run(): Promise<void> {
    const { lines, write } = this.#parts;
    write(`${HELP}\n${PROMPT}`);
    for await (const line of lines) {
      const text = line.trim();
      if (text === "/exit") return;
      if (text === "/new") this.#startAnew();
      else if (text.startsWith("/")) write(`There is no ${text.split(" ", 1)[0]}; ${HELP}\n`);
      else if (text !== "") await this.#answer(text);
      write(PROMPT);
    }
    write("\n");
  }

  #startAnew(): void {
    this.#messages = [];
    this.#parts.write("A new conversation.\n");
  }

  async #answer(question: string): Promise<void> {
    const { ask, write } = this.#parts;
    const messages: ClientMessage[] = [...this.#messages, { role: "user", content: question }];
    this.#answering = new AbortController();
    let answer = "";
    try {
      for await (const text of ask(messages, this.#answering.signal)) {
        answer += text;
        write(text);
      }
      write("\n");
    } catch (error) {
      const stopped = error instanceof DomainError && error.code === "request_cancelled";
      write(stopped ? " [stopped]\n" : `\nError: ${toReport(error).message}\n`);
    } finally {
      this.#answering = null;
    }
    // A question without any answer would make two in a row: it is forgotten.
    if (answer !== "") this.#messages = [...messages, { role: "assistant", content: answer }];
  }
}
