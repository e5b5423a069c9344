import { cpuUsage } from "node:process";
import { Sampling } from "../../contracts/chat.ts";
import type { ErrorReport } from "../../contracts/error.ts";
import { DomainError, toReport } from "../../errors.ts";
import type { DrawnToken, HeldState, SamplerOptions, SaveOptions } from "../batch_decoder.ts";
import type { BatchSpeed } from "../calibrate.ts";
import { type LlamaLibrary, type NativePointer, openLlamaLibrary, toCString } from "./library.ts";
import { NativeSampler, type SamplerHome } from "./native_sampler.ts";
import type { LoadOptions, NativeEntry } from "./protocol.ts";
import { ThreadPool } from "./thread_pool.ts";
import { BatchBuffer, CandidateBuffer, checkLayout, setContextParams, setModelParams } from "./structs.ts";

/** `LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY`: sliding windows and recurrent states alone. */
const PARTIAL_ONLY = 1;

/** Batches that calibration runs before it looks at the clock (they fill caches), and how long it then looks. */
const WARM_UP_ROUNDS = 1;
const MEASURED_ROUNDS = 16;
const MEASURED_MS = 250;
/** The smallest context there is must hold what calibration writes into a sequence. */
const MEASURED_TOKENS_MAX = 256;

/** A model in memory with one context, in the thread that loaded it. Nothing here waits: every call blocks its thread. */
export class NativeModel {
  readonly #library: LlamaLibrary;
  readonly #model: NativePointer;
  readonly #home: SamplerHome;
  readonly #memory: Deno.PointerValue;
  readonly #batch: BatchBuffer;
  readonly #threads: ThreadPool | null;
  readonly #samplers = new Map<number, NativeSampler>();
  /** Tokens that a sliding window looks back; 0 when no layer has one. */
  readonly #windowTokens: number;
  readonly #states = new Map<number, Uint8Array<ArrayBuffer>>();
  /** Whether some layers keep less than the whole sequence. */
  readonly forgets: boolean;
  #statesMade = 0;
  readonly #sequences: number;

