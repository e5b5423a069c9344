import type { Pooling } from "./onnx_model.ts";

/**
 * One vector for each text of a batch: the mean of its tokens' states, or the first one's, as sentence-transformers'
 * Pooling has it. Padding, which stands behind, counts for nothing.
 *
 * @param states Of every token of every text, one after the other: texts × `width` × `dimensions`.
 */
export function poolVectors(
  states: Float32Array,
  { lengths, width, dimensions, pooling }: {
    /** Tokens of each text. */
    lengths: readonly number[];
    /** Tokens of each row, padding included. */
    width: number;
    dimensions: number;
    pooling: Pooling;
  },
): Float32Array<ArrayBuffer>[] {
  return lengths.map((length, row) => {
    const vector = new Float32Array(dimensions);
    const count = pooling === "cls" ? 1 : length;
    for (let token = 0; token < count; token++) {
      const start = (row * width + token) * dimensions;
      for (let i = 0; i < dimensions; i++) vector[i]! += states[start + i]!;
    }
    return vector.map((sum) => sum / count);
  });
}
