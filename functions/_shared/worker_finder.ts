import type { ChatEvent, ChatRequest } from "../../lib/contracts/chat.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { WorkerAddress } from "../../lib/contracts/worker.ts";
import { DomainError } from "../../lib/errors.ts";
import type { ChatEngine, EngineStatus } from "../../lib/inference/engine.ts";

/** How to find a worker and speak to it. */
export interface WorkerFinderOptions {
  /** The file in which the runtime keeps its worker's address. */
  path: string;
  connect(address: WorkerAddress): ChatEngine;
}

/**
 * The engine of a function that runs alone: the worker of a runtime on this machine. Its address is read for every
 * request, because a worker that was started again has another one.
 */
export class WorkerFinder implements ChatEngine {
  readonly #options: WorkerFinderOptions;
  #text = "";
  #engine: ChatEngine | null = null;

  constructor(options: WorkerFinderOptions) {
    this.#options = options;
  }

  async describe(): Promise<ModelDescription> {
    return await (await this.#find()).describe();
  }

  async tokenize(text: string): Promise<number[]> {
    return await (await this.#find()).tokenize(text);
  }

  async status(): Promise<EngineStatus> {
    return await (await this.#find()).status();
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    yield* (await this.#find()).chat(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine?.[Symbol.asyncDispose]();
    this.#engine = null;
  }

  async #find(): Promise<ChatEngine> {
    const text = await this.#read();
    if (this.#engine !== null && text === this.#text) return this.#engine;
    const address = WorkerAddress.safeParse(parse(text));
    if (!address.success) throw notRunningError(this.#options.path, address.error);
    const former = this.#engine;
    const engine = this.#options.connect(address.data);
    this.#text = text;
    this.#engine = engine;
    await former?.[Symbol.asyncDispose]();
    return engine;
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
