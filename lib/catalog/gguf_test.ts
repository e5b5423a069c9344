import assert from "node:assert/strict";
import { join } from "node:path";
import {
  buildGguf,
  claimArray,
  type GgufParts,
  type GgufTensor,
  type GgufValue,
  MODEL_METADATA,
  MODEL_TENSORS,
} from "../../tests/fixtures/gguf.ts";
import { DomainError } from "../errors.ts";
import type { ByteSource } from "./byte_reader.ts";
import { readGguf, readGgufFile } from "./gguf.ts";
import type { GgufHeader } from "./gguf_header.ts";

/** Bytes in memory that count how much of them was asked for. */
class Bytes implements ByteSource {
  bytesRead = 0;

  /** With `sparse` the bytes are followed by zeros up to `sizeBytes`; otherwise they end before. */
  constructor(readonly bytes: Uint8Array, readonly sizeBytes = bytes.length, readonly sparse = false) {}

  read(buffer: Uint8Array, offset: number): Promise<number> {
    const piece = this.bytes.subarray(offset, offset + buffer.length);
    buffer.set(piece);
    if (this.sparse) buffer.fill(0, piece.length);
    const length = this.sparse ? buffer.length : piece.length;
    this.bytesRead += length;
    return Promise.resolve(length);
  }
}

const read = (parts: GgufParts): Promise<GgufHeader> => readGguf(new Bytes(buildGguf(parts)));

function withMetadata(...entries: [string, GgufValue][]): GgufParts {
  const replaced = new Set(entries.map(([key]) => key));
  return { metadata: [...MODEL_METADATA.filter(([key]) => !replaced.has(key)), ...entries] };
}

