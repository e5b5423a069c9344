import assert from "node:assert/strict";
import { findLlamaLibrary, openLlamaLibrary } from "./library.ts";
import { BatchBuffer, CandidateBuffer, checkLayout, setContextParams, setModelParams } from "./structs.ts";

const library = openLlamaLibrary(
  findLlamaLibrary({ gpu: false, llamaCppRelease: { repo: "ggml-org/llama.cpp", release: "v0.4.0" } }),
);
const defaults = () => ({
  model: library.llama_model_default_params(),
  context: library.llama_context_default_params(),
});

function viewOf(struct: Uint8Array): DataView {
  return new DataView(struct.buffer, struct.byteOffset, struct.byteLength);
}

Deno.test("checkLayout() knows the defaults of the library that is installed", () => {
  const { model, context } = defaults();
  assert.deepEqual([model.length, context.length], [80, 160]);
  checkLayout({ model, context });
  // As `llama_context_default_params` writes them.
  const view = viewOf(context);
  const u32 = [0, 4, 8, 12, 16, 20, 24].map((offset) => view.getUint32(offset, true));
  assert.deepEqual(u32, [512, 2048, 512, 1, 0, 0, 1], "n_ctx, n_batch, n_ubatch, n_seq_max, n_rs_seq, n_outputs_max…");
  assert.deepEqual([...context.subarray(128, 134)], [0, 1, 1, 1, 1, 0], "embeddings, …, swa_full, kv_unified");
  assert.deepEqual([...context.subarray(136)], Array(24).fill(0), "samplers, n_samplers, ctx_other");
  assert.equal(viewOf(model).getInt32(16, true), -1, "n_gpu_layers");
  assert.deepEqual([...model.subarray(72, 78)], [0, 0, 1, 0, 0, 0], "vocab_only, check_tensors, use_extra_bufts, …");
});

Deno.test("checkLayout() refuses structs with a field more or less, wherever it is", () => {
  const { model, context } = defaults();
  const refusal = { code: "engine_unavailable", message: /laid out in another way/ };
  for (let at = 0; at <= 132; at += 4) {
    const [more, less] = [new Uint8Array(160), new Uint8Array(160)];
    more.set(context.subarray(0, at));
    more.set(context.subarray(at, 156), at + 4);
    less.set(context.subarray(0, at));
    less.set(context.subarray(at + 4), at);
    assert.throws(() => checkLayout({ model, context: more }), refusal, `a field more at ${at}`);
    assert.throws(() => checkLayout({ model, context: less }), refusal, `a field less at ${at}`);
  }
  for (let at = 0; at <= 16; at += 8) {
    const more = new Uint8Array(80);
    more.set(model.subarray(0, at));
    more.set(model.subarray(at, 72), at + 8);
    assert.throws(() => checkLayout({ model: more, context }), refusal, `a pointer more at ${at}`);
  }
});

Deno.test("setContextParams() and setModelParams() change what they are told and nothing else", () => {
  const { model, context } = defaults();
  setContextParams(context, { contextTokens: 4_096, batchTokensMax: 68, sequences: 4 });
  setModelParams(model, { gpuLayers: 7, onProgress: null });
  const changed = (now: Uint8Array, before: Uint8Array) => [...now.keys()].filter((at) => now[at] !== before[at]);
  const bytesOf = (fields: number[]) => fields.flatMap((at) => [at, at + 1, at + 2, at + 3]);
  const { model: modelBefore, context: contextBefore } = defaults();
  const allowed = [...bytesOf([0, 4, 8, 12, 20]), 132];
  assert.deepEqual(changed(context, contextBefore).filter((at) => !allowed.includes(at)), []);
  assert.deepEqual(changed(model, modelBefore), bytesOf([16]));
  const view = viewOf(context);
  assert.deepEqual([0, 4, 8, 12, 20].map((at) => view.getUint32(at, true)), [4_096, 68, 68, 4, 4]);
  assert.equal(context[132], 0);
});

/** Follows the pointer in a struct. */
function follow(struct: Uint8Array, offset: number): Deno.UnsafePointerView {
  const pointer = Deno.UnsafePointer.create(viewOf(struct).getBigUint64(offset, true));
  assert.ok(pointer !== null);
  return new Deno.UnsafePointerView(pointer);
}

Deno.test("BatchBuffer lays tokens out as llama.cpp reads them, and takes no more than it has room for", () => {
  const batch = new BatchBuffer(3);
  batch.push(9, { position: 9, sequence: 9, output: true });
  batch.clear();
  for (const i of [0, 1, 2]) batch.push(10 + i, { position: 20 + i, sequence: i % 2, output: i === 2 });
  const { struct } = batch;
  assert.equal(viewOf(struct).getInt32(0, true), 3);
  const [tokens, positions, counts, sequences, outputs] = [8, 24, 32, 40, 48].map((offset) => follow(struct, offset));
  for (const i of [0, 1, 2]) {
    assert.equal(tokens!.getInt32(4 * i), 10 + i);
    assert.equal(positions!.getInt32(4 * i), 20 + i);
    assert.equal(counts!.getInt32(4 * i), 1);
    const sequence = sequences!.getPointer(8 * i);
    assert.equal(new Deno.UnsafePointerView(sequence!).getInt32(), i % 2);
    assert.equal(outputs!.getInt8(i), i === 2 ? 1 : 0);
  }
  assert.throws(() => batch.push(13, { position: 23, sequence: 0, output: false }), /The batch is full/);
  assert.equal(viewOf(struct).getInt32(0, true), 3, "llama.cpp would read behind the end");
});

Deno.test("CandidateBuffer shows samplers ids and logits, and gives back what they select", () => {
  const candidates = new CandidateBuffer(4);
  candidates.fill(new Float32Array([0.5, 3, -1, 2]));
  assert.equal(candidates.selected, null);
  const greedy = library.llama_sampler_init_greedy();
  library.llama_sampler_apply(greedy, candidates.struct);
  assert.equal(candidates.selected, 1);
  library.llama_sampler_free(greedy);
  const topK = library.llama_sampler_init_top_k(2);
  candidates.fill(new Float32Array([0.5, 3, -1, 4]));
  library.llama_sampler_apply(topK, candidates.struct);
  assert.equal(viewOf(candidates.struct).getBigUint64(8, true), 2n);
  library.llama_sampler_free(topK);
  candidates.fillOne(3);
  assert.equal(candidates.isPossible, true);
});
