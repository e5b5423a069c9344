import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { ErrorReport } from "../contracts/error.ts";
import type { ModelDescription } from "../contracts/model.ts";
import type { WorkerAddress, WorkerEvent } from "../contracts/worker.ts";
import { readEventStream } from "../client/event_stream.ts";
import { DomainError } from "../errors.ts";
import type { ChatEngine, EngineStatus } from "../inference/engine.ts";

/** How long {@linkcode ChatEngine.status} waits for a worker that may hang, in milliseconds. */
const STATUS_TIMEOUT_MS = 2_000;

/** How long {@linkcode ChatEngine.describe} and `tokenize` wait for a worker that loads its model, in milliseconds. */
const LOAD_TIMEOUT_MS = 30_000;

/**
 * Speaks to a worker over loopback HTTP and server-sent events. Leaving an answer's iteration, or aborting its signal,
 * closes the connection, which is how the worker learns of it.
 *
 * Every method throws `engine_gone` when the worker cannot be reached or breaks off, and `engine_unavailable` when it
 * takes too long to load, beside what the worker's own engine throws.
 */
export function createWorkerClient(address: WorkerAddress): ChatEngine {
  return new WorkerClient(address);
}

class WorkerClient implements ChatEngine {
  readonly #url: string;
  readonly #token: string;
  readonly #http: Deno.HttpClient;

  constructor({ url, token }: WorkerAddress) {
    this.#url = url;
    this.#token = token;
    // Naming the way to the worker keeps HTTP_PROXY from sending loopback requests, and the token, elsewhere.
    const { hostname, port } = new URL(url);
    this.#http = Deno.createHttpClient({ proxy: { transport: "tcp", hostname, port: Number(port) } });
  }

  async describe(): Promise<ModelDescription> {
    return await this.#call<ModelDescription>("/describe", { signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) });
  }

  async tokenize(text: string): Promise<number[]> {
    const init = { method: "POST", body: JSON.stringify({ text }), signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) };
    return (await this.#call<{ tokens: number[] }>("/tokenize", init)).tokens;
  }

  async status(): Promise<EngineStatus> {
    return await this.#call<EngineStatus>("/status", { signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) });
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    try {
      const response = await this.#fetch("/chat", { method: "POST", body: JSON.stringify(request), signal });
      for await (const { data } of readEventStream(response.body!)) {
        // Events that came before the abort may still be held here.
        signal.throwIfAborted();
        const event = JSON.parse(data) as WorkerEvent;
        if (event.type === "error") throw DomainError.fromReport(event.error);
        yield event;
        if (event.type === "done") return;
      }
    } catch (error) {
      throw signal.aborted ? cancelledError(error) : goneUnlessKnown(error);
    }
    throw goneUnlessKnown(new Error("The stream ended without done"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
    return Promise.resolve();
  }

  async #call<Answer>(path: string, init: RequestInit): Promise<Answer> {
    try {
      const response = await this.#fetch(path, init);
      return await response.json() as Answer;
    } catch (error) {
      throw goneUnlessKnown(error);
    }
  }

  /** Sends a request and turns a refusal into the error that it reports. */
  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
    const response = await fetch(new URL(path, this.#url), { ...init, headers, client: this.#http });
    if (!response.ok) throw DomainError.fromReport(await response.json() as ErrorReport);
    return response;
  }
}

function goneUnlessKnown(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new DomainError("engine_unavailable", "The model is still being loaded; try again later", { cause: error });
  }
  return new DomainError("engine_gone", "The process that holds the model ended in the middle of this request", {
    cause: error,
  });
}

function cancelledError(cause: unknown): DomainError {
  return new DomainError("request_cancelled", "The request was cancelled", { cause });
}
