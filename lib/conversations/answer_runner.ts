import type { Database } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import type { Logger } from "../log.ts";
import { AnswerRecord, type AnswerRecordOptions } from "./answer_record.ts";
import { AnswerStore } from "./answer_store.ts";
import { type AnswerOrder, RunningAnswer } from "./running_answer.ts";

/** What an {@linkcode AnswerRunner} is made of. */
export interface AnswerRunnerOptions {
  database: Database;
  inference: Inference;
  log: Logger;
  /**
   * Names this runtime among those on the same database; one that has the same name every time ends what it left at once.
   * Default: a random name.
   */
  instance?: string;
  /** Most answers that one account may have in progress on this runtime. Default 4. */
  answersPerAccountMax?: number;
  /** Shortest time between two batches of chunks of one answer, in milliseconds. Default 100. */
  chunkIntervalMs?: number;
  /** How often this runtime shows that it lives, in milliseconds. Default 10,000. */
  heartbeatMs?: number;
  /** How long a runtime is silent until its answers count as interrupted, in milliseconds. Default 60,000. */
  staleMs?: number;
}

/** How long the end of a runtime waits for its answers to be stored, in milliseconds. */
const CLOSE_MS = 5_000;

/** A place for an answer of one account. */
export interface AnswerPlace extends Disposable {
  /**
   * Starts the answer, which keeps the place until it has ended. While the runtime ends it is interrupted at once.
   *
   * @throws {DomainError} `engine_unavailable` when the runtime has ended.
   */
  start(order: AnswerOrder): void;
}

/**
 * Makes the answers of one runtime. Who asked may leave: an answer ends when it is complete, is told to stop, or fails.
 * One whose runtime dies is marked as interrupted by whichever runtime looks next.
 */
export class AnswerRunner implements AsyncDisposable {
  readonly inference: Inference;
  readonly log: Logger;
  readonly #store: AnswerStore;
  readonly #options: Required<Omit<AnswerRunnerOptions, "database" | "instance">>;
  readonly #running = new Map<string, RunningAnswer>();
  /** How each answer is stopped that this runtime writes, also those that others make and it only stores. */
  readonly #stops = new Map<string, () => void>();
  readonly #places = new Map<string, number>();
  /** Places whose answers have not started. */
  readonly #reserved = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #listening: AsyncDisposable | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #beat: Promise<void> = Promise.resolve();
  /** It takes no orders any more. */
  #closed = false;
  /** Nothing can be stored any more. */
  #ended = false;

  private constructor({ database, instance = crypto.randomUUID(), ...rest }: AnswerRunnerOptions) {
    this.#options = { answersPerAccountMax: 4, chunkIntervalMs: 100, heartbeatMs: 10_000, staleMs: 60_000, ...rest };
    this.#store = new AnswerStore(database, instance);
    this.inference = rest.inference;
    this.log = rest.log;
  }

  /**
   * Begins to make answers, and marks those as interrupted that a dead runtime has left.
   *
   * @throws {DomainError} `database_unavailable`.
   */
  static async open(options: AnswerRunnerOptions): Promise<AnswerRunner> {
    const runner = new AnswerRunner(options);
    await runner.#open(options.database);
    return runner;
  }

  /** Names this runtime among those on the same database. */
  get instance(): string {
    return this.#store.instance;
  }

  /**
   * Takes a place for an answer, before anything of it is stored.
   *
   * @throws {DomainError} `queue_full` when the account has all of its places in use, `engine_unavailable` when the
   *   runtime is ending.
   */
  reserve(owner: string): AnswerPlace {
    if (this.#closed) throw endingError();
    const taken = this.#places.get(owner) ?? 0;
    if (taken >= this.#options.answersPerAccountMax) {
      const message = `You have ${taken} answers in progress, which is as many as may be; wait for one, or stop one`;
      throw new DomainError("queue_full", message);
    }
    this.#places.set(owner, taken + 1);
    const decided = Promise.withResolvers<void>();
    this.#reserved.add(decided.promise);
    let isOurs = true;
    const settle = () => {
      isOurs = false;
      this.#reserved.delete(decided.promise);
      decided.resolve();
    };
    return {
      start: (order) => {
        this.#start(order);
        settle();
      },
      [Symbol.dispose]: () => {
        if (isOurs) this.#leave(owner);
        settle();
      },
    };
  }

  /** Resolves when no answer is in progress. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Interrupts every answer, also those that are about to start, and waits until that is stored. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    const deadline = setTimeout(() => this.#closing.abort(), CLOSE_MS);
    for (const answer of this.#running.values()) answer.end("interrupted");
    await Promise.race([Promise.all(this.#reserved), once(this.#closing.signal)]);
    await this.idle();
    this.#ended = true;
    clearTimeout(deadline);
    await this.#beat;
    await this.#listening?.[Symbol.asyncDispose]();
  }

  async #open(database: Database): Promise<void> {
    const { heartbeatMs, staleMs } = this.#options;
    await this.#store.interruptOwn(staleMs);
    this.#listening = await database.listen("rookery_stops", (payload) => this.#hearStop(payload), {
      onGap: () => this.#show(),
    });
    this.#timer = setInterval(() => this.#show(), heartbeatMs);
  }

  #start(order: AnswerOrder): void {
    // What was begun in the database is interrupted there by whichever runtime looks next.
    if (this.#ended) throw endingError();
    const answer = new RunningAnswer(order, { ...this.#recordOptions, inference: this.inference });
    this.#running.set(order.answerId, answer);
    this.#stops.set(order.answerId, () => answer.end("stopped"));
    answer.ended.then(() => {
      this.#running.delete(order.answerId);
      this.#stops.delete(order.answerId);
      this.#leave(order.owner);
    });
    // It was asked for before the end began, and keeps what it is: an answer that never came to say anything.
    if (this.#closed) answer.end("interrupted");
  }

  /** Stores an answer that somebody else makes, who ends it when it is in vain (`onLost`) or is to stop. */
  record(answerId: string, { onLost, onStop }: { onLost(): void; onStop(): void }): AnswerRecord {
    const record = new AnswerRecord({ ...this.#recordOptions, answerId, onLost });
    this.#stops.set(answerId, onStop);
    record.ended.then(() => this.#stops.delete(answerId));
    return record;
  }

  get #recordOptions(): Omit<AnswerRecordOptions, "answerId" | "onLost"> {
    const { log, chunkIntervalMs } = this.#options;
    return { store: this.#store, log, chunkIntervalMs, closing: this.#closing.signal };
  }

  #leave(owner: string): void {
    const taken = this.#places.get(owner)! - 1;
    if (taken === 0) this.#places.delete(owner);
    else this.#places.set(owner, taken);
  }

  #hearStop(payload: string): void {
    for (const [answerId, stop] of this.#stops) {
      if (payload.includes(answerId)) stop();
    }
  }

  /** Shows that this runtime lives, and looks for those that do not. One at a time. */
  #show(): void {
    this.#beat = this.#beat.then(async () => {
      if (this.#closed) return;
      try {
        const stops = await this.#store.touch([...this.#stops.keys()]);
        for (const answerId of stops) this.#stops.get(answerId)?.();
        const interrupted = await this.#store.interruptStale(this.#options.staleMs);
        if (interrupted.length > 0) this.#options.log.warn("answers_interrupted", { answers: interrupted.length });
      } catch (error) {
        this.#options.log.warn("heartbeat_failed", { error });
      }
    });
  }
}

/** Resolves when `signal` aborts. */
async function once(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

function endingError(): DomainError {
  return new DomainError("engine_unavailable", "Rookery is ending; try again in a moment");
}
