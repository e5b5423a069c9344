import { EMBED_BATCH_MAX } from "./engine.ts";

/**
 * Tokens, padding included, that one batch computes at most, unless a single text has more. As measured with MiniLM on
 * two cores, larger batches bring no speed (256 tokens a text: 19 texts a second by 2 as by 8) and take more memory;
 * and an answer that waits for the batch waits for a tenth of a second.
 */
export const BATCH_TOKENS_MAX = 512;

/**
 * Puts inputs into batches of like length, so that little is padded: longest first, as that one decides how much memory
 * is needed. Returns the inputs' indices.
 */
export function planBatches(inputs: readonly (readonly number[])[]): number[][] {
  const order = inputs.map((_, index) => index).sort((a, b) => inputs[b]!.length - inputs[a]!.length);
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const index of order) {
    const width = inputs[batch[0] ?? index]!.length;
    if (batch.length === EMBED_BATCH_MAX || width * (batch.length + 1) > BATCH_TOKENS_MAX && batch.length > 0) {
      batches.push(batch);
      batch = [];
    }
    batch.push(index);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/** The first `dimensions` numbers of a vector, or all for null, made one unit long; a vector of zeros stays one. */
export function toUnitVector(vector: Float32Array, dimensions: number | null): Float32Array {
  const unit = vector.slice(0, dimensions ?? vector.length);
  let sum = 0;
  for (const value of unit) sum += value * value;
  const length = Math.sqrt(sum);
  return length === 0 ? unit : unit.map((value) => value / length);
}
