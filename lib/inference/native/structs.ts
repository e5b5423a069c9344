import { DomainError } from "../../errors.ts";

/*
 * Structs of `llama.h` that are passed by value. They are taken from llama.cpp's own defaults and changed at the
 * offsets that the pinned version has; everything that is not named here stays as it is.
 */

const u32 = (count: number): "u32"[] => Array(count).fill("u32");
const bools = (count: number): "u8"[] => Array(count).fill("u8");

/** `struct llama_model_params`. */
export const MODEL_PARAMS: Deno.NativeStructType = {
  struct: ["pointer", "pointer", ...u32(5), "pointer", "pointer", "pointer", "pointer", ...bools(6)],
};

/** `struct llama_context_params`. */
export const CONTEXT_PARAMS: Deno.NativeStructType = {
  struct: [
    ...u32(22),
    "pointer",
    "pointer",
    ...u32(2),
    "pointer",
    "pointer",
    ...bools(6),
    "pointer",
    "usize",
    "pointer",
  ],
};

/** `struct ggml_threadpool_params`: a mask of 512 cores, a count, a priority, a level of polling, two flags. */
export const THREAD_POOL_PARAMS_BYTES = 512 + 3 * 4 + 4;

/** Offsets of the fields that Rookery sets, in bytes. */
const MODEL_OFFSETS = { gpuLayers: 16, progressCallback: 48 } as const;
const CONTEXT_OFFSETS = {
  contextTokens: 0,
  batchTokens: 4,
  ubatchTokens: 8,
  sequences: 12,
  outputsMax: 20,
  fullWindows: 132,
} as const;

/** llama.cpp's defaults, as 32-bit integers by offset: enough of them that a field more or less shows. */
const MODEL_DEFAULTS: readonly [offset: number, value: number][] = [
  [16, -1], // n_gpu_layers
  [20, 1], // split_mode
  [32, 0], // main_gpu
  [48, 0], // progress_callback
  [72, 0x00_01_00_00], // vocab_only, check_tensors, use_extra_bufts, no_host
];
const CONTEXT_DEFAULTS: readonly [offset: number, value: number][] = [
  [0, 512], // n_ctx
  [4, 2048], // n_batch
  [8, 512], // n_ubatch
  [12, 1], // n_seq_max
  [20, 0], // n_outputs_max
  [24, 1], // n_outputs_max_per_seq
  [28, 4], // n_threads
  [64, -0x40_80_00_00], // yarn_ext_factor, -1 as a float
  [104, 1], // type_k, 16-bit floats
  [128, 0x01_01_01_00], // embeddings, offload_kqv, no_perf, op_offload
  [132, 0x00_00_00_01], // swa_full, kv_unified
  [136, 0], // samplers
];

/**
 * Whether llama.cpp's defaults stand where this file believes them to.
 *
 * @throws {DomainError} `engine_unavailable` when they do not: fields would be written into one another's place.
 */
export function checkLayout({ model, context }: { model: Uint8Array; context: Uint8Array }): void {
  const isExpected = (struct: Uint8Array, defaults: readonly [offset: number, value: number][]) =>
    defaults.every(([offset, value]) => viewOf(struct).getInt32(offset, true) === value);
  if (isExpected(model, MODEL_DEFAULTS) && isExpected(context, CONTEXT_DEFAULTS)) return;
  throw new DomainError(
    "engine_unavailable",
    "llama.cpp's structs are laid out in another way than those of the version that Rookery knows; " +
      "install the packages that deno.lock names with `deno install`",
  );
}

/** What Rookery decides of a model's parameters. */
export interface ModelParams {
  /** Layers that go to the GPU. */
  gpuLayers: number;
  /** Called with the part that is loaded, 0 to 1; loading goes on while it returns true. */
  onProgress: Deno.PointerValue;
}

/** What Rookery decides of a context's parameters. */
export interface ContextParams {
  /** Tokens of all sequences together. */
  contextTokens: number;
  /** Most tokens of a batch. */
  batchTokensMax: number;
  sequences: number;
}

/** Writes into a `struct llama_model_params`. */
export function setModelParams(struct: Uint8Array, { gpuLayers, onProgress }: ModelParams): void {
  const view = viewOf(struct);
  view.setInt32(MODEL_OFFSETS.gpuLayers, gpuLayers, true);
  view.setBigUint64(MODEL_OFFSETS.progressCallback, Deno.UnsafePointer.value(onProgress), true);
}

/**
 * Writes into a `struct llama_context_params`. Each sequence draws from one output of a batch at most; layers with a
 * sliding window keep that window and not the whole context, which most of their memory would be for.
 */
