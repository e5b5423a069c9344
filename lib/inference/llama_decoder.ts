import type { Llama, LlamaModel, Token } from "node-llama-cpp";
import type { ThreadPlan } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import type {
  BatchDecoder,
  BatchEntry,
  DrawnToken,
  HeldState,
  SamplerOptions,
  SaveOptions,
  TokenSampler,
} from "./batch_decoder.ts";
import { type BatchSpeed, threadsFor } from "./calibrate.ts";
import { findLlamaLibrary } from "./native/library.ts";
import { NativeThread } from "./native/native_thread.ts";

/** What a {@linkcode LlamaDecoder} is opened with. */
export interface LlamaDecoderOptions {
  modelPath: string;
  /** Tokens of each sequence. */
  contextTokens: number;
  sequences: number;
  batchTokensMax: number;
  /** Replaced once they are measured. */
  threads: ThreadPlan;
  /** Layers that go to the GPU, where there is one. */
  gpuLayers: number;
  /** Ends the loading. */
  signal: AbortSignal;
  /** The thread that computes has died: nothing is computed any more, and its memory is lost. */
  onBroken: (error: Error) => void;
}

class LlamaSampler implements TokenSampler {
  constructor(private readonly thread: NativeThread, readonly id: number) {}

  async setGrammar(gbnf: string | null, accepted: readonly number[]): Promise<boolean> {
    return await this.thread.call("setGrammar", { sampler: this.id, gbnf, accepted });
  }

  dispose(): void {
    this.thread.call("disposeSampler", { sampler: this.id }).catch(() => {});
  }
}

/** Decodes batches with llama.cpp, in a thread of its own: see `native/llama_thread.ts`. */
export class LlamaDecoder implements BatchDecoder, AsyncDisposable {
  readonly #thread: NativeThread;
  readonly #vocabulary: LlamaModel;
  readonly #options: LlamaDecoderOptions;
  readonly forgets: boolean;
  #samplers = 0;

  private constructor(
    thread: NativeThread,
    { vocabulary, forgets, ...options }: LlamaDecoderOptions & { vocabulary: LlamaModel; forgets: boolean },
  ) {
    this.#thread = thread;
    this.#vocabulary = vocabulary;
    this.#options = options;
    this.forgets = forgets;
  }

  /**
   * Loads the weights and makes a context.
   *
   * @param vocabulary The same model, loaded without its weights.
   * @throws {Error} when llama.cpp does not take the model, or `signal` aborted.
   */
  static async open(
    llama: Llama,
    { vocabulary, ...options }: LlamaDecoderOptions & { vocabulary: LlamaModel },
  ): Promise<LlamaDecoder> {
    const { modelPath, gpuLayers, contextTokens, sequences, batchTokensMax, signal, onBroken } = options;
    const thread = new NativeThread(onBroken);
    const stop = new SharedArrayBuffer(1);
    const onAbort = () => Atomics.store(new Uint8Array(stop), 0, 1);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const libraryPath = findLlamaLibrary(llama);
      const place = { libraryPath, modelPath, gpuLayers, stop };
      const { forgets } = await thread.call("load", { ...place, contextTokens, sequences, batchTokensMax });
      return new LlamaDecoder(thread, { vocabulary, forgets, ...options });
    } catch (error) {
      await thread[Symbol.asyncDispose]();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  get sequences(): number {
    return this.#options.sequences;
  }

  setThreadPlan(threads: ThreadPlan): void {
    this.#options.threads = threads;
  }

  createSampler(options: SamplerOptions): TokenSampler {
    const sampler = this.#samplers++;
    // The thread takes calls in their order: what uses the sampler comes after this, and says it when this failed.
    this.#thread.call("createSampler", { sampler, ...options }).catch(() => {});
    return new LlamaSampler(this.#thread, sampler);
  }

  async cut(sequence: number, length: number): Promise<boolean> {
    return await this.#thread.call("cut", { sequence, length });
  }

  async decode(entries: readonly BatchEntry[]): Promise<(DrawnToken | Error)[]> {
    const batchTokens = entries.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const drawn = await this.#thread.call("decode", {
      entries: entries.map(({ sampler, ...entry }) => ({
        ...entry,
        sampler: sampler instanceof LlamaSampler ? sampler.id : null,
      })),
      threads: threadsFor(this.#options.threads, batchTokens),
    });
    return drawn.map((result) => "token" in result ? result : DomainError.fromReport(result));
  }

  isEndToken(token: number): boolean {
    return this.#vocabulary.isEogToken(token as Token);
  }

  async saveState(sequence: number, options: SaveOptions): Promise<HeldState | null> {
    return await this.#thread.call("saveState", { sequence, ...options });
  }

  async loadState(sequence: number, options: { state: number; partialLength: number | null }): Promise<boolean> {
    return await this.#thread.call("loadState", { sequence, ...options });
  }

  async dropState(state: number): Promise<void> {
    await this.#thread.call("dropState", { state });
  }

  async exportState(state: number): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#thread.call("exportState", { state });
  }

  async importState(bytes: Uint8Array<ArrayBuffer>): Promise<HeldState> {
    return await this.#thread.call("importState", { bytes });
  }

  /** How fast batches of so many tokens go, drawing included; spoils all sequences. Calibration calls it. */
  async measure(batchTokens: number, threads: number): Promise<BatchSpeed> {
    const { bos, eos } = this.#vocabulary.tokens;
    return await this.#thread.call("measure", { batchTokens, threads, token: bos ?? eos ?? 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }
}