async function assertRefused(parts: GgufParts, reason: RegExp): Promise<void> {
  await assert.rejects(read(parts), (error) => {
    assert.ok(error instanceof DomainError, String(error));
    assert.equal(error.code, "invalid_model_file");
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("readGguf() tells what the header says of its model", async () => {
  assert.deepEqual(await read({}), {
    kind: "chat",
    architecture: "llama",
    name: "Tiny",
    quantization: "Q4_K_M",
    parameters: 40,
    contextTokensTrained: 2048,
    chatTemplate: "{{ messages }}",
    licence: null,
    attention: null,
  });
});

Deno.test("readGguf() knows models that embed by their architecture, or by how they pool", async () => {
  const kindOf = async (architecture: string, ...entries: [string, GgufValue][]) => {
    const common: [string, GgufValue][] = [
      ["general.architecture", { string: architecture }],
      [`${architecture}.context_length`, { uint32: 512 }],
    ];
    return (await read({ metadata: [...common, ...entries] })).kind;
  };
  for (const architecture of ["bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "gemma-embedding"]) {
    assert.equal(await kindOf(architecture), "embedding", architecture);
  }
  assert.equal(await kindOf("qwen3"), "chat");
  assert.equal(await kindOf("qwen3", ["qwen3.pooling_type", { uint32: 0 }]), "chat");
  assert.equal(await kindOf("qwen3", ["qwen3.pooling_type", { uint32: 3 }]), "embedding");
  await assert.rejects(kindOf("qwen3", ["qwen3.pooling_type", { uint32: 4 }]), /it ranks documents/);
});

Deno.test("readGguf() tells what keys and values of a token are", async () => {
  const withAttention = (...entries: [string, GgufValue][]) =>
    read(withMetadata(
      ["llama.block_count", { uint32: 28 }],
      ["llama.embedding_length", { uint32: 3072 }],
      ["llama.attention.head_count", { uint32: 24 }],
      ...entries,
    ));
  const shape = { layers: 28, heads: 8, keySize: 128, valueSize: 128, windowTokens: null };
  const heads: [string, GgufValue] = ["llama.attention.head_count_kv", { uint32: 8 }];
  assert.deepEqual((await withAttention(heads)).attention, shape);
  const sized = await withAttention(
    heads,
    ["llama.attention.key_length", { uint32: 256 }],
    ["llama.attention.value_length", { uint32: 64 }],
    ["llama.attention.sliding_window", { uint32: 512 }],
  );
  assert.deepEqual(sized.attention, { ...shape, keySize: 256, valueSize: 64, windowTokens: 512 });
  // Layers that differ are written as a list.
  const differing = await withAttention(["llama.attention.head_count_kv", claimArray(4, 2n, new Uint8Array(8))]);
  assert.equal(differing.attention, null);
});

Deno.test("readGguf() reads version 2 and finds the context length before and after the architecture", async () => {
  const metadata: [string, GgufValue][] = [
    ["qwen2.context_length", { uint64: 32_768n }],
    ["general.architecture", { string: "qwen2" }],
    ["general.basename", { string: "Base" }],
    ["general.license", { string: "apache-2.0" }],
  ];
  const header = await read({ version: 2, metadata });
  assert.equal(header.contextTokensTrained, 32_768);
  assert.equal(header.name, "Base");
  assert.equal(header.quantization, "unknown");
  assert.equal(header.chatTemplate, null);
  assert.equal(header.licence, "apache-2.0");
});

Deno.test("readGguf() refuses what is not a GGUF file it can read", async () => {
  await assertRefused({ magic: "GGML" }, /not a GGUF file/);
  await assertRefused({ version: 1 }, /version is 1/);
  await assertRefused({ version: 4 }, /version is 4/);
  await assertRefused({ version: 0x3000000 }, /big endian/);
  await assert.rejects(readGguf(new Bytes(new Uint8Array(0))), /not a GGUF file/);
  await assert.rejects(readGguf(new Bytes(new Uint8Array(3))), /not a GGUF file/);
});

Deno.test("readGguf() refuses counts that cannot be in the file", async () => {
  for (const count of [1n << 63n, (1n << 64n) - 1n, 1n << 40n, 99_999n]) {
    await assertRefused({ tensorCount: count }, /tensors, more than can be in it/);
    await assertRefused({ metadataCount: count }, /entries, more than can be in it/);
  }
  await assertRefused({ tensorCount: 0n }, /no weights/);
});

Deno.test("readGguf() refuses lengths of texts beyond the file, also those that overflow 64 bits", async () => {
  for (const length of [1n << 20n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n]) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    await assertRefused(withMetadata(["general.name", { raw: { type: 8, bytes } }]), /more than are left/);
    await assertRefused(withMetadata(["some.text", { raw: { type: 8, bytes } }]), /more than are left/);
    await assertRefused(withMetadata(["some.texts", claimArray(8, 1n, bytes)]), /more than are left/);
  }
});

Deno.test("readGguf() refuses arrays that claim too much, are nested or have no known type", async () => {
  for (const type of [0, 4, 8, 12]) {
    await assertRefused(withMetadata(["a", claimArray(type, (1n << 64n) - 1n)]), /elements, more than/);
    await assertRefused(withMetadata(["a", claimArray(type, 1n << 50n)]), /elements, more than/);
  }
  await assertRefused(withMetadata(["a", claimArray(9, 1n)]), /array of arrays/);
  await assertRefused(withMetadata(["a", claimArray(13, 0n)]), /unknown type 13/);
  await assertRefused(withMetadata(["a", { raw: { type: 99, bytes: new Uint8Array(8) } }]), /unknown type 99/);
  await assertRefused(withMetadata(["a", { bool: 2 }]), /neither true nor false/);
});

Deno.test("readGguf() refuses keys and tensors that come twice", async () => {
  await assertRefused({ metadata: [...MODEL_METADATA, MODEL_METADATA[0]!] }, /"general.architecture" twice/);
  await assertRefused({ tensors: [...MODEL_TENSORS, MODEL_TENSORS[0]!] }, /"token_embd.weight" twice/);
});

Deno.test("readGguf() refuses texts that are not UTF-8", async () => {
  const bytes = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0x28);
  await assertRefused(withMetadata(["general.name", { raw: { type: 8, bytes } }]), /not valid UTF-8/);
});

Deno.test("readGguf() refuses an alignment that is not a power of two", async () => {
  for (const uint32 of [0, 3, 33]) {
    await assertRefused(withMetadata(["general.alignment", { uint32 }]), /not a power of two/);
  }
  await assertRefused(withMetadata(["general.alignment", { string: "32" }]), /not a power of two/);
  await assertRefused(withMetadata(["general.alignment", { uint64: 32n }]), /not a 32-bit number/);
  const wide = await read({ ...withMetadata(["general.alignment", { uint32: 64 }]), alignment: 64 });
  assert.equal(wide.parameters, 40);
});

Deno.test("readGguf() refuses tensors of impossible shape, type or place", async () => {
  const cases: [Partial<GgufTensor>, RegExp][] = [
    [{ dimensions: [] }, /0 dimensions/],
    [{ dimensions: [1, 1, 1, 1, 1] }, /5 dimensions/],
    [{ dimensions: [0] }, /impossible shape/],
    [{ dimensions: [8, 0] }, /impossible shape/],
    [{ dimensions: [1n << 63n] }, /impossible shape/],
    [{ dimensions: [1n << 32n, 1n << 32n] }, /impossible shape/],
    [{ dimensions: [1n << 50n] }, /cut off/],
    [{ type: 4 }, /unknown type 4/],
    [{ type: 1_000 }, /unknown type 1000/],
    [{ type: 12 }, /rows of 8, which Q4_K cannot hold/],
    [{ offset: 8 }, /alignment/],
    [{ offset: (1n << 64n) - 32n }, /alignment/],
    [{ offset: 1n << 40n }, /cut off/],
    [{ name: "x".repeat(64) }, /64 bytes long; 63 are allowed/],
  ];
  for (const [change, reason] of cases) {
    const tensor = { name: "bad", dimensions: [8], ...change };
    await assertRefused({ tensors: [tensor], dataBytes: 4_096 }, reason);
  }
});

Deno.test("readGguf() refuses what is no language model by itself", async () => {
  await assertRefused(withMetadata(["split.count", { uint32: 3 }]), /one of 3 parts/);
  await assertRefused(withMetadata(["general.type", { string: "adapter" }]), /"adapter"/);
  await assertRefused(withMetadata(["llama.context_length", { uint32: 0 }]), /how long its context/);
  await assertRefused(withMetadata(["general.architecture", { string: " " }]), /architecture/);
});

Deno.test("readGguf() refuses a file that was cut at any byte", async () => {
  const whole = buildGguf();
  for (let length = 0; length < whole.length; length++) {
    await assert.rejects(readGguf(new Bytes(whole.subarray(0, length))), { code: "invalid_model_file" }, `${length}`);
  }
  await readGguf(new Bytes(whole));
});

Deno.test("readGguf() refuses a file that shrinks while it is read", async () => {
  const whole = buildGguf();
  await assert.rejects(readGguf(new Bytes(whole.subarray(0, 100), whole.length)), /cut off/);
});

Deno.test("readGguf() passes over a large vocabulary without reading the arrays of numbers", async () => {
  const tokens = Array.from({ length: 100_000 }, (_, index) => `token ${index}`);
  const numbers = claimArray(6, 4_000_000n, new Uint8Array(16_000_000));
  const bytes = new Bytes(buildGguf(withMetadata(["tokenizer.ggml.tokens", { strings: tokens }], ["n", numbers])));
  const header = await readGguf(bytes);
  assert.equal(header.architecture, "llama");
  assert.ok(bytes.bytesRead < 4_000_000, `${bytes.bytesRead} bytes were read`);
});

Deno.test("readGguf() gives up at a header of 256 MiB, however large the file is", async () => {
  for (const metadata of [claimArray(0, 1n << 39n), claimArray(8, 1n << 36n)]) {
    const bytes = new Bytes(buildGguf({ metadata: [["a", metadata]], tensors: [], tensorCount: 1n }), 2 ** 40, true);
    await assert.rejects(readGguf(bytes), /larger than 268435456 bytes/);
    assert.ok(bytes.bytesRead <= 2 ** 28 + 2 ** 19, `${bytes.bytesRead} bytes were read`);
  }
});

Deno.test("readGguf() answers or refuses seeded mutations, and never fails in another way", async () => {
  const original = buildGguf();
  const random = createRandom(20_261_124);
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = mutate(original, random);
    try {
      const header = await readGguf(new Bytes(bytes));
      assert.ok(header.contextTokensTrained > 0 && header.parameters > 0);
    } catch (error) {
      assert.ok(error instanceof DomainError && error.code === "invalid_model_file", `round ${round}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 5_000, `only ${refused} were refused, so the mutations are too tame`);
});

/** Mulberry32: the same numbers in every run. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Changes up to four places: a byte, a hostile 64-bit number, a cut, or a stretch that is doubled. */
function mutate(original: Uint8Array, random: (below: number) => number): Uint8Array {
  let bytes = original.slice();
  for (let change = random(4); change >= 0; change--) {
    const at = random(Math.max(1, bytes.length - 8));
    const kind = random(8);
    if (kind < 4) bytes[at] = random(256);
    else if (kind < 6 && at + 8 <= bytes.length) {
      const hostile = [0n, 1n, 0xffn, 1n << 31n, 1n << 32n, 1n << 53n, 1n << 63n, (1n << 64n) - 1n];
      new DataView(bytes.buffer).setBigUint64(at, hostile[random(hostile.length)]!, true);
    } else if (kind === 6) bytes = bytes.slice(0, at);
    else bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at - random(at + 1))]);
  }
  return bytes;
}

Deno.test("readGgufFile() names the file and what is wrong with it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "cut.gguf");
    await Deno.writeFile(path, buildGguf().subarray(0, 200));
    await assert.rejects(readGgufFile(path), {
      code: "invalid_model_file",
      message:
        'Cannot read model file "cut.gguf": a metadata key claims 23 bytes, more than are left: it is cut off or damaged',
    });
    await assert.rejects(readGgufFile(join(folder, "none.gguf")), { code: "model_not_found" });
    await assert.rejects(readGgufFile(folder), { code: "invalid_model_file" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
