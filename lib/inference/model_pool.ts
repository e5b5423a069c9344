import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription, ModelFile, ModelKind } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ChatEngine, EmbeddingEngine, ModelPlan } from "./engine.ts";
import type { Inference, InferenceStatus, ModelStatus } from "./inference.ts";
import { ModelSlot, type OpenedEngine, type PoolClock } from "./model_slot.ts";
import { unknownModelError } from "./unknown_model.ts";

/** What an engine tells the pool that opened it, once. */
export interface EngineHooks {
  /** Its weights are in memory. */
  onReady(): void;
  /** It cannot be loaded; every call throws this error. */
  onFatal(error: DomainError): void;
}

/** What a {@linkcode ModelPool} is made of. */
export interface ModelPoolOptions {
  models: readonly ModelFile[];
  /** The model that is listed first and kept for ever unless a request says otherwise. */
  defaultModelId: string;
  /** Memory that models may take together. */
  memoryBytesMax: number;
  /** Milliseconds that other models stay after their last use; -1 means for ever. */
  keepAliveMs: number;
  /** Most requests that wait for one model. */
  queuedMax: number;
  /**
   * Says how a model will be served, without its weights and whatever else is loaded. The answer is kept as long as the
   * model's file stays the same.
   *
   * @throws {DomainError} `not_enough_memory` for a model that can never fit.
   */
  plan(model: ModelFile): Promise<ModelPlan>;
  /** Both return at once; the engine loads in the background. */
  openChat(model: ModelFile, hooks: EngineHooks): ChatEngine;
  openEmbedding(model: ModelFile, hooks: EngineHooks): EmbeddingEngine;
  /** Throws a {@linkcode DomainError} when a model's file is not what it was when it was listed. */
  inspect(model: ModelFile): Promise<void>;
  /** Erases what was stored of an owner's conversations with models that are not loaded. */
  forgetStored?(owner: string): Promise<void>;
  /** Told of models that could not be unloaded, for the log. */
  onFailure?(error: unknown): void;
  clock?: PoolClock;
}

const SYSTEM_CLOCK: PoolClock = {
  now: () => Date.now(),
  after: (delayMs, work) => {
    const timer = setTimeout(work, delayMs);
    return () => clearTimeout(timer);
  },
};

/** The signal of callers that stop nothing. */
const NEVER = new AbortController().signal;

/**
 * Several models in one process, within a memory budget. A model is loaded when it is asked for; where it does not fit
 * beside the others, those that nobody uses go, the least recently used first. What does not fit beside those in use is
 * refused before anything is loaded or unloaded.
 */
export class ModelPool implements Inference {
  readonly #options: ModelPoolOptions;
  readonly #clock: PoolClock;
  #models: ReadonlyMap<string, ModelFile>;
  readonly #plans = new Map<string, { key: string; plan: Promise<ModelPlan> }>();
  readonly #slots = new Set<ModelSlot>();
  /** Models whose memory is being freed: nothing is loaded before it is. */
  readonly #unloading = new Set<Promise<void>>();
  #wasReady = false;
  #closed = false;

  constructor(options: ModelPoolOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#models = new Map(options.models.map((model) => [model.id, model]));
  }

