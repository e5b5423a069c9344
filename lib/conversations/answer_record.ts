import type { ToolCall } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { AnswerEnding, AnswerStore } from "./answer_store.ts";
import { ChunkWriter, type PieceEvent } from "./chunk_writer.ts";

/** What an {@linkcode AnswerRecord} is made of. */
export interface AnswerRecordOptions {
  answerId: string;
  store: AnswerStore;
  log: Logger;
  chunkIntervalMs: number;
  /** Aborts when the runtime ends and nothing may wait any longer for the database. */
  closing: AbortSignal;
  /** Called when nothing more of the answer can be stored, so that making it is in vain. */
  onLost(): void;
}

/** How an answer ended, beside what it says. */
export type Ending = Pick<AnswerEnding, "state" | "usage" | "error">;

/** Stores one answer while it is made, and what it came to at its end. */
export class AnswerRecord {
  readonly #options: AnswerRecordOptions;
  readonly #ended = Promise.withResolvers<void>();
  readonly #writer: ChunkWriter;
  readonly #texts: string[] = [];
  readonly #reasoning: string[] = [];
  readonly #calls: ToolCall[] = [];
  /** What keeps pieces from being stored. */
  #lost: unknown = null;

  constructor(options: AnswerRecordOptions) {
    const { answerId, store, chunkIntervalMs, closing, onLost } = options;
    this.#options = options;
    this.#writer = new ChunkWriter({
      store: (chunks, firstSeq) => store.append(answerId, chunks, { firstSeq, signal: closing }),
      intervalMs: chunkIntervalMs,
      onFailure: (error) => {
        this.#lost = error;
        onLost();
      },
    });
  }

  /** Resolves when it is finished, stored or not; never rejects. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The answer's text so far. */
  get text(): string {
    return this.#texts.join("");
  }

  /** Takes the next piece. */
  add(piece: PieceEvent): void {
    if (piece.type === "text") this.#texts.push(piece.text);
    else if (piece.type === "reasoning") this.#reasoning.push(piece.text);
    else {
      const call = this.#calls[piece.index] ??= { id: piece.id ?? "", name: piece.name ?? "", arguments: "" };
      call.arguments += piece.arguments;
    }
    this.#writer.push(piece);
  }

  /** Stores what is left, and the end. Never rejects: the log has what went wrong. */
  async finish(end: Ending): Promise<void> {
    await this.#writer.end();
    await this.#store(end);
    this.#ended.resolve();
  }

  async #store(end: Ending): Promise<void> {
    const { answerId: answer, store, log, closing } = this.#options;
    // Another runtime took this one for dead, or the conversation was purged: there is nothing left to end.
    if (isOver(this.#lost)) return log.warn("answer_lost", { answer, error: this.#lost });
    try {
      await store.finish(answer, { ...end, ...this.#toFields() }, closing);
    } catch (error) {
      if (isOver(error)) return log.warn("answer_lost", { answer, error });
      log.error("answer_not_stored", { answer, error });
    }
  }

  #toFields(): Pick<AnswerEnding, "content" | "reasoning" | "toolCalls"> {
    return {
      content: this.text,
      reasoning: this.#reasoning.length === 0 ? null : this.#reasoning.join(""),
      toolCalls: this.#calls.length === 0 ? null : this.#calls,
    };
  }
}

function isOver(error: unknown): boolean {
  return error instanceof DomainError && (error.code === "conflict" || error.code === "not_found");
}
