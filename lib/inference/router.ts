import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { GONE, type Inference, type InferenceStatus, type ModelStatus, type NamedInference } from "./inference.ts";
import { listPrefixes, type Prefix } from "./prefix_memory.ts";
import { Replica } from "./replica.ts";
import { unknownModelError } from "./unknown_model.ts";

/** What a {@linkcode createRouter} router stands in front of. */
export interface RouterOptions {
  /** Workers on this machine that serve the same models; may be none where others compute. */
  local: readonly Inference[];
  /** Servers on the network; each one's models begin with its name and a slash. */
  remotes: readonly NamedInference[];
}

/**
 * Share of a conversation that a replica must have seen for it to be worth waiting for. Half is what SGLang's router,
 * which works alike, began with (its `cache_threshold`).
 */
const SHARE_MIN = 0.5;

/**
 * So many more requests than the idlest replica and the one that knows a conversation is passed over: with that many its
 * default of four sequences are taken, and a wait for one costs more than reading the prompt again.
 */
const AHEAD_MAX = 4;

/** Refusals after which another replica may do better; nothing was computed yet. */
const ELSEWHERE = new Set(["engine_gone", "engine_unavailable", "queue_full"]);

/**
 * One {@linkcode Inference} over several. A chat goes to the replica that has seen at least half of its conversation, so
 * that its computed state is used again, unless that one is far busier than another; else to the least busy one, and among
 * equals in turn. A replica that is dead or being restarted is passed over while another lives, and a request that a
 * replica refuses before admitting it is offered to the others. Models of remote servers are found by their name's first
 * part. A remote server that does not answer takes nothing else with it.
 */
export function createRouter(options: RouterOptions): Inference {
  return new Router(options);
}

/** What a replica is asked, and whether that keeps it busy. */
interface LocalQuestion<Answer> {
  ask(inference: Inference): Promise<Answer>;
  heavy: boolean;
}

class Router implements Inference {
  readonly #replicas: readonly Replica[];
  readonly #remotes: ReadonlyMap<string, NamedInference>;
  /** What the replicas last said that they have. */
  #localModels: ModelDescription[] | null = null;
  #turn = 0;

  constructor({ local, remotes }: RouterOptions) {
    this.#replicas = local.map((inference) => new Replica(inference));
    this.#remotes = new Map(remotes.map((remote) => [remote.name, remote]));
  }

