import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
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
}
