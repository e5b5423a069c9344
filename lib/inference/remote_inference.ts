import { z } from "zod";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import type { InferenceStatus, NamedInference } from "./inference.ts";
import { RemoteAnswer } from "./remote_answer.ts";
import { RemoteCatalogue } from "./remote_catalogue.ts";
import { readRemoteEmbeddings, toRemoteEmbed } from "./remote_embeddings.ts";
import { brokenError, explainRefusal, isErrorBody, nameOf } from "./remote_errors.ts";
import {
  type RemoteAddress,
  type RemoteClock,
  RemoteHttp,
  type RemoteStream,
  type RemoteTimeouts,
} from "./remote_http.ts";
import type { RemoteModel } from "./remote_models.ts";
import { toRemoteChat } from "./remote_request.ts";
import { estimateTokens } from "./token_estimate.ts";

/** Another server, and how to treat it. */
export interface RemoteOptions extends RemoteAddress {
  log?: Logger;
  /** Most requests that are under way there at the same time. Default 256. */
  requestsMax?: number;
  /** For tests. */
  fetch?: typeof fetch;
  clock?: Partial<RemoteClock>;
  timeouts?: Partial<RemoteTimeouts>;
}

const REQUESTS_MAX = 256;

const TIMEOUTS: RemoteTimeouts = { shortMs: 5_000, firstByteMs: 600_000, idleMs: 120_000 };

/**
 * How long a server may look at a request before it counts as admitted, in milliseconds. It refuses at once or, like
 * llama-server, accepts only with the first token; until a request is admitted its client sees no sign of life.
 */
const ADMITTED_MS = 5_000;

const CLOCK: RemoteClock = {
  nowMs: () => performance.now(),
  random: Math.random,
  wait: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", stop);
        resolve();
      }, ms);
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    }),
};

const Tokens = z.object({ tokens: z.array(z.number().int()) });

/**
 * Answers with the models of a server that speaks OpenAI's API: llama-server, vLLM, Ollama, another Rookery. Nothing is
 * loaded or unloaded there on Rookery's behalf, and tokens are counted there: `admitted` has an estimate, `done` the
 * server's own numbers, and of the times it has what is seen from here.
 */
export function createRemoteInference(options: RemoteOptions): NamedInference {
  return new RemoteInference(options);
}

class RemoteInference implements NamedInference {
  readonly name: string;
  readonly #address: RemoteAddress;
  readonly #http: RemoteHttp;
  readonly #catalogue: RemoteCatalogue;
  readonly #clock: RemoteClock;
  readonly #requestsMax: number;
  readonly #closing = new AbortController();
  /** What the server's caches know each owner by: nothing that names one, and not the same after it was forgotten. */
  readonly #salts = new Map<string, string>();
  #active = 0;