export function setContextParams(
  struct: Uint8Array,
  { contextTokens, batchTokensMax, sequences }: ContextParams,
): void {
  const view = viewOf(struct);
  view.setUint32(CONTEXT_OFFSETS.contextTokens, contextTokens, true);
  view.setUint32(CONTEXT_OFFSETS.batchTokens, batchTokensMax, true);
  view.setUint32(CONTEXT_OFFSETS.ubatchTokens, batchTokensMax, true);
  view.setUint32(CONTEXT_OFFSETS.sequences, sequences, true);
  view.setUint32(CONTEXT_OFFSETS.outputsMax, sequences, true);
  view.setUint8(CONTEXT_OFFSETS.fullWindows, 0);
}

/** Tokens, places and sequences of one batch in the memory that llama.cpp reads: a `struct llama_batch`. */
export class BatchBuffer {
  /** The struct, to be passed by value. */
  readonly struct: Uint8Array<ArrayBuffer> = new Uint8Array(56);
  readonly #view = viewOf(this.struct);
  readonly #tokens: Int32Array<ArrayBuffer>;
  readonly #positions: Int32Array<ArrayBuffer>;
  readonly #sequences: Int32Array<ArrayBuffer>;
  readonly #outputs: Int8Array<ArrayBuffer>;
  /** What the struct points to must not be collected. */
  readonly #counts: Int32Array<ArrayBuffer>;
  readonly #sequencePointers: BigUint64Array<ArrayBuffer>;
  #size = 0;

  constructor(tokensMax: number) {
    this.#tokens = new Int32Array(tokensMax);
    this.#positions = new Int32Array(tokensMax);
    this.#sequences = new Int32Array(tokensMax);
    this.#outputs = new Int8Array(tokensMax);
    this.#counts = new Int32Array(tokensMax).fill(1);
    const first = addressOf(this.#sequences);
    this.#sequencePointers = BigUint64Array.from({ length: tokensMax }, (_, i) => first + BigInt(4 * i));
    const pointers = [this.#tokens, null, this.#positions, this.#counts, this.#sequencePointers, this.#outputs];
    for (const [i, array] of pointers.entries()) {
      this.#view.setBigUint64(8 * (i + 1), array === null ? 0n : addressOf(array), true);
    }
  }

  clear(): void {
    this.#size = 0;
    this.#view.setInt32(0, 0, true);
  }

  /** Appends a token; `output` says whether the odds of the next one are wanted. */
  push(token: number, place: { position: number; sequence: number; output: boolean }): void {
    if (this.#size === this.#tokens.length) throw new Error("The batch is full");
    const i = this.#size++;
    this.#tokens[i] = token;
    this.#positions[i] = place.position;
    this.#sequences[i] = place.sequence;
    this.#outputs[i] = place.output ? 1 : 0;
    this.#view.setInt32(0, this.#size, true);
  }
}

/**
 * The odds of every token of a vocabulary, as samplers take them: a `struct llama_token_data_array` over as many
 * `struct llama_token_data`, each an id, a logit and a probability.
 */
export class CandidateBuffer {
  /** The struct, to be passed by its address. */
  readonly struct: Uint8Array<ArrayBuffer> = new Uint8Array(32);
  readonly #view = viewOf(this.struct);
  readonly #ids: Int32Array<ArrayBuffer>;
  readonly #logits: Float32Array<ArrayBuffer>;
  readonly #address: bigint;

  constructor(tokensMax: number) {
    const data = new ArrayBuffer(12 * tokensMax);
    this.#ids = new Int32Array(data);
    this.#logits = new Float32Array(data);
    this.#address = addressOf(this.#ids);
  }

  /** Takes the logits of the whole vocabulary. */
  fill(logits: Float32Array): void {
    for (let id = 0, i = 0; id < logits.length; id++, i += 3) {
      this.#ids[i] = id;
      this.#logits[i + 1] = logits[id]!;
    }
    this.#reset(logits.length);
  }

  /** Takes one token alone, to see whether a grammar leaves it. */
  fillOne(id: number): void {
    this.#ids[0] = id;
    this.#logits[1] = 1;
    this.#reset(1);
  }

  /** Whether the token that {@linkcode fillOne} took is still possible. */
  get isPossible(): boolean {
    return this.#logits[1] !== -Infinity;
  }

  /** The token that a sampler chain selected, or null when it selected none. */
  get selected(): number | null {
    const index = Number(this.#view.getBigInt64(16, true));
    const address = Deno.UnsafePointer.create(this.#view.getBigUint64(0, true));
    // Samplers may point the struct at memory of their own.
    return index < 0 || address === null ? null : new Deno.UnsafePointerView(address).getInt32(12 * index);
  }

  #reset(size: number): void {
    this.#view.setBigUint64(0, this.#address, true);
    this.#view.setBigUint64(8, BigInt(size), true);
    this.#view.setBigInt64(16, -1n, true);
    this.struct[24] = 0;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function addressOf(array: ArrayBufferView<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(array));
}
