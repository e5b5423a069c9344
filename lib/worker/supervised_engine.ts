import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ChatEngine, EngineStatus } from "../inference/engine.ts";
import { withDeadline } from "./deadline.ts";
import type { LiveWorker, WorkerKeeper } from "./worker_keeper.ts";

/** How long a worker whose connection broke may take to be seen as dead, in milliseconds. */
const DEATH_SEEN_MS = 2_000;

/** Bounds of a {@linkcode SupervisedEngine}. */
export interface SupervisedEngineOptions {
  /** Most requests that wait for a worker that is being started. */
  waitingMax: number;
  /** How long answers in flight may go on when it is closed, in milliseconds. */
  drainMs: number;
}

/**
 * The engine that the runtime uses: passes everything to the worker of the day. A request whose worker dies before it
 * sent text is asked again once, and its reader sees no second `admitted` or `started`; one that had sent text throws
 * `engine_gone`, because another answer would not continue the first.
 */
export class SupervisedEngine implements ChatEngine {
  readonly #keeper: WorkerKeeper;
  readonly #options: SupervisedEngineOptions;
  readonly #answers = new Set<AbortController>();
  #waiting = 0;
  #drained = Promise.withResolvers<void>();
  #closing: Promise<void> | null = null;

  constructor(keeper: WorkerKeeper, options: SupervisedEngineOptions) {
    this.#keeper = keeper;
    this.#options = options;
  }

  /** Resolves when the first worker has its model in memory; rejects when it says that it cannot. */
  get ready(): Promise<ModelDescription> {
    return this.#keeper.ready;
  }

  /** The worker's process id, or null while there is none. */
  get workerPid(): number | null {
    return this.#keeper.workerPid;
  }

  async describe(): Promise<ModelDescription> {
    return this.#keeper.live?.model ?? await this.#askTwice((engine) => engine.describe());
  }

  async tokenize(text: string): Promise<number[]> {
    return await this.#askTwice((engine) => engine.tokenize(text));
  }

  async status(): Promise<EngineStatus> {
    const queuedMax = this.#options.waitingMax;
    const state = this.#keeper.wasReady ? "gone" : "loading";
    const none: EngineStatus = { state, active: 0, queued: this.#waiting, queuedMax, rssBytes: 0 };
    return await this.#keeper.live?.client.status().catch(() => none) ?? none;
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    if (this.#closing !== null) throw shutDownError();
    const closing = new AbortController();
    this.#answers.add(closing);
    try {
      yield* this.#chatTwice(request, AbortSignal.any([signal, closing.signal]));
    } catch (error) {
      throw closing.signal.aborted && !signal.aborted ? shutDownError() : error;
    } finally {
      this.#answers.delete(closing);
      if (this.#answers.size === 0) this.#drained.resolve();
    }
  }

  /** Lets answers in flight end, as long as `drainMs`, then ends the worker: by the end of its input, TERM, KILL. */
  async close(): Promise<void> {
    this.#closing ??= this.#drainAndClose();
    await this.#closing;
  }

  /** Ends the worker at once. */
  kill(): void {
    this.#keeper.kill();
    this.#closing ??= this.#keeper.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *#chatTwice(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const seen = new Set<ChatEvent["type"]>();
    for (let attempt = 1;; attempt++) {
      const worker = attempt === 1 ? await this.#acquire(signal) : await this.#keeper.acquire(signal);
      try {
        for await (const event of worker.client.chat(request, signal)) {
          const repeated = (event.type === "admitted" || event.type === "started") && seen.has(event.type);
          seen.add(event.type);
          if (!repeated) yield event;
        }
        return;
      } catch (error) {
        if (attempt === 2 && seen.size > 0) throw asGone(error);
        if (attempt === 2 || seen.has("text") || !isGone(error)) throw error;
        await withDeadline(worker.process.exited, DEATH_SEEN_MS);
      }
    }
  }

  async #askTwice<Answer>(ask: (engine: ChatEngine) => Promise<Answer>): Promise<Answer> {
    const worker = await this.#acquire(null);
    try {
      return await ask(worker.client);
    } catch (error) {
      if (!isGone(error)) throw error;
      await withDeadline(worker.process.exited, DEATH_SEEN_MS);
      return await ask((await this.#acquire(null)).client);
    }
  }

  /** Waits for a worker among a bounded number; requests asked again do not count, they were admitted before. */
  async #acquire(signal: AbortSignal | null): Promise<LiveWorker> {
    const { waitingMax } = this.#options;
    if (this.#keeper.live === null && this.#waiting >= waitingMax) {
      throw new DomainError("queue_full", `${waitingMax} requests wait for the model already; try again in a moment`);
    }
    this.#waiting++;
    try {
      return await this.#keeper.acquire(signal);
    } finally {
      this.#waiting--;
    }
  }

  async #drainAndClose(): Promise<void> {
    this.#drained = Promise.withResolvers();
    if (this.#answers.size > 0) await withDeadline(this.#drained.promise, this.#options.drainMs);
    for (const answer of this.#answers) answer.abort();
    await this.#keeper.close();
  }
}

function isGone(error: unknown): boolean {
  return error instanceof DomainError && error.code === "engine_gone";
}

/** A second worker whose queue was full of others: to a reader who was admitted by the first, that one is gone. */
function asGone(error: unknown): unknown {
  if (!(error instanceof DomainError) || error.code !== "queue_full") return error;
  return new DomainError("engine_gone", "The process that held the model ended, and the new one was busy", {
    cause: error,
  });
}

function shutDownError(): DomainError {
  return new DomainError("engine_unavailable", "Rookery is shutting down");
}
