import { cpuUsage } from "node:process";
import type { Llama, LlamaContext, LlamaModel, Token } from "node-llama-cpp";
import { Sampling } from "../contracts/chat.ts";
import type { ThreadPlan } from "../contracts/worker.ts";
import { type BatchSpeed, threadsFor } from "./calibrate.ts";
import type { BatchDecoder, BatchEntry, TokenSampler } from "./scheduler.ts";

/*
 * node-llama-cpp's own sequences decide by themselves what shares a batch and sample several outputs at once, which
 * mixes up the answers of concurrent requests. Rookery schedules batches itself and so talks to the native context
 * underneath. These are the parts of it that are used, as they are in the pinned version.
 */
interface NativeSampler {
  applyConfig(config: Record<string, number | Uint32Array>): void;
  dispose(): void;
}
interface NativeContext {
  initBatch(tokens: number): void;
  addToBatch(sequence: number, position: number, tokens: Uint32Array, outputs: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(output: number, sampler: NativeSampler): Promise<number>;
  disposeSequence(sequence: number): void;
  removeTokenCellsFromSequence(sequence: number, start: number, end: number): boolean;
  getSequenceKvCacheMinPosition(sequence: number): number;
  setThreads(threads: number): void;
}
interface NativeParts {
  _ctx: NativeContext;
}
interface NativeModelParts {
  _model: object;
}
interface NativeBindings {
  _bindings: { AddonSampler: new (model: object) => NativeSampler };
}

/** llama.cpp's own defaults, for what a request leaves open. */
const SAMPLING_DEFAULTS = { temperature: 0.8, topP: 0.95, topK: 40, minP: 0.05 } as const;
/** Penalties look this many tokens of the answer back; llama.cpp's default of 64 forgets within a paragraph. */
const PENALTY_TOKENS_MAX = 256;

/** Batches that calibration runs before it looks at the clock (they fill caches), and how long it then looks. */
const WARM_UP_ROUNDS = 1;
const MEASURED_ROUNDS = 16;
const MEASURED_MS = 250;
/** The smallest context there is must hold what calibration writes into a sequence. */
const MEASURED_TOKENS_MAX = 256;

class LlamaSampler implements TokenSampler {
  constructor(readonly native: NativeSampler) {}

  dispose(): void {
    this.native.dispose();
  }
}

/** Decodes batches with llama.cpp. Drawing tokens is serialised: two samplers at once would read each other's odds. */
export class LlamaDecoder implements BatchDecoder {
  readonly #native: NativeContext;
  readonly #model: object;
  readonly #bindings: NativeBindings["_bindings"];
  readonly #slidingWindow: number | null;

  /** @param threads Replaced once they are measured. */
  constructor(
    llama: Llama,
    private readonly model: LlamaModel,
    context: LlamaContext,
    readonly options: { sequences: number; batchTokensMax: number; threads: ThreadPlan },
  ) {
    this.#native = (context as unknown as NativeParts)._ctx;
    this.#model = (model as unknown as NativeModelParts)._model;
    this.#bindings = (llama as unknown as NativeBindings)._bindings;
    this.#slidingWindow = model.fileInsights.swaSize ?? null;
  }

  get sequences(): number {
    return this.options.sequences;
  }

  setThreadPlan(threads: ThreadPlan): void {
    this.options.threads = threads;
  }

  createSampler(sampling: Sampling): LlamaSampler {
    const sampler = new this.#bindings.AddonSampler(this.#model);
    sampler.applyConfig({
      temperature: sampling.temperature ?? SAMPLING_DEFAULTS.temperature,
      topP: sampling.topP ?? SAMPLING_DEFAULTS.topP,
      topK: sampling.topK ?? SAMPLING_DEFAULTS.topK,
      minP: sampling.minP ?? SAMPLING_DEFAULTS.minP,
      seed: sampling.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
      repeatPenaltyTokens: new Uint32Array(),
      repeatPenaltyMaxTokens: PENALTY_TOKENS_MAX,
      repeatPenalty: sampling.repeatPenalty ?? 1,
      repeatPenaltyPresencePenalty: sampling.presencePenalty ?? 0,
      repeatPenaltyFrequencyPenalty: sampling.frequencyPenalty ?? 0,
    });
    return new LlamaSampler(sampler);
  }

