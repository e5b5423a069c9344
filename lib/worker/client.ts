import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ErrorReport } from "../contracts/error.ts";
import type { ModelDescription } from "../contracts/model.ts";
import type {
  ForgetRequest,
  KeepRequest,
  ModelsUpdate,
  TokenizeRequest,
  WorkerAddress,
  WorkerEvent,
  WorkerModel,
} from "../contracts/worker.ts";
import { readEventStream } from "../client/event_stream.ts";
import { DomainError } from "../errors.ts";
import type { Inference, InferenceStatus } from "../inference/inference.ts";
import { unpackEmbeddings } from "./vectors.ts";

/** How long what needs no model is waited for: a worker may hang. In milliseconds. */
const STATUS_TIMEOUT_MS = 2_000;

/** How long what needs headers or a vocabulary is waited for, in milliseconds. */
const LOAD_TIMEOUT_MS = 30_000;

/** How long a model's weights are waited for, in milliseconds. */
const WEIGHTS_TIMEOUT_MS = 600_000;

/** The models of a worker process. */
export interface WorkerClient extends Inference {
  /** Tells the worker every model that can be asked for from now on. */
  setModels(models: readonly WorkerModel[]): Promise<void>;
}

/**
 * Speaks to a worker over loopback HTTP and server-sent events. Leaving an answer's iteration, or aborting its signal,
 * closes the connection, which is how the worker learns of it.
 *
 * Every method throws `engine_gone` when the worker cannot be reached or breaks off, and `engine_unavailable` when it
 * takes too long to load, beside what the worker itself throws.
 */
export function createWorkerClient(address: WorkerAddress): WorkerClient {
  return new HttpWorkerClient(address);
}

class HttpWorkerClient implements WorkerClient {
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

  async list(): Promise<ModelDescription[]> {
    return await this.#read("/models", LOAD_TIMEOUT_MS);
  }

  async describe(model: string): Promise<ModelDescription> {
    return await this.#read(`/models/${encodeURIComponent(model)}`, LOAD_TIMEOUT_MS);
  }

  async setModels(models: readonly WorkerModel[]): Promise<void> {
    const body: ModelsUpdate = { models: [...models] };
    await this.#send("/models", { method: "PUT", body, timeoutMs: STATUS_TIMEOUT_MS });
  }

  async tokenize(body: TokenizeRequest): Promise<number[]> {
    const answer = await this.#send<{ tokens: number[] }>("/tokenize", { body, timeoutMs: LOAD_TIMEOUT_MS });
    return answer.tokens;
  }

  async keep(body: KeepRequest): Promise<void> {
    await this.#send("/keep", { body, timeoutMs: WEIGHTS_TIMEOUT_MS });
  }

  async forget(owner: string): Promise<void> {
    const body: ForgetRequest = { owner };
    await this.#send("/forget", { body, timeoutMs: LOAD_TIMEOUT_MS });
  }

  async status(): Promise<InferenceStatus> {
    return await this.#read("/status", STATUS_TIMEOUT_MS);
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    try {
      const response = await this.#fetch("/embed", { method: "POST", body: JSON.stringify(request), signal });
      return unpackEmbeddings(new Uint8Array(await response.arrayBuffer()));
    } catch (error) {
      throw signal.aborted ? cancelledError(error) : goneUnlessKnown(error);
    }
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

  async #read<Answer>(path: string, timeoutMs: number): Promise<Answer> {
    return await this.#call<Answer>(path, { signal: AbortSignal.timeout(timeoutMs) });
  }

  async #send<Answer>(
    path: string,
    { method = "POST", body, timeoutMs }: { method?: string; body: object; timeoutMs: number },
  ): Promise<Answer> {
    const init = { method, body: JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) };
    return await this.#call<Answer>(path, init);
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