  async list(): Promise<ModelDescription[]> {
    const lists = await Promise.all([this.#listLocal(), ...[...this.#remotes.values()].map((remote) => remote.list())]);
    return lists.flat();
  }

  async describe(model: string): Promise<ModelDescription> {
    return await this.#ask(model, { ask: (inference) => inference.describe(model), heavy: false });
  }

  async tokenize(request: { model: string; text: string }): Promise<number[]> {
    return await this.#ask(request.model, { ask: (inference) => inference.tokenize(request), heavy: false });
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const remote = this.#findRemote(request.model);
    try {
      yield* remote === null ? this.#chatLocally(request, signal) : remote.chat(request, signal);
    } catch (error) {
      throw await this.#explain(error, request.model);
    }
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    return await this.#ask(request.model, { ask: (inference) => inference.embed(request, signal), heavy: true });
  }

  /** Every replica loads or unloads it: any of them may be asked next. */
  async keep(request: { model: string; keepAliveMs: number | null }): Promise<void> {
    const remote = this.#findRemote(request.model);
    const keepers = remote === null ? this.#replicas.map(({ inference }) => inference) : [remote];
    if (keepers.length === 0) throw await this.#unknown(request.model);
    try {
      await Promise.all(keepers.map((keeper) => keeper.keep(request)));
    } catch (error) {
      throw await this.#explain(error, request.model);
    }
  }

  async forget(owner: string): Promise<void> {
    for (const { prefixes } of this.#replicas) prefixes.forget(owner);
    const all = [...this.#replicas.map(({ inference }) => inference), ...this.#remotes.values()];
    // One that fails must not keep the others from erasing.
    const outcomes = await Promise.allSettled(all.map((inference) => inference.forget(owner)));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async status(): Promise<InferenceStatus> {
    const local = await Promise.all(this.#replicas.map(({ inference }) => inference.status().catch(() => GONE)));
    const remote = await Promise.all([...this.#remotes.values()].map((inference) => inference.status()));
    const sum = (pick: (status: InferenceStatus) => number, of = [...local, ...remote]) => {
      return of.reduce((total, status) => total + pick(status), 0);
    };
    return {
      state: mergeStates((local.length > 0 ? local : remote).map(({ state }) => state)),
      active: sum(({ active }) => active),
      queued: sum(({ queued }) => queued),
      queuedMax: sum(({ queuedMax }) => queuedMax, local.length > 0 ? local : remote),
      rssBytes: sum(({ rssBytes }) => rssBytes),
      memoryBytesMax: sum(({ memoryBytesMax }) => memoryBytesMax),
      models: mergeModels(local.flatMap(({ models }) => models)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#replicas.map(({ inference }) => inference), ...this.#remotes.values()];
    await Promise.all(all.map((inference) => inference[Symbol.asyncDispose]()));
  }

  /** Asks the remote server that a model is on, or a replica. */
  async #ask<Answer>(model: string, question: LocalQuestion<Answer>): Promise<Answer> {
    const remote = this.#findRemote(model);
    try {
      return await (remote === null ? this.#askLocally(model, question) : question.ask(remote));
    } catch (error) {
      throw await this.#explain(error, model);
    }
  }

  async *#chatLocally(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const prefixes = this.#replicas.length > 1 ? listPrefixes(request) : [];
    const tried = new Set<Replica>();
    let refusal: unknown = null;
    for (;;) {
      const replica = this.#pickFor(prefixes, await this.#listAlive(tried));
      if (replica === null) throw refusal ?? await this.#unknown(request.model);
      tried.add(replica);
      using _ = replica.enter();
      let admitted = false;
      try {
        for await (const event of replica.inference.chat(request, signal)) {
          if (!admitted) replica.prefixes.remember(request.owner, prefixes);
          admitted = true;
          yield event;
        }
        return;
      } catch (error) {
        if (admitted || !isElsewhere(error)) throw error;
        refusal ??= error;
      }
    }
  }

  /** Asks a replica something short, or with `heavy` something that keeps it busy; another one when that is gone. */
  async #askLocally<Answer>(model: string, { ask, heavy }: LocalQuestion<Answer>): Promise<Answer> {
    const tried = new Set<Replica>();
    let refusal: unknown = null;
    for (;;) {
      const alive = await this.#listAlive(tried);
      const replica = heavy ? this.#pickIdlest(alive) : alive[0] ?? null;
      if (replica === null) throw refusal ?? await this.#unknown(model);
      tried.add(replica);
      using _ = heavy ? replica.enter() : null;
      try {
        return await ask(replica.inference);
      } catch (error) {
        if (!isElsewhere(error)) throw error;
        refusal ??= error;
      }
    }
  }

  /** Replicas that live among those that were not tried; at first all when none does, since one may be back soon. */
  async #listAlive(tried: ReadonlySet<Replica>): Promise<readonly Replica[]> {
    if (this.#replicas.length < 2) return tried.size === 0 ? this.#replicas : [];
    const left = this.#replicas.filter((replica) => !tried.has(replica));
    const answers = await Promise.all(left.map((replica) => replica.isAlive()));
    const alive = left.filter((_, at) => answers[at]);
    return alive.length === 0 && tried.size === 0 ? left : alive;
  }

  /** Waits for nothing, so that requests which come together are spread. */
  #pickFor(prefixes: readonly Prefix[], alive: readonly Replica[]): Replica | null {
    const idlest = this.#pickIdlest(alive);
    const needed = SHARE_MIN * (prefixes.at(-1)?.characters ?? Infinity);
    const [known] = alive.map((replica) => ({ replica, characters: replica.prefixes.measure(prefixes) }))
      .filter(({ characters }) => characters >= needed)
      .sort((a, b) => b.characters - a.characters || a.replica.load - b.replica.load);
    if (idlest === null || known === undefined) return idlest;
    return known.replica.load - idlest.load < AHEAD_MAX ? known.replica : idlest;
  }

  /** The least busy one; equals in turn. */
  #pickIdlest(alive: readonly Replica[]): Replica | null {
    if (alive.length < 2) return alive[0] ?? null;
    const turn = this.#turn++ % alive.length;
    const [idlest] = [...alive.slice(turn), ...alive.slice(0, turn)].sort((a, b) => a.load - b.load);
    return idlest!;
  }

  /** What is on this machine, or was there when a worker last lived. */
  async #listLocal(): Promise<ModelDescription[]> {
    if (this.#replicas.length === 0) return [];
    try {
      this.#localModels = await this.#askLocally("", { ask: (inference) => inference.list(), heavy: false });
    } catch (error) {
      if (this.#localModels === null) throw error;
    }
    return this.#localModels;
  }

  #findRemote(model: string): NamedInference | null {
    return this.#remotes.get(model.slice(0, Math.max(0, model.indexOf("/")))) ?? null;
  }

  /** A replica or server that does not know a model knows only its own ones to name. */
  async #explain(error: unknown, model: string): Promise<unknown> {
    const unknown = error instanceof DomainError && error.code === "model_not_found";
    return unknown && this.#remotes.size > 0 ? await this.#unknown(model) : error;
  }

  async #unknown(model: string): Promise<DomainError> {
    return unknownModelError(model, (await this.list()).map(({ id }) => id));
  }
}

function isElsewhere(error: unknown): boolean {
  return error instanceof DomainError && ELSEWHERE.has(error.code);
}

function mergeStates(states: readonly InferenceStatus["state"][]): InferenceStatus["state"] {
  if (states.includes("ready")) return "ready";
  return states.includes("loading") || states.length === 0 ? "loading" : "gone";
}

/** One row for each model, however many replicas hold it. */
function mergeModels(models: readonly ModelStatus[]): ModelStatus[] {
  const merged = new Map<string, ModelStatus>();
  for (const model of models) {
    const before = merged.get(model.id);
    merged.set(model.id, before === undefined ? model : mergeModel(before, model));
  }
  return [...merged.values()];
}

function mergeModel(a: ModelStatus, b: ModelStatus): ModelStatus {
  return {
    id: a.id,
    state: a.state === "ready" || b.state === "ready" ? "ready" : "loading",
    active: a.active + b.active,
    queued: a.queued + b.queued,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    expiresAtMs: a.expiresAtMs === null || b.expiresAtMs === null ? null : Math.max(a.expiresAtMs, b.expiresAtMs),
  };
}
