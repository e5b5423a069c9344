import type { Embeddings } from "../contracts/embedding.ts";

/** Bytes of the head: three 32-bit numbers. */
const HEAD_BYTES = 12;

/**
 * Embeddings as bytes, little-endian: prompt tokens, number of vectors and numbers a vector as 32-bit integers, then
 * all vectors as 32-bit floats. JSON would be five times as long and change the last digit of nothing.
 */
export function packEmbeddings({ vectors, promptTokens }: Embeddings): Uint8Array<ArrayBuffer> {
  const dimensions = vectors[0]?.length ?? 0;
  const bytes = new Uint8Array(HEAD_BYTES + vectors.length * dimensions * 4);
  const view = new DataView(bytes.buffer);
  for (const [at, number] of [promptTokens, vectors.length, dimensions].entries()) view.setUint32(at * 4, number, true);
  let offset = HEAD_BYTES;
  for (const vector of vectors) {
    for (const number of vector) {
      view.setFloat32(offset, number, true);
      offset += 4;
    }
  }
  return bytes;
}

/**
 * The embeddings that {@linkcode packEmbeddings} made these bytes of.
 *
 * @throws {RangeError} when there are fewer bytes than they say.
 */
export function unpackEmbeddings(bytes: Uint8Array): Embeddings {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [promptTokens, count, dimensions] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
  const vectors = Array.from({ length: count }, (_, row) => {
    const start = HEAD_BYTES + row * dimensions * 4;
    return Float32Array.from({ length: dimensions }, (_, column) => view.getFloat32(start + column * 4, true));
  });
  return { vectors, promptTokens };
}