  constructor({ name, url, apiKey, log = silentLogger, requestsMax = REQUESTS_MAX, ...options }: RemoteOptions) {
    this.name = name;
    this.#address = { name, url: trimUrl(url), apiKey };
    this.#clock = { ...CLOCK, ...options.clock };
    this.#http = new RemoteHttp(this.#address, {
      fetch: options.fetch ?? fetch,
      clock: this.#clock,
      timeouts: { ...TIMEOUTS, ...options.timeouts },
    });
    this.#catalogue = new RemoteCatalogue(this.#address, { http: this.#http, clock: this.#clock, log });
    this.#requestsMax = requestsMax;
  }

  async list(): Promise<ModelDescription[]> {
    return await this.#catalogue.list();
  }

  async describe(model: string): Promise<ModelDescription> {
    return (await this.#catalogue.find(model, this.#closing.signal)).description;
  }

  /** vLLM reads special tokens in a text as such; there is no way to ask it not to. */
  async tokenize({ model, text }: { model: string; text: string }): Promise<number[]> {
    const { id, dialect } = await this.#catalogue.find(model, this.#closing.signal);
    const signal = this.#closing.signal;
    const ask = async (path: string, body: object) => Tokens.parse(await this.#http.ask({ path, body, signal })).tokens;
    if (dialect === "rookery") return await ask("/v1/tokenize", { model: id, prompt: text });
    if (dialect === "vllm") return await ask("/tokenize", { model: id, prompt: text, add_special_tokens: false });
    if (dialect === "llama.cpp") {
      return await ask("/tokenize", { model: id, content: text, add_special: false, parse_special: false });
    }
    const message = `${nameOf(this.#address)} has no tokenizer that Rookery can ask for the model "${model}"`;
    throw new DomainError("invalid_request", message, { param: "model" });
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const leaving = new AbortController();
    const ends = AbortSignal.any([signal, leaving.signal, this.#closing.signal]);
    this.#enter();
    try {
      const model = await this.#catalogue.find(request.model, ends);
      yield* this.#answer(request, model, ends);
      this.#catalogue.note(null);
    } catch (error) {
      throw this.#explain(error, signal);
    } finally {
      leaving.abort();
      this.#active--;
    }
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    const ends = AbortSignal.any([signal, this.#closing.signal]);
    this.#enter();
    try {
      const model = await this.#catalogue.find(request.model, ends);
      const body = toRemoteEmbed(request, model);
      const answer = await this.#http.compute({ path: "/v1/embeddings", body, signal: ends });
      this.#catalogue.note(null);
      return this.#readVectors(answer, request.inputs.length);
    } catch (error) {
      throw this.#explain(error, signal);
    } finally {
      this.#active--;
    }
  }

  /** The server decides what it keeps in memory. */
  async keep({ model }: { model: string }): Promise<void> {
    await this.#catalogue.find(model, this.#closing.signal);
  }

  /** Makes what vLLM's cache holds of the owner unreachable; of other servers' caches nothing can be erased from here. */
  forget(owner: string): Promise<void> {
    this.#salts.delete(owner);
    return Promise.resolve();
  }

  status(): Promise<InferenceStatus> {
    return Promise.resolve({
      state: this.#catalogue.state,
      active: this.#active,
      queued: 0,
      queuedMax: this.#requestsMax,
      rssBytes: 0,
      memoryBytesMax: 0,
      models: [],
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#catalogue[Symbol.dispose]();
    this.#http[Symbol.dispose]();
    return Promise.resolve();
  }

  async *#answer(request: ChatRequest, model: RemoteModel, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    const chat = toRemoteChat(request, model, this.#saltOf(request.owner));
    const sentAtMs = this.#clock.nowMs();
    const opening = this.#http.open({ ...chat, signal });
    // An answer that nobody waits for any more is closed, however late it is opened.
    signal.addEventListener("abort", () => opening.then((stream) => stream[Symbol.dispose](), () => {}), {
      once: true,
    });
    // While the server looks at the request there is time for that.
    const promptTokens = estimatePrompt(request);
    await this.#admit(opening, signal);
    yield { type: "admitted", promptTokens };
    using stream = await opening;
    const mustCall = request.tools.length > 0 && request.toolChoice !== "none" && request.toolChoice !== "auto";
    const answer = new RemoteAnswer({
      nowMs: this.#clock.nowMs,
      sentAtMs,
      estimate: estimateTokens,
      promptTokens,
      mustCall,
    });
    yield* this.#follow(stream, answer, signal);
  }

  /** Resolves when the server has accepted the request or was silent for a while; rejects when it refuses. */
  async #admit(opening: Promise<RemoteStream>, signal: AbortSignal): Promise<void> {
    const decided = new AbortController();
    const patience = this.#clock.wait(ADMITTED_MS, AbortSignal.any([signal, decided.signal])).catch(() => {});
    try {
      await Promise.race([opening, patience]);
      if (signal.aborted) await opening;
    } finally {
      decided.abort();
    }
  }

  async *#follow(
    stream: RemoteStream,
    answer: RemoteAnswer,
    signal: AbortSignal,
  ): AsyncGenerator<ChatEvent, void, void> {
    for await (const text of stream.messages) {
      if (text.trim() === "[DONE]") break;
      const data = this.#parse(text);
      if (isErrorBody(data)) throw explainRefusal(this.#address, { status: null, body: data });
      for (const event of this.#read(() => answer.read(data))) {
        // Events that came before the abort may still be held here.
        signal.throwIfAborted();
        yield event;
      }
    }
    if (!answer.finished) throw brokenError(this.#address, "broke off in the middle of this answer");
    yield* this.#read(() => answer.finish());
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw brokenError(this.#address, "sends what is no JSON", cause);
    }
  }

  #read(read: () => Iterable<ChatEvent>): ChatEvent[] {
    try {
      return [...read()];
    } catch (cause) {
      if (cause instanceof DomainError) throw cause;
      throw brokenError(this.#address, "sends what is no answer of OpenAI's API", cause);
    }
  }

  #readVectors(answer: unknown, inputs: number): Embeddings {
    try {
      return readRemoteEmbeddings(answer, inputs);
    } catch (cause) {
      throw brokenError(this.#address, "sends what are no embeddings of OpenAI's API", cause);
    }
  }

  #enter(): void {
    if (this.#active >= this.#requestsMax) {
      const message = `${nameOf(this.#address)} has ${this.#requestsMax} requests under way; try again in a moment`;
      throw new DomainError("queue_full", message);
    }
    this.#active++;
  }

  #explain(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return new DomainError("request_cancelled", "The request was cancelled", { cause: error });
    if (this.#closing.signal.aborted) return new DomainError("engine_unavailable", "Rookery is shutting down");
    const about = error instanceof DomainError && /^(engine_|model_not_found|invalid_config)/.test(error.code);
    if (about) this.#catalogue.note(error);
    return error;
  }

  #saltOf(owner: string): string {
    const salt = this.#salts.get(owner) ?? crypto.randomUUID();
    this.#salts.set(owner, salt);
    return salt;
  }
}

/** People give the address with `/v1` as they do elsewhere, or without. */
function trimUrl(url: string): string {
  return url.replace(/\/+$/, "").replace(/\/v1$/, "");
}

function estimatePrompt({ messages, prompt, tools }: ChatRequest): number {
  if (prompt !== null) return estimateTokens(prompt);
  return estimateTokens(messages ?? []) + (tools.length === 0 ? 0 : estimateTokens(JSON.stringify(tools)));
}