  keep(sequence: number, length: number): number {
    if (length > 0 && this.#native.removeTokenCellsFromSequence(sequence, length, -1)) {
      // A sliding window forgets: what the next token would look back to must still be there. It is -1 when nothing is.
      const oldest = this.#native.getSequenceKvCacheMinPosition(sequence);
      const needed = Math.max(0, length - (this.#slidingWindow ?? length));
      if (oldest >= 0 && oldest <= needed) return length;
    }
    this.#native.disposeSequence(sequence);
    return 0;
  }

  async decode(entries: readonly BatchEntry[]): Promise<number[]> {
    const batchTokens = entries.reduce((sum, entry) => sum + entry.tokens.length, 0);
    return await this.#decodeWith(entries, batchTokens, threadsFor(this.options.threads, batchTokens));
  }

  isEndToken(token: number): boolean {
    return this.model.isEogToken(token as Token);
  }

  /** How fast batches of so many tokens go, drawing included; spoils all sequences. Calibration calls it. */
  async measure(batchTokens: number, threads: number): Promise<BatchSpeed> {
    const streams = batchTokens < 16 ? Math.min(batchTokens, this.sequences) : 1;
    const perStream = Math.ceil(batchTokens / streams);
    const sampler = this.createSampler(Sampling.parse({ temperature: 0, seed: 0 }));
    const token = this.model.tokens.bos ?? this.model.tokens.eos ?? 0;
    const rounds = Math.min(MEASURED_ROUNDS, MEASURED_TOKENS_MAX / perStream - WARM_UP_ROUNDS);
    let done = -WARM_UP_ROUNDS;
    let startedAt = performance.now();
    let cpu = cpuUsage();
    for (let round = 0; done < rounds && performance.now() - startedAt < MEASURED_MS; round++) {
      const entries = Array.from({ length: streams }, (_, sequence) => ({
        sequence,
        position: round * perStream,
        tokens: new Array<number>(perStream).fill(token),
        sampler,
      }));
      await this.#decodeWith(entries, streams * perStream, threads);
      if (++done <= 0) [startedAt, cpu] = [performance.now(), cpuUsage()];
    }
    const elapsedMs = performance.now() - startedAt;
    const { user, system } = cpuUsage(cpu);
    for (let sequence = 0; sequence < streams; sequence++) this.keep(sequence, 0);
    sampler.dispose();
    return { batchMs: elapsedMs / Math.max(1, done), busyCores: (user + system) / 1000 / elapsedMs };
  }

  async #decodeWith(entries: readonly BatchEntry[], batchTokens: number, threads: number): Promise<number[]> {
    this.#native.setThreads(threads);
    this.#native.initBatch(batchTokens);
    const wanted: [output: number, sampler: NativeSampler][] = [];
    for (const { sequence, position, tokens, sampler } of entries) {
      const outputs = sampler instanceof LlamaSampler ? Uint32Array.of(tokens.length - 1) : new Uint32Array();
      const [output] = this.#native.addToBatch(sequence, position, Uint32Array.from(tokens), outputs);
      if (output !== undefined && sampler instanceof LlamaSampler) wanted.push([output, sampler.native]);
    }
    await this.#native.decodeBatch();
    const drawn: number[] = [];
    // One after another: llama.cpp reorders its outputs while it reads them, so two readers get each other's.
    for (const [output, sampler] of wanted) {
      const token = await this.#native.sampleToken(output, sampler);
      if (token < 0) throw new Error("llama.cpp drew no token");
      drawn.push(token);
    }
    return drawn;
  }
}
