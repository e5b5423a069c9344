import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";

/** Live numbers of an engine. */
export interface EngineStatus {
  /** `loading` until the model is in memory, `gone` while the process behind it is dead or being restarted. */
  state: "loading" | "ready" | "gone";
  /** Requests that hold a sequence now. */
  active: number;
  /** Requests that wait for one. */
  queued: number;
  /** Most requests that may wait; one more is refused with `queue_full`. */
  queuedMax: number;
  /** Resident memory of the process that holds the model. */
  rssBytes: number;
}

/** How a model will be served, and what that takes. */
export interface ModelPlan {
  description: ModelDescription;
  /** Memory of weights and contexts together. */
  memoryBytes: number;
}

/**
 * Answers chats with one loaded model. Adapters: llama (GGUF, inside the worker), worker client (over HTTP, with
 * supervision), scripted (tests). All pass `tests/contract/chat_engine.ts`; llama also what it asks of a real model.
 */
export interface ChatEngine extends AsyncDisposable {
  /**
   * The model as it is served. It may wait for the vocabulary, but not for the weights, so that a request's status is
   * settled while a large model is still being loaded.
   *
   * @throws {DomainError} `engine_unavailable` when no model can be loaded.
   */
  describe(): Promise<ModelDescription>;
  /** Token ids of `text`; special tokens written in it count as plain text. */
  tokenize(text: string): Promise<number[]>;
  /** How busy the engine is right now. Never waits for the model. */
  status(): Promise<EngineStatus>;
  /**
   * Yields one answer; see {@linkcode ChatEvent} for the order. Until `admitted` nothing was computed, and a refusal
   * throws; after it, a failure throws too, so that a stream always ends in `done` or an error.
   * Aborting `signal`, or leaving the iteration early, frees the sequence within one token (within one chunk of 64
   * tokens while the prompt is read); an abort throws `request_cancelled`.
   *
   * @throws {DomainError} before `admitted`: `context_length_exceeded` with both numbers, `queue_full`,
   *   `invalid_request` when the model's template refuses the messages; after it: `queue_timeout`, `prefill_timeout`,
   *   `engine_gone`, `request_cancelled`.
   */
  chat(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatEvent>;
  /**
   * Ends an owner's answers with `request_cancelled` and erases everything that is kept of the owner's conversations;
   * engines that keep nothing leave it out.
   */
  forget?(owner: string): Promise<void>;
}

/** Most texts that an embedding engine computes at once: more bring no speed and take much memory (32: 1.7 GB). */
export const EMBED_BATCH_MAX = 8;

/**
 * Turns texts into vectors with one loaded model, as background work: between batches of at most
 * {@linkcode EMBED_BATCH_MAX} texts others may compute. Adapters: onnx (ONNX Runtime), llama (GGUF). Both pass
 * `tests/contract/embedding_engine.ts`.
 */
export interface EmbeddingEngine extends AsyncDisposable {
  /**
   * The model as it is served; `dimensions` is the length of a vector and `contextTokensMax` the longest input.
   *
   * @throws {DomainError} `engine_unavailable` when the model cannot be loaded.
   */
  describe(): Promise<ModelDescription>;
  /** Token ids of `text`, without those that the model puts around an input; special tokens in it count as text. */
  tokenize(text: string): Promise<number[]>;
  /** How busy the engine is right now. Never waits for the model. */
  status(): Promise<EngineStatus>;
  /**
   * One vector for each input, in order, each one unit long. Nothing is computed before every input has been looked at,
   * so a refusal costs nothing. Aborting `signal` takes effect after the batch that is being computed.
   *
   * @throws {DomainError} `invalid_request` for an empty input or an unknown token id (its `param` names it, as
   *   `input[3]`) and for more `dimensions` than the model has; `context_length_exceeded` with both numbers when an input
   *   is too long and `truncate` is false; `queue_full`; `request_cancelled`; `engine_unavailable` when the model
   *   cannot be loaded; `engine_gone` when the process or thread behind it died, or the engine was disposed of.
   */
  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings>;
}
