import assert from "node:assert/strict";
import { packEmbeddings, unpackEmbeddings } from "./vectors.ts";

Deno.test("embeddings come out of their bytes as they went in, wherever the bytes begin", () => {
  const vectors = [Float32Array.of(0.1, -1e-38, 3), Float32Array.of(1 / 3, 0, -0)];
  const packed = packEmbeddings({ vectors, promptTokens: 70_000 });
  assert.equal(packed.length, 12 + 24);
  const shifted = new Uint8Array(packed.length + 1);
  shifted.set(packed, 1);
  for (const bytes of [packed, shifted.subarray(1)]) {
    assert.deepEqual(unpackEmbeddings(bytes), { vectors, promptTokens: 70_000 });
  }
});

Deno.test("unpackEmbeddings() throws when bytes are missing", () => {
  const packed = packEmbeddings({ vectors: [Float32Array.of(1, 2)], promptTokens: 1 });
  for (const length of [0, 11, packed.length - 1]) {
    assert.throws(() => unpackEmbeddings(packed.subarray(0, length)), RangeError);
  }
});
