import type { ToolCall } from "../contracts/chat.ts";
import type { AnswerError, AnswerUsage, MessageState } from "../contracts/conversation.ts";
import { type Claims, type Database, type Session, toDomainError } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import type { Chunk } from "./chunk_writer.ts";

/** The runtime itself: an answer goes on after the token of whoever asked has ended. */
const SERVICE: Claims = { sub: null, role: "service_role" };

/** First and longest pause before the database is tried again, in milliseconds. */
const RETRY_MS = { first: 100, max: 5_000 } as const;

/** How an answer ended, and what it came to. */
export interface AnswerEnding {
  state: Exclude<MessageState, "in_progress">;
  content: string;
  reasoning: string | null;
  toolCalls: ToolCall[] | null;
  usage: AnswerUsage | null;
  error: AnswerError | null;
}

interface AppendOptions {
  firstSeq: number;
  signal: AbortSignal;
}

/** Where one runtime writes its answers. */
export class AnswerStore {
  constructor(private readonly database: Database, readonly instance: string) {}

  /**
   * Stores chunks, the first of them as number `firstSeq`; tries until the database takes them or `signal` aborts, since
   * what is stored already is passed over.
   *
   * @throws {DomainError} `conflict` or `not_found` when the answer is over.
   */
  async append(answerId: string, chunks: readonly Chunk[], { firstSeq, signal }: AppendOptions): Promise<void> {
    const values = [answerId, chunks.map(({ kind, body }) => ({ kind, body })), firstSeq] as const;
    await persist(signal, () => this.#call("select app.append_chunks($1, $2::jsonb, $3)", values));
  }

  /** Ends an answer, however long the database is away, until `signal` aborts. Throws as `append` does. */
  async finish(answerId: string, ending: AnswerEnding, signal: AbortSignal): Promise<void> {
    const { state, content, reasoning, toolCalls, usage, error } = ending;
    const calls = toolCalls?.map((call) => ({ ...call })) ?? null;
    const values = [answerId, state, content, reasoning, calls, usage && { ...usage }, error && { ...error }] as const;
    const text = "select app.finish_answer($1, $2, $3, $4, $5::jsonb, $6::jsonb, $7::jsonb)";
    await persist(signal, () => this.#call(text, values));
  }

  /** Shows that this runtime lives and writes these answers; tells which of all that are its own have to stop. */
  async touch(written: readonly string[]): Promise<string[]> {
    return await this.#list("select app.touch_answers($1, $2::uuid[]) as id", [this.instance, written]);
  }

  /** Marks as interrupted what a runtime of this name has left, before this one begins any answer. */
  async interruptOwn(staleMs: number): Promise<string[]> {
    return await this.#interrupt(this.instance, staleMs);
  }

  /** Marks answers as interrupted whose runtime has been silent for `staleMs`. */
  async interruptStale(staleMs: number): Promise<string[]> {
    // No runtime has an empty name.
    return await this.#interrupt("", staleMs);
  }

  async #interrupt(instance: string, staleMs: number): Promise<string[]> {
    const text = "select app.interrupt_stale_answers($1, make_interval(secs => $2)) as id";
    return await this.#list(text, [instance, staleMs / 1000]);
  }

  async #list(text: string, values: Parameters<Session["query"]>[1]): Promise<string[]> {
    return (await this.#call<{ id: string }>(text, values)).map(({ id }) => id);
  }

  async #call<Row extends object>(text: string, values: Parameters<Session["query"]>[1]): Promise<Row[]> {
    try {
      return await this.database.transaction(SERVICE, (session) => session.query<Row>(text, values));
    } catch (error) {
      throw toDomainError(error);
    }
  }
}

/** Does `work` until the database is there for it. */
async function persist(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  for (let pauseMs: number = RETRY_MS.first;; pauseMs = Math.min(pauseMs * 2, RETRY_MS.max)) {
    try {
      await work();
      return;
    } catch (error) {
      const isAway = error instanceof DomainError && error.code === "database_unavailable";
      if (!isAway || signal.aborted) throw error;
    }
    await pause(pauseMs, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
