import assert from "node:assert/strict";
import { createEmptyCatalog } from "../../tests/fixtures/empty_catalog.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";

const MODEL = "scripted-embedder";

function createTestApp() {
  const inference = new ScriptedInference();
  const app = createApp({ inference, library: createEmptyCatalog() });
  const ask = (path: string, body: object) => postJson(app, path, { body: { model: MODEL, ...body } });
  return { inference, ask };
}

Deno.test("POST /api/embed turns texts into vectors, with the numbers", async () => {
  const { ask, inference } = createTestApp();
  const response = await ask("/api/embed", { model: `${MODEL}:latest`, input: ["raven", "owl"], keep_alive: "5m" });
  assert.equal(response.status, 200);
  const { embeddings, total_duration, load_duration, ...rest } = await readJson(response);
  assert.deepEqual(rest, { model: `${MODEL}:latest`, prompt_eval_count: 8 });
  assert.deepEqual(embeddings.map(({ length }: number[]) => length), [8, 8]);
  assert.notDeepEqual(embeddings[0], embeddings[1]);
  assert.ok(Number.isInteger(total_duration) && Number.isInteger(load_duration) && total_duration >= load_duration);
  const { inputs, truncate, dimensions, keepAliveMs, owner } = inference.embedded[0]!;
  assert.deepEqual([inputs, truncate, dimensions, keepAliveMs, owner], [
    ["raven", "owl"],
    true,
    null,
    300_000,
    "local",
  ]);
});

Deno.test("POST /api/embed takes a single text, fewer dimensions and options", async () => {
  const { ask, inference } = createTestApp();
  const response = await ask("/api/embed", { input: "raven", dimensions: 4, options: { num_ctx: 512, unknown: 1 } });
  const { embeddings: [vector, ...others] } = await readJson(response);
  assert.deepEqual([vector.length, others], [4, []]);
  assert.deepEqual(inference.embedded[0]!.inputs, ["raven"]);
});

Deno.test("POST /api/embed cuts what is too long, unless it is told not to", async () => {
  const { ask } = createTestApp();
  const cut = await ask("/api/embed", { input: "a".repeat(100) });
  assert.equal((await readJson(cut)).prompt_eval_count, 64);
  const refused = await ask("/api/embed", { input: "a".repeat(100), truncate: false });
  assert.equal(refused.status, 400);
  assert.match((await readJson(refused)).error, /longer than 64 tokens/);
});

Deno.test("Without a text the model is loaded, or unloaded, and there are no vectors", async () => {
  const { ask, inference } = createTestApp();
  for (const input of [undefined, "", []]) {
    const answer = await readJson(await ask("/api/embed", { input, keep_alive: 0 }));
    assert.deepEqual([answer.embeddings, answer.prompt_eval_count], [[], 0]);
  }
  assert.deepEqual(await readJson(await ask("/api/embeddings", { prompt: "" })), { embedding: [] });
  assert.deepEqual(inference.kept.map(({ keepAliveMs }) => keepAliveMs), [0, 0, 0, null]);
  assert.equal(inference.embedded.length, 0);
});

Deno.test("A model is loaded once before its first texts", async () => {
  const { ask, inference } = createTestApp();
  for (const input of ["a", "b"]) await ask("/api/embed", { input });
  assert.deepEqual(inference.kept, [{ model: MODEL, keepAliveMs: null }]);
});

Deno.test("POST /api/embeddings gives the vector of its prompt as /api/embed does", async () => {
  const { ask } = createTestApp();
  const { embedding } = await readJson(await ask("/api/embeddings", { prompt: "raven" }));
  assert.deepEqual([embedding], (await readJson(await ask("/api/embed", { input: "raven" }))).embeddings);
});

Deno.test("What cannot be embedded is refused in Ollama's shape", async () => {
  const { ask, inference } = createTestApp();
  const wrong: [body: object, message: RegExp][] = [
    [{ model: "scripted", input: "a" }, /^"scripted" does not support embeddings: name "scripted-embedder"$/],
    [{ input: ["a", ""] }, /"input\[1\]": it is empty/],
    [{ input: 7 }, /"input": expected a text or an array of texts/],
    [{ input: Array(2_049).fill("a") }, /at most 2048 inputs/],
    [{ input: "a", dimensions: 0 }, /"dimensions"/],
    [{ input: "a", keep_alive: "soon" }, /"soon" is no duration/],
  ];
  for (const [body, message] of wrong) {
    const response = await ask("/api/embed", body);
    assert.equal(response.status, 400);
    const answer = await readJson(response);
    assert.deepEqual(Object.keys(answer), ["error"]);
    assert.match(answer.error, message);
  }
  assert.equal(inference.embedded.length, 0);
});
