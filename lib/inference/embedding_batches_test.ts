import assert from "node:assert/strict";
import { planBatches, toUnitVector } from "./embedding_batches.ts";

Deno.test("planBatches() puts every input into one batch, with those of like length", () => {
  const lengths = [3, 250, 4, 251, 3, 252];
  const batches = planBatches(lengths.map((length) => Array(length).fill(0)));
  assert.deepEqual(batches, [[5, 3], [1, 2], [0, 4]]);
});

Deno.test("planBatches() computes an input alone that has more tokens than a batch", () => {
  assert.deepEqual(planBatches([Array(2_000).fill(0), Array(600).fill(0), [1]]), [[0], [1], [2]]);
  assert.deepEqual(planBatches([]), []);
});

Deno.test("toUnitVector() cuts a vector and makes the rest one unit long", () => {
  assert.deepEqual(toUnitVector(Float32Array.of(3, 4, 12), 2), Float32Array.of(0.6, 0.8));
  assert.deepEqual(toUnitVector(Float32Array.of(0, 2), null), Float32Array.of(0, 1));
  assert.deepEqual(toUnitVector(Float32Array.of(0, 0), null), Float32Array.of(0, 0));
});
