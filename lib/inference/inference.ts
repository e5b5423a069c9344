import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";

/** How a model is doing that is in memory, or on its way there. */
export interface ModelStatus {
  id: string;
  state: "loading" | "ready";
  /** Requests that hold a sequence of it now. */
  active: number;
  /** Requests that wait for one. */
  queued: number;
  /** Memory that it was planned to take, weights and contexts. */
  memoryBytes: number;
  /** When it will be unloaded if nobody asks it, in milliseconds since 1970; null means never. */
  expiresAtMs: number | null;
}

/** Live numbers of everything that answers. */
export interface InferenceStatus {
  /** `loading` until the first model is in memory, `gone` while the process behind it is dead or being restarted. */
  state: "loading" | "ready" | "gone";
  /** Requests that are being answered, over all models. */
  active: number;
  /** Requests that wait. */
  queued: number;
  /** Most requests that may wait for one model; one more is refused with `queue_full`. */
  queuedMax: number;
  /** Resident memory of the processes that hold models. */
  rssBytes: number;
  /** Memory that models may take together. */
  memoryBytesMax: number;
  models: ModelStatus[];
}

/** What is said of something that cannot even say how it is doing. */
export const GONE: InferenceStatus = {
  state: "gone",
  active: 0,
  queued: 0,
  queuedMax: 0,
  rssBytes: 0,
  memoryBytesMax: 0,
  models: [],
};

/**
 * All models that Rookery can answer with, loaded on demand: what functions stand on. Adapters: the pool of a worker
 * (in its process), the client of a worker (over HTTP), the supervised workers of a runtime, remote servers.
 *
 * Whoever names a model that is not there gets `model_not_found`, which names those that are.
 */
export interface Inference extends AsyncDisposable {
  /** Every model that can be asked for, the default one first. Loads nothing. */
  list(): Promise<ModelDescription[]>;
  /** One model as it is served. It may read the model's vocabulary, but does not wait for weights. */
  describe(model: string): Promise<ModelDescription>;
  /** Token ids of `text` in a model's vocabulary; special tokens written in it count as plain text. */
  tokenize(request: { model: string; text: string }): Promise<number[]>;
  /**
   * Yields one answer of `request.model`; see {@linkcode ChatEvent} for the order and `ChatEngine.chat` for refusals
   * and cancellation. The model is loaded when it is not.
   *
   * @throws {DomainError} what `ChatEngine.chat` throws, and `not_enough_memory` with the numbers when the model does
   *   not fit beside those that are in use.
   */
  chat(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatEvent>;
  /**
   * @throws {DomainError} `invalid_request` for a model that does not embed, an empty or a too long input (unless it is
   *   to be cut), and more dimensions than there are; `request_cancelled` when `signal` aborts.
   */
  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings>;
  /** Loads a model, or with `keepAliveMs` 0 unloads it once nobody uses it; the rest as in a chat request. */
  keep(request: { model: string; keepAliveMs: number | null }): Promise<void>;
  /** Erases everything that is kept of an owner's conversations, in memory and on disk. */
  forget(owner: string): Promise<void>;
  /** How busy everything is right now. Never waits for a model. */
  status(): Promise<InferenceStatus>;
}

/** An {@linkcode Inference} of another machine: the ids of its models begin with its name and a slash. */
export interface NamedInference extends Inference {
  readonly name: string;
}