  /**
   * @throws {DomainError} `not_enough_memory` when there is no room for the context; `engine_unavailable` when llama.cpp is
   *   of another version than the one that Rookery knows.
   * @throws {Error} when llama.cpp does not take the model.
   */
  constructor(options: LoadOptions) {
    const { sequences, batchTokensMax } = options;
    this.#library = openLlamaLibrary(options.libraryPath);
    this.#sequences = sequences;
    this.#model = loadModel(this.#library, options);
    const context = this.#createContext(options);
    const vocabulary = this.#library.llama_model_get_vocab(this.#model)!;
    const vocabularyTokens = this.#library.llama_vocab_n_tokens(vocabulary);
    const candidates = new CandidateBuffer(vocabularyTokens);
    this.#home = { library: this.#library, context, vocabulary, vocabularyTokens, candidates };
    this.#memory = this.#library.llama_get_memory(context);
    this.#batch = new BatchBuffer(batchTokensMax);
    const threads = navigator.hardwareConcurrency;
    this.#threads = ThreadPool.attach(this.#library, { libraryPath: options.libraryPath, context, threads });
    const { llama_model_n_swa, llama_model_is_recurrent, llama_model_is_hybrid } = this.#library;
    this.#windowTokens = llama_model_n_swa(this.#model);
    this.forgets = this.#windowTokens > 0 || llama_model_is_recurrent(this.#model) ||
      llama_model_is_hybrid(this.#model);
  }

  /** Whether its threads stay from one batch to the next. */
  get keepsThreads(): boolean {
    return this.#threads !== null;
  }

  createSampler({ sampler, ...options }: SamplerOptions & { sampler: number }): void {
    this.#samplers.set(sampler, new NativeSampler(this.#home, options));
  }

  disposeSampler({ sampler }: { sampler: number }): void {
    this.#samplers.get(sampler)?.dispose();
    this.#samplers.delete(sampler);
  }

  setGrammar(options: { sampler: number; gbnf: string | null; accepted: readonly number[] }): boolean {
    return this.#expectSampler(options.sampler).setGrammar(options.gbnf, options.accepted);
  }

  decode({ entries, threads }: { entries: readonly NativeEntry[]; threads: number }): (DrawnToken | ErrorReport)[] {
    const { context } = this.#home;
    this.#batch.clear();
    const wanted: { output: number; sampler: number }[] = [];
    let pushed = 0;
    for (const { sequence, position, tokens, sampler } of entries) {
      const last = sampler === null ? -1 : tokens.length - 1;
      for (const [i, token] of tokens.entries()) {
        this.#batch.push(token, { position: position + i, sequence, output: i === last });
        if (i === last) wanted.push({ output: pushed, sampler: sampler! });
        pushed++;
      }
    }
    this.#library.llama_set_n_threads(context, threads, threads);
    const code = this.#library.llama_decode(context, this.#batch.struct);
    if (code !== 0) throw new Error(`llama.cpp could not decode the batch (code ${code})`);
    return wanted.map((place) => this.#draw(place));
  }

  cut({ sequence, length }: { sequence: number; length: number }): boolean {
    if (length === 0) return this.#clear(sequence);
    // A sliding window forgets: what the next token would look back to must still be there. It is -1 when nothing is.
    const oldest = this.#library.llama_memory_seq_pos_min(this.#memory, sequence);
    const windowTokens = this.#windowTokens > 0 ? this.#windowTokens : length;
    if (oldest < 0 || oldest > Math.max(0, length - windowTokens)) return false;
    return this.#library.llama_memory_seq_rm(this.#memory, sequence, length, -1);
  }

  saveState({ sequence, partial, bytesMax }: SaveOptions & { sequence: number }): HeldState | null {
    const { context } = this.#home;
    const flags = partial ? PARTIAL_ONLY : 0;
    const size = this.#library.llama_state_seq_get_size_ext(context, sequence, flags);
    if (Number(size) > bytesMax) return null;
    const bytes = new Uint8Array(Number(size));
    const written = this.#library.llama_state_seq_get_data_ext(context, bytes, size, sequence, flags);
    if (Number(written) !== bytes.length) throw new Error("llama.cpp could not save the sequence");
    return this.importState({ bytes });
  }

  loadState(options: { sequence: number; state: number; partialLength: number | null }): boolean {
    const { sequence, partialLength } = options;
    const bytes = this.#expectState(options.state);
    const flags = partialLength === null ? 0 : PARTIAL_ONLY;
    const size = BigInt(bytes.length);
    const read = this.#library.llama_state_seq_set_data_ext(this.#home.context, bytes, size, sequence, flags);
    const taken = Number(read) === bytes.length &&
      (partialLength === null || this.#library.llama_memory_seq_rm(this.#memory, sequence, partialLength, -1));
    if (!taken) this.#clear(sequence);
    return taken;
  }

  dropState({ state }: { state: number }): void {
    this.#states.delete(state);
  }

  exportState({ state }: { state: number }): Uint8Array<ArrayBuffer> {
    const bytes = this.#expectState(state);
    this.#states.delete(state);
    return bytes;
  }

  importState({ bytes }: { bytes: Uint8Array<ArrayBuffer> }): HeldState {
    const id = ++this.#statesMade;
    this.#states.set(id, bytes);
    return { id, bytes: bytes.length };
  }

  measure({ batchTokens, threads, token }: { batchTokens: number; threads: number; token: number }): BatchSpeed {
    const streams = batchTokens < 16 ? Math.min(batchTokens, this.#sequences) : 1;
    const perStream = Math.ceil(batchTokens / streams);
    const rounds = Math.min(MEASURED_ROUNDS, MEASURED_TOKENS_MAX / perStream - WARM_UP_ROUNDS);
    const tokens = new Array<number>(perStream).fill(token);
    const sampler = -1;
    this.createSampler({ sampler, sampling: Sampling.parse({ temperature: 0 }), logprobs: null });
    let done = -WARM_UP_ROUNDS;
    let startedAt = performance.now();
    let cpu = cpuUsage();
    for (let round = 0; done < rounds && performance.now() - startedAt < MEASURED_MS; round++) {
      const position = round * perStream;
      const entries = Array.from({ length: streams }, (_, sequence) => ({ sequence, position, tokens, sampler }));
      this.decode({ entries, threads });
      if (++done <= 0) [startedAt, cpu] = [performance.now(), cpuUsage()];
    }
    const elapsedMs = performance.now() - startedAt;
    const { user, system } = cpuUsage(cpu);
    for (let sequence = 0; sequence < streams; sequence++) this.#clear(sequence);
    this.disposeSampler({ sampler });
    return { batchMs: elapsedMs / Math.max(1, done), busyCores: (user + system) / 1000 / elapsedMs };
  }

  unload(): void {
    for (const sampler of this.#samplers.keys()) this.disposeSampler({ sampler });
    this.#states.clear();
    this.#library.llama_free(this.#home.context);
    this.#threads?.[Symbol.dispose]();
    this.#library.llama_model_free(this.#model);
  }

  #createContext({ contextTokens, sequences, batchTokensMax }: LoadOptions): NativePointer {
    const params = this.#library.llama_context_default_params();
    setContextParams(params, { contextTokens: contextTokens * sequences, batchTokensMax, sequences });
    const context = this.#library.llama_init_from_model(this.#model, params);
    if (context !== null && this.#library.llama_n_ctx_seq(context) >= contextTokens) return context;
    this.#library.llama_free(context);
    this.#library.llama_model_free(this.#model);
    throw new DomainError(
      "not_enough_memory",
      `There is not enough memory for ${sequences} × ${contextTokens} tokens of context; ` +
        "lower ROOKERY_CONTEXT or ROOKERY_SEQUENCES",
    );
  }

  /** What goes wrong with one sampler is no affair of the others in the batch. */
  #draw({ output, sampler }: { output: number; sampler: number }): DrawnToken | ErrorReport {
    try {
      return this.#expectSampler(sampler).draw(output);
    } catch (error) {
      if (error instanceof DomainError) return toReport(error);
      const message = error instanceof Error ? error.message : String(error);
      return { code: "internal_error", message, param: null };
    }
  }

  #clear(sequence: number): true {
    this.#library.llama_memory_seq_rm(this.#memory, sequence, -1, -1);
    return true;
  }

  #expectState(state: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#states.get(state);
    if (bytes === undefined) throw new Error(`There is no state ${state}`);
    return bytes;
  }

  #expectSampler(sampler: number): NativeSampler {
    const found = this.#samplers.get(sampler);
    if (found === undefined) throw new Error(`There is no sampler ${sampler}`);
    return found;
  }
}

function loadModel(library: LlamaLibrary, { modelPath, gpuLayers, stop }: LoadOptions): NativePointer {
  const stopped = new Uint8Array(stop);
  const progress = { parameters: ["f32", "pointer"], result: "bool" } as const;
  const onProgress = new Deno.UnsafeCallback(progress, () => Atomics.load(stopped, 0) === 0);
  try {
    const params = library.llama_model_default_params();
    checkLayout({ model: params, context: library.llama_context_default_params() });
    setModelParams(params, { gpuLayers, onProgress: onProgress.pointer });
    const model = library.llama_model_load_from_file(toCString(modelPath), params);
    if (model === null) throw new Error("llama.cpp does not take the model");
    return model;
  } finally {
    onProgress.close();
  }
}
