import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import type { WorkerModel } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import type { Inference, InferenceStatus } from "../inference/inference.ts";
import { withDeadline } from "./deadline.ts";
import type { LiveWorker, WorkerKeeper } from "./worker_keeper.ts";

/** How long a worker whose connection broke may take to be seen as dead, in milliseconds. */
const DEATH_SEEN_MS = 2_000;

/** Events that a reader cannot be sent twice. */
const ANSWER_EVENTS: ChatEvent["type"][] = ["reasoning", "text", "tool_call", "tool_arguments", "done"];

/** Bounds of a {@linkcode SupervisedInference}. */
export interface SupervisedInferenceOptions {
  /** Memory that models may take together, for the status while there is no worker. */
  memoryBytesMax: number;
  /** Most requests that wait for a worker that is being started. */
  waitingMax: number;
  /** How long answers in flight may go on when it is closed, in milliseconds. */
  drainMs: number;
}

/**
 * The models that the runtime uses: passes everything to the worker of the day. A request whose worker dies before it
 * sent anything of its answer is asked again once, and its reader sees no second `admitted` or `started`; one that had
 * sent something throws `engine_gone`, because another answer would not continue the first.
 */
export class SupervisedInference implements Inference {
  readonly #keeper: WorkerKeeper;
  readonly #options: SupervisedInferenceOptions;
  readonly #answers = new Set<AbortController>();
  #waiting = 0;
  #drained = Promise.withResolvers<void>();
  #closing: Promise<void> | null = null;

  constructor(keeper: WorkerKeeper, options: SupervisedInferenceOptions) {
    this.#keeper = keeper;
    this.#options = options;
  }

  /** Resolves when the first worker has the default model in memory; rejects when it says that it cannot. */
  get ready(): Promise<ModelDescription> {
    return this.#keeper.ready;
  }

  /** The worker's process id, or null while there is none. */
  get workerPid(): number | null {
    return this.#keeper.workerPid;
  }

  async list(): Promise<ModelDescription[]> {
    return await this.#askTwice((worker) => worker.list());
  }

  async describe(model: string): Promise<ModelDescription> {
    return await this.#askTwice((worker) => worker.describe(model));
  }

  async tokenize(request: { model: string; text: string }): Promise<number[]> {
    return await this.#askTwice((worker) => worker.tokenize(request));
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    return await this.#askTwice((worker) => worker.embed(request, signal), signal);
  }

  async keep(request: { model: string; keepAliveMs: number | null }): Promise<void> {
    await this.#askTwice((worker) => worker.keep(request));
  }

  async forget(owner: string): Promise<void> {
    await this.#askTwice((worker) => worker.forget(owner));
  }

  /** Replaces the list of models, for this worker and for those that come after it. */
  async setModels(models: readonly WorkerModel[]): Promise<void> {
    // A worker that cannot be told is replaced by one that is told at its start.
    await this.#keeper.setModels(models).catch(() => {});
  }

  async status(): Promise<InferenceStatus> {
    const { waitingMax, memoryBytesMax } = this.#options;
    const none: InferenceStatus = {
      state: this.#keeper.wasReady ? "gone" : "loading",
      active: 0,
      queued: this.#waiting,
      queuedMax: waitingMax,
      rssBytes: 0,
      memoryBytesMax,
      models: [],
    };
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
        if (attempt === 2 || ANSWER_EVENTS.some((type) => seen.has(type)) || !isGone(error)) throw error;
        await withDeadline(worker.process.exited, DEATH_SEEN_MS);
      }
    }
  }

  async #askTwice<Answer>(
    ask: (worker: Inference) => Promise<Answer>,
    signal: AbortSignal | null = null,
  ): Promise<Answer> {
    const worker = await this.#acquire(signal);
    try {
      return await ask(worker.client);
    } catch (error) {
      if (!isGone(error)) throw error;
      await withDeadline(worker.process.exited, DEATH_SEEN_MS);
      return await ask((await this.#acquire(signal)).client);
    }
  }

  /** Waits for a worker among a bounded number; requests asked again do not count, they were admitted before. */
  async #acquire(signal: AbortSignal | null): Promise<LiveWorker> {
    const { waitingMax } = this.#options;
    if (this.#keeper.live === null && this.#waiting >= waitingMax) {
      throw new DomainError("queue_full", `${waitingMax} requests wait for the models already; try again in a moment`);
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