  /** Replaces the list of models. One whose file changed or went is unloaded as soon as nobody uses it. */
  setModels(models: readonly ModelFile[]): void {
    this.#models = new Map(models.map((model) => [model.id, model]));
    for (const id of this.#plans.keys()) if (!this.#models.has(id)) this.#plans.delete(id);
    for (const slot of [...this.#slots]) {
      const model = this.#models.get(slot.model.id);
      if (model === undefined || nameFile(model) !== nameFile(slot.model)) this.#retire(slot);
    }
  }

  async list(): Promise<ModelDescription[]> {
    const isDefault = ({ id }: ModelFile) => id === this.#options.defaultModelId;
    const models = [...this.#models.values()].sort((a, b) => Number(isDefault(b)) - Number(isDefault(a)));
    const plans = await Promise.allSettled(models.map((model) => this.#plan(model)));
    // One that cannot be served here is not offered; whoever names it is told why.
    return plans.flatMap((plan) => plan.status === "fulfilled" ? [plan.value.description] : []);
  }

  async describe(model: string): Promise<ModelDescription> {
    return (await this.#plan(this.#find(model))).description;
  }

  async tokenize({ model, text }: { model: string; text: string }): Promise<number[]> {
    const { slot, opened } = await this.#borrow(model, {});
    try {
      return await opened.engine.tokenize(text);
    } finally {
      this.#giveBack(slot);
    }
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const { slot, opened } = await this.#borrow(request.model, { ...request, kind: "chat", signal });
    try {
      if (opened.kind !== "chat") throw wrongKindError(request.model, "chat");
      yield* opened.engine.chat(request, signal);
    } finally {
      this.#giveBack(slot);
    }
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    const { slot, opened } = await this.#borrow(request.model, { ...request, kind: "embedding", signal });
    try {
      if (opened.kind !== "embedding") throw wrongKindError(request.model, "embedding");
      return await opened.engine.embed(request, signal);
    } finally {
      this.#giveBack(slot);
    }
  }

  async keep({ model, keepAliveMs }: { model: string; keepAliveMs: number | null }): Promise<void> {
    if (keepAliveMs === 0) return await this.#letGo(this.#find(model));
    const { slot } = await this.#borrow(model, { keepAliveMs });
    try {
      await slot.loaded.promise;
    } finally {
      this.#giveBack(slot);
    }
  }

  async forget(owner: string): Promise<void> {
    const engines = [...this.#slots].flatMap(({ opened }) => opened?.kind === "chat" ? [opened.engine] : []);
    await Promise.all(engines.map((engine) => engine.forget?.(owner)));
    // A model that is being unloaded stores what it holds.
    await Promise.all(this.#unloading);
    await this.#options.forgetStored?.(owner);
  }

  async status(): Promise<InferenceStatus> {
    const models = await Promise.all([...this.#slots].map((slot) => describeSlot(slot)));
    return {
      state: this.#wasReady ? "ready" : "loading",
      active: models.reduce((total, { active }) => total + active, 0),
      queued: models.reduce((total, { queued }) => total + queued, 0),
      queuedMax: this.#options.queuedMax,
      rssBytes: Deno.memoryUsage().rss,
      memoryBytesMax: this.#options.memoryBytesMax,
      models,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const slot of [...this.#slots]) this.#unload(slot);
    await Promise.all(this.#unloading);
  }

  #find(id: string): ModelFile {
    const model = this.#models.get(id);
    if (model === undefined) throw unknownModelError(id, [...this.#models.keys()]);
    return model;
  }

  #plan(model: ModelFile): Promise<ModelPlan> {
    const key = JSON.stringify(model);
    const known = this.#plans.get(model.id);
    if (known?.key === key) return known.plan;
    const plan = this.#options.plan(model);
    this.#plans.set(model.id, { key, plan });
    plan.catch(() => {
      // The reason may go away: the next one who asks has it looked at again.
      if (this.#plans.get(model.id)?.plan === plan) this.#plans.delete(model.id);
    });
    return plan;
  }

  /** Counts a user of a model, loads it when it is not, and waits for its engine. Whoever borrows gives back. */
  async #borrow(
    id: string,
    { kind = null, keepAliveMs, signal = NEVER }: {
      kind?: ModelKind | null;
      /** Left out, how long the model is kept stays as it is. */
      keepAliveMs?: number | null;
      signal?: AbortSignal;
    },
  ): Promise<{ slot: ModelSlot; opened: OpenedEngine }> {
    const slot = await this.#enter(id, { kind, signal });
    try {
      if (keepAliveMs !== undefined) slot.keepAliveMs = keepAliveMs ?? this.#keepAliveOf(id);
      return { slot, opened: slot.opened ?? await orAborted(slot.opening.promise, signal) };
    } catch (error) {
      this.#giveBack(slot);
      throw error;
    }
  }

  async #enter(id: string, { kind, signal }: { kind: ModelKind | null; signal: AbortSignal }): Promise<ModelSlot> {
    for (;;) {
      if (this.#closed) throw new DomainError("engine_gone", "The models are being unloaded");
      const model = this.#find(id);
      if (kind !== null && model.kind !== kind) throw wrongKindError(id, kind);
      const plan = await orAborted(this.#plan(model), signal);
      // The list may be another one by now.
      if (this.#models.get(id) !== model || this.#closed) continue;
      const slot = this.#findSlot(id) ?? this.#load(model, plan);
      if (slot.opened === null && slot.users > this.#options.queuedMax) throw queueFullError(id, slot.users);
      slot.enter();
      return slot;
    }
  }

  #giveBack(slot: ModelSlot): void {
    slot.leave();
    if (slot.users > 0 || !this.#slots.has(slot)) return;
    if (slot.retired || slot.keepAliveMs === 0) this.#unload(slot);
    else slot.countDown(() => this.#unload(slot));
  }

  #findSlot(id: string): ModelSlot | null {
    return [...this.#slots].find((slot) => slot.model.id === id && !slot.retired) ?? null;
  }

  #keepAliveOf(id: string): number {
    return id === this.#options.defaultModelId ? -1 : this.#options.keepAliveMs;
  }

  /** Takes room for a model, before anybody else can, and begins to load it. */
  #load(model: ModelFile, { memoryBytes }: ModelPlan): ModelSlot {
    for (const victim of this.#chooseVictims(model, memoryBytes)) this.#unload(victim);
    const slot = new ModelSlot(model, memoryBytes, { keepAliveMs: this.#keepAliveOf(model.id), clock: this.#clock });
    this.#slots.add(slot);
    this.#open(slot).catch((error) => this.#fail(slot, error));
    return slot;
  }

  async #open(slot: ModelSlot): Promise<void> {
    await Promise.all(this.#unloading);
    await this.#options.inspect(slot.model);
    if (!this.#slots.has(slot)) throw new DomainError("engine_gone", "The model is being unloaded");
    const hooks: EngineHooks = {
      onReady: () => {
        slot.state = "ready";
        this.#wasReady = true;
        slot.loaded.resolve();
      },
      onFatal: (error) => this.#fail(slot, error),
    };
    const { model } = slot;
    slot.opened = model.kind === "chat"
      ? { kind: "chat", engine: this.#options.openChat(model, hooks) }
      : { kind: "embedding", engine: this.#options.openEmbedding(model, hooks) };
    slot.opening.resolve(slot.opened);
  }

  /** Which models go to make room; none goes when that would not be enough. */
  #chooseVictims(model: ModelFile, neededBytes: number): ModelSlot[] {
    const slots = [...this.#slots];
    const heldBytes = slots.reduce((total, { memoryBytes }) => total + memoryBytes, 0);
    let missingBytes = heldBytes + neededBytes - this.#options.memoryBytesMax;
    const victims: ModelSlot[] = [];
    for (const slot of slots.filter(({ users }) => users === 0).sort((a, b) => a.goesBefore(b) ? -1 : 1)) {
      if (missingBytes <= 0) break;
      victims.push(slot);
      missingBytes -= slot.memoryBytes;
    }
    if (missingBytes > 0) throw this.#noRoomError(model, neededBytes);
    return victims;
  }

  #noRoomError(model: ModelFile, neededBytes: number): DomainError {
    const { memoryBytesMax } = this.#options;
    const holders = [...this.#slots].filter(({ users }) => users > 0);
    const heldBytes = holders.reduce((total, { memoryBytes }) => total + memoryBytes, 0);
    const held = holders.map(({ model, memoryBytes }) => `"${model.id}" holds ${gigabytes(memoryBytes)}`).join(", ");
    const needs = `it needs ${gigabytes(neededBytes)} of the ${gigabytes(memoryBytesMax)} that models may take`;
    const text = neededBytes > memoryBytesMax
      ? `Cannot load model "${model.id}": ${needs}; take a smaller model, or raise ROOKERY_MEMORY`
      : `Cannot load model "${model.id}" now: ${needs}, and in use ${held}; try again later, or raise ROOKERY_MEMORY`;
    const details = { neededBytes, heldBytes, availableBytes: memoryBytesMax };
    return new DomainError("not_enough_memory", text, { details });
  }

  /** A model that nobody uses goes at once, one that somebody uses when he has left. */
  async #letGo(model: ModelFile): Promise<void> {
    const slot = this.#findSlot(model.id);
    if (slot === null) return;
    slot.keepAliveMs = 0;
    if (slot.users === 0) await this.#unload(slot);
  }

  #fail(slot: ModelSlot, error: unknown): void {
    slot.opening.reject(error);
    slot.loaded.reject(error);
    this.#retire(slot);
  }

  #retire(slot: ModelSlot): void {
    slot.retired = true;
    if (slot.users === 0) this.#unload(slot);
  }

  #unload(slot: ModelSlot): Promise<void> {
    if (!this.#slots.delete(slot)) return Promise.resolve();
    slot.loaded.reject(new DomainError("engine_gone", "The model was unloaded before it was used"));
    const unloading = slot.dispose()
      .catch((error) => this.#options.onFailure?.(error))
      .finally(() => this.#unloading.delete(unloading));
    this.#unloading.add(unloading);
    return unloading;
  }
}

async function describeSlot(slot: ModelSlot): Promise<ModelStatus> {
  const { active, queued } = await slot.opened?.engine.status() ?? { active: 0, queued: slot.users };
  const { model: { id }, state, memoryBytes, expiresAtMs } = slot;
  return { id, state, active, queued, memoryBytes, expiresAtMs };
}

/** What tells one file from another, as far as that can be seen without reading it. */
function nameFile({ path, sizeBytes, modifiedAtMs }: ModelFile): string {
  return JSON.stringify([path, sizeBytes, modifiedAtMs]);
}

async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new DomainError("request_cancelled", "The request was cancelled"));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function wrongKindError(model: string, wanted: ModelKind): DomainError {
  const text = wanted === "embedding"
    ? `The model "${model}" does not embed: name an embedding model`
    : `The model "${model}" only embeds: name a model that chats`;
  return new DomainError("invalid_request", text, { param: "model" });
}

function queueFullError(model: string, waiting: number): DomainError {
  return new DomainError("queue_full", `${waiting} requests wait for "${model}" already; try again in a moment`);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
