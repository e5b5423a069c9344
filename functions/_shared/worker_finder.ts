import type { ChatEvent, ChatRequest } from "../../lib/contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../../lib/contracts/embedding.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { WorkerAddress } from "../../lib/contracts/worker.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference, InferenceStatus } from "../../lib/inference/inference.ts";

/** How to find a worker and speak to it. */
export interface WorkerFinderOptions {
  /** The file in which the runtime keeps its worker's address. */
  path: string;
  connect(address: WorkerAddress): Inference;
}

/**
 * The models of a function that runs alone: those of the worker of a runtime on this machine. Its address is read for
 * every request, because a worker that was started again has another one.
 */
export class WorkerFinder implements Inference {
  readonly #options: WorkerFinderOptions;
  #text = "";
  #worker: Inference | null = null;

  constructor(options: WorkerFinderOptions) {
    this.#options = options;
  }

  async list(): Promise<ModelDescription[]> {
    return await (await this.#find()).list();
  }

  async describe(model: string): Promise<ModelDescription> {
    return await (await this.#find()).describe(model);
  }

  async tokenize(request: { model: string; text: string }): Promise<number[]> {
    return await (await this.#find()).tokenize(request);
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    yield* (await this.#find()).chat(request, signal);
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    return await (await this.#find()).embed(request, signal);
  }

  async keep(request: { model: string; keepAliveMs: number | null }): Promise<void> {
    await (await this.#find()).keep(request);
  }

  async forget(owner: string): Promise<void> {
    await (await this.#find()).forget(owner);
  }

  async status(): Promise<InferenceStatus> {
    return await (await this.#find()).status();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
    this.#worker = null;
  }

  async #find(): Promise<Inference> {
    const text = await this.#read();
    if (this.#worker !== null && text === this.#text) return this.#worker;
    const address = WorkerAddress.safeParse(parse(text));
    if (!address.success) throw notRunningError(this.#options.path, address.error);
    const former = this.#worker;
    const worker = this.#options.connect(address.data);
    this.#text = text;
    this.#worker = worker;
    await former?.[Symbol.asyncDispose]();
    return worker;
  }

  async #read(): Promise<string> {
    try {
      return await Deno.readTextFile(this.#options.path);
    } catch (cause) {
      throw notRunningError(this.#options.path, cause);
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function notRunningError(path: string, cause: unknown): DomainError {
  return new DomainError(
    "engine_unavailable",
    "No model is running: start Rookery with `deno task start`, with the same ROOKERY_DATA",
    { details: { path }, cause },
  );
}
