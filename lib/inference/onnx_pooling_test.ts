import assert from "node:assert/strict";
import { poolVectors } from "./onnx_pooling.ts";

/** Two texts of two dimensions: one token and padding, and two tokens. */
const STATES = Float32Array.of(1, 2, 100, 100, 3, 4, 5, 8);
const SHAPE = { lengths: [1, 2], width: 2, dimensions: 2 };

Deno.test("poolVectors() takes the mean of a text's tokens and leaves out padding", () => {
  const vectors = poolVectors(STATES, { ...SHAPE, pooling: "mean" });
  assert.deepEqual(vectors, [Float32Array.of(1, 2), Float32Array.of(4, 6)]);
});

Deno.test("poolVectors() takes the first token's state of a model that is made for it", () => {
  const vectors = poolVectors(STATES, { ...SHAPE, pooling: "cls" });
  assert.deepEqual(vectors, [Float32Array.of(1, 2), Float32Array.of(3, 4)]);
});
