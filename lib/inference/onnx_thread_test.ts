import assert from "node:assert/strict";
import { openOnnxThread } from "./onnx_thread.ts";
import type { OnnxModel } from "./onnx_model.ts";

const MODEL: OnnxModel = { dtype: "q8", pooling: "mean", dimensions: 2, vocabularySize: 9, tokensMax: 8 };

/** A thread that answers with `script`, which sees the request as `data`. */
function createWorker(script: string): () => Worker {
  const source = `self.onmessage = ({ data }) => { ${script} };`;
  return () => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return new Worker(url, { type: "module" });
  };
}

const LOAD = `if (data.type === "unload") return postMessage({ id: data.id, type: "unloaded" });
if (data.type === "load") {
  return postMessage({ id: data.id, type: "loaded", loaded: { prefix: [1], suffix: [2] } });
}`;

Deno.test("openOnnxThread() asks a thread and hands back its answers, each to its question", async () => {
  const script = `${LOAD} setTimeout(() => {
    postMessage({ id: data.id, type: "encoded", tokens: data.texts.map((text) => [text.length]) });
  }, 20 - 10 * data.id);`;
  await using thread = await openOnnxThread({ folder: "/m", model: MODEL, createWorker: createWorker(script) });
  assert.deepEqual([thread.prefix, thread.suffix, thread.vocabularySize], [[1], [2], 9]);
  const answers = await Promise.all([thread.encode(["one", "three"]), thread.encode(["to"])]);
  assert.deepEqual(answers, [[[3], [5]], [[2]]]);
});

Deno.test("openOnnxThread() throws what keeps a thread from loading", async () => {
  const fails = createWorker(`postMessage({ id: data.id, type: "failed", reason: "bad magic" });`);
  await assert.rejects(openOnnxThread({ folder: "/m", model: MODEL, createWorker: fails }), { message: "bad magic" });
  const dies = createWorker(`throw new Error("boom");`);
  await assert.rejects(openOnnxThread({ folder: "/m", model: MODEL, createWorker: dies }), {
    name: "Error",
    message: "The thread died while it loaded",
  });
});

Deno.test("a thread that dies fails its open questions and those that follow, and not the process", async () => {
  const script = `${LOAD} if (data.type === "compute") setTimeout(() => { throw new Error("boom"); });`;
  await using thread = await openOnnxThread({ folder: "/m", model: MODEL, createWorker: createWorker(script) });
  assert.equal(thread.isLost, false);
  const open = [thread.compute([[1]]), thread.encode(["a"])].map((question) => {
    return assert.rejects(question, { code: "engine_gone" });
  });
  await Promise.all(open);
  assert.equal(thread.isLost, true);
  await assert.rejects(thread.encode(["b"]), { code: "engine_gone" });
});

Deno.test("a thread answers a batch that fails with its reason and lives on", async () => {
  const script = `${LOAD} postMessage(data.type === "compute"
    ? { id: data.id, type: "failed", reason: "bad_alloc" }
    : { id: data.id, type: "encoded", tokens: [[4]] });`;
  await using thread = await openOnnxThread({ folder: "/m", model: MODEL, createWorker: createWorker(script) });
  await assert.rejects(thread.compute([[1]]), { message: "bad_alloc" });
  assert.deepEqual([await thread.encode(["a"]), thread.isLost], [[[4]], false]);
});
