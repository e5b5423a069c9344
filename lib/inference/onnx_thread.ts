import { DomainError } from "../errors.ts";
import type { Embedder } from "./embedding_queue.ts";
import type { OnnxModel } from "./onnx_model.ts";
import type { LoadedOnnxModel, OnnxReply, OnnxRequest } from "./onnx_protocol.ts";

/** More threads than this do nothing for models of this size. */
const THREADS_MAX = 8;

/** A request without its number. */
type Question = OnnxRequest extends infer Request ? Request extends OnnxRequest ? Omit<Request, "id"> : never : never;

/** What an ONNX model is loaded from. */
export interface OnnxThreadOptions {
  /** The model's folder. */
  folder: string;
  model: OnnxModel;
  /** Starts the thread; tests start another. */
  createWorker?: () => Worker;
}

/**
 * Starts a thread with an ONNX embedding model in it.
 *
 * @throws {Error} when ONNX Runtime does not take the model.
 */
export async function openOnnxThread(options: OnnxThreadOptions): Promise<Embedder> {
  const { folder, model, createWorker = createOnnxWorker } = options;
  const calls = new WorkerCalls(createWorker());
  try {
    const threads = Math.min(THREADS_MAX, navigator.hardwareConcurrency);
    const reply = await calls.ask({ type: "load", folder, model, threads });
    if (reply.type !== "loaded") throw new Error(`The thread answers a load with "${reply.type}"`);
    return new OnnxThread(calls, { ...reply.loaded, vocabularySize: model.vocabularySize });
  } catch (error) {
    calls.end();
    // That a thread died while it loaded means that it cannot load, not that one may ask again.
    throw error instanceof DomainError ? new Error("The thread died while it loaded", { cause: error }) : error;
  }
}

function createOnnxWorker(): Worker {
  return new Worker(new URL("./onnx_worker.ts", import.meta.url), { type: "module" });
}

class OnnxThread implements Embedder {
  readonly vocabularySize: number;
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];

  constructor(private readonly calls: WorkerCalls, loaded: LoadedOnnxModel & { vocabularySize: number }) {
    this.vocabularySize = loaded.vocabularySize;
    this.prefix = loaded.prefix;
    this.suffix = loaded.suffix;
  }

  get isLost(): boolean {
    return this.calls.hasEnded;
  }

  async encode(texts: readonly string[]): Promise<number[][]> {
    const reply = await this.calls.ask({ type: "encode", texts });
    if (reply.type !== "encoded") throw new Error(`The thread answers texts with "${reply.type}"`);
    return reply.tokens;
  }

  async compute(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const reply = await this.calls.ask({ type: "compute", inputs });
    if (reply.type !== "computed") throw new Error(`The thread answers inputs with "${reply.type}"`);
    return reply.vectors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that is dead has nothing to free any more.
    await this.calls.ask({ type: "unload" }).catch(() => {});
    this.calls.end();
  }
}

/** Questions to a worker and its answers; when it dies, all that are open fail, and so do those that follow. */
class WorkerCalls {
  readonly #open = new Map<number, PromiseWithResolvers<OnnxReply>>();
  #asked = 0;
  hasEnded = false;

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<OnnxReply>) => {
      const call = this.#open.get(data.id);
      this.#open.delete(data.id);
      if (data.type === "failed") call?.reject(new Error(data.reason));
      else call?.resolve(data);
    };
    worker.onerror = (event) => {
      // Without this the failure of a thread would be one of the whole process.
      event.preventDefault();
      this.end(new Error(event.message));
    };
  }

  ask(question: Question): Promise<OnnxReply> {
    if (this.hasEnded) return Promise.reject(goneError());
    const call = Promise.withResolvers<OnnxReply>();
    const id = this.#asked++;
    this.#open.set(id, call);
    this.worker.postMessage({ ...question, id });
    return call.promise;
  }

  /** Ends the thread, when it stands still at the latest. */
  end(cause?: Error): void {
    this.hasEnded = true;
    this.worker.terminate();
    for (const call of this.#open.values()) call.reject(goneError(cause));
    this.#open.clear();
  }
}

function goneError(cause?: Error): DomainError {
  return new DomainError("engine_gone", "The thread of the embedding model ended; ask again", { cause });
}
