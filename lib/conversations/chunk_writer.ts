import type { ChatEvent } from "../contracts/chat.ts";
import type { AnswerEvent } from "../contracts/conversation.ts";
import type { Json } from "../database/database.ts";

/** A piece of an answer, as a row of `message_chunks` holds it. */
export interface Chunk {
  kind: "text" | "reasoning" | "tool_call";
  body: Json;
}

/** An event of an answer that adds to it. */
export type PieceEvent = Exclude<AnswerEvent, { type: "whole" | "done" }>;

/** Most chunks that are stored at once: app.append_chunks takes 1,000. */
const BATCH_CHUNKS_MAX = 500;

/** What a {@linkcode ChunkWriter} is made of. */
export interface ChunkWriterOptions {
  /** Stores chunks; the first of them is number `firstSeq`. Called again only when it has resolved. */
  store(chunks: Chunk[], firstSeq: number): Promise<void>;
  /** Shortest time between two calls of `store`, in milliseconds. */
  intervalMs: number;
  /** Called once when `store` threw: nothing more will be stored. */
  onFailure(error: unknown): void;
}

/**
 * Stores an answer while it is made, in order and in batches: pieces that come while a batch is being stored, or within
 * `intervalMs` of it, make the next one. The engine never waits for it. What it holds is bounded by what one answer may
 * have of tokens.
 */
export class ChunkWriter {
  readonly #options: ChunkWriterOptions;
  readonly #ending = Promise.withResolvers<void>();
  readonly #pending: PieceEvent[] = [];
  #seq = 1;
  #pump: Promise<void> = Promise.resolve();
  #isRunning = false;
  #failed = false;
  #isEnding = false;

  constructor(options: ChunkWriterOptions) {
    this.#options = options;
  }

  /** Takes the next piece. */
  push(piece: PieceEvent): void {
    if (this.#failed) return;
    const last = this.#pending.at(-1);
    const joined = last === undefined ? null : join(last, piece);
    if (joined === null) this.#pending.push(piece);
    else this.#pending[this.#pending.length - 1] = joined;
    if (!this.#isRunning) this.#pump = this.#run();
  }

  /** Resolves when everything is stored, or nothing more can be. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#ending.resolve();
    await this.#pump;
    if (!this.#failed && this.#pending.length > 0) await this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      for (let batch = this.#takeBatch(); batch.length > 0; batch = this.#takeBatch()) {
        const chunks = batch.map(toChunk);
        await this.#options.store(chunks, this.#seq);
        this.#seq += chunks.length;
        await this.#pause();
      }
    } catch (error) {
      this.#failed = true;
      this.#options.onFailure(error);
    }
    this.#isRunning = false;
  }

  /** The next pieces, without the first half of a character whose second half may come. */
  #takeBatch(): PieceEvent[] {
    const batch = this.#pending.splice(0, BATCH_CHUNKS_MAX);
    const last = batch.at(-1);
    if (last === undefined || this.#pending.length > 0 || this.#isEnding) return batch;
    const [whole, half] = splitHalf(last);
    if (half === null) return batch;
    this.#pending.push(half);
    return whole === null ? batch.slice(0, -1) : [...batch.slice(0, -1), whole];
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.intervalMs);
    await Promise.race([promise, this.#ending.promise]);
    clearTimeout(timer);
  }
}

/** What an event of the engine adds to the answer, or null. Postgres' texts hold no NUL: it becomes U+FFFD. */
export function toPiece(event: ChatEvent): PieceEvent | null {
  switch (event.type) {
    case "text":
    case "reasoning":
      return { type: event.type, text: withoutNul(event.text) };
    case "tool_call":
      return { type: "tool_call", index: event.index, id: event.id, name: withoutNul(event.name), arguments: "" };
    case "tool_arguments":
      return { type: "tool_call", index: event.index, arguments: withoutNul(event.text) };
    default:
      return null;
  }
}

/** The event that a row holds. */
export function toEvent({ kind, body }: { kind: string; body: unknown }): AnswerEvent {
  const fields = typeof body === "string" ? { text: body } : Object(body);
  return { type: kind, ...fields } as AnswerEvent;
}

function toChunk({ type, ...fields }: PieceEvent): Chunk {
  return { kind: type, body: "text" in fields ? fields.text : fields };
}

/** Both pieces as one, where the second goes on with the first; else null. */
function join(last: PieceEvent, next: PieceEvent): PieceEvent | null {
  if (last.type === "tool_call") {
    const goesOn = next.type === "tool_call" && next.index === last.index && next.id === undefined;
    return goesOn ? { ...last, arguments: last.arguments + next.arguments } : null;
  }
  return next.type === last.type ? { type: last.type, text: last.text + next.text } : null;
}

/** A piece without the half of a character at its end, and a piece of that alone; null where there is none. */
function splitHalf(piece: PieceEvent): [whole: PieceEvent | null, half: PieceEvent | null] {
  const text = piece.type === "tool_call" ? piece.arguments : piece.text;
  if (!/[\ud800-\udbff]$/.test(text)) return [piece, null];
  const [start, half] = [text.slice(0, -1), text.slice(-1)];
  if (piece.type === "tool_call") {
    return [{ ...piece, arguments: start }, { type: "tool_call", index: piece.index, arguments: half }];
  }
  return [start === "" ? null : { ...piece, text: start }, { ...piece, text: half }];
}

function withoutNul(text: string): string {
  return text.replaceAll("\0", "\ufffd");
}
