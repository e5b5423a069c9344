import type { AttentionLayers } from "../contracts/manifest.ts";
import type { GgufAttention } from "./gguf_header.ts";

/** Keys and values are kept as 16-bit floats. */
const ELEMENT_BYTES = 2;
/** llama.cpp keeps, beside a sliding window, what it computes at once, and rounds up: see `llama_kv_cache_iswa`. */
const COMPUTED_TOKENS = 512;
const WINDOW_STEP = 256;
/** What two processes, the vocabulary and the buffers of a computation take: measured with small and 3B models. */
const BESIDE_BYTES = 700_000_000;

/** Bytes of keys and values of one conversation of `contextTokens` tokens. */
export function countCacheBytes(attention: readonly AttentionLayers[], contextTokens: number): number {
  return attention.reduce((sum, { layers, heads, keySize, valueSize, windowTokens }) => {
    const window = Math.ceil(((windowTokens ?? Infinity) + COMPUTED_TOKENS) / WINDOW_STEP) * WINDOW_STEP;
    return sum + layers * heads * (keySize + valueSize) * ELEMENT_BYTES * Math.min(contextTokens, window);
  }, 0);
}

/** Bytes of memory that a model needs with one conversation: weights, keys and values, and what is beside them. */
export function estimateMemoryBytes(
  { weightsBytes, attention, contextTokens }: {
    weightsBytes: number;
    attention: readonly AttentionLayers[];
    contextTokens: number;
  },
): number {
  return weightsBytes + countCacheBytes(attention, contextTokens) + BESIDE_BYTES;
}

/**
 * The layers that a GGUF header tells of. Which of them have the sliding window it does not say: all are counted as if
 * they kept everything, which is never too little.
 */
export function toAttentionLayers({ layers, heads, keySize, valueSize }: GgufAttention): AttentionLayers[] {
  return [{ layers, heads, keySize, valueSize, windowTokens: null }];
}
