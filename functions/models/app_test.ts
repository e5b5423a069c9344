import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { readJson } from "../../tests/fixtures/http.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";

const MODEL = {
  id: "scripted",
  object: "model",
  created: Date.UTC(2026, 0, 1) / 1000,
  owned_by: "rookery",
  name: "Scripted",
  context_length: 2048,
  max_model_len: 2048,
  kind: "chat",
  capabilities: { tools: true, reasoning: false, vision: false, infill: false },
  dimensions: null,
  loaded: false,
};

const EMBEDDER = {
  id: "scripted-embedder",
  object: "model",
  created: Date.UTC(2026, 1, 1) / 1000,
  owned_by: "rookery",
  name: "Scripted Embedder",
  context_length: 64,
  max_model_len: 64,
  kind: "embedding",
  capabilities: { tools: false, reasoning: false, vision: false, infill: false },
  dimensions: 8,
  loaded: false,
};

const PART = { contextTokensMax: 2048, capabilities: MODEL.capabilities };

function createTestApp(id = "scripted") {
  return createApp({ inference: new ScriptedInference({ model: { ...PART, id }, embedder: null }) });
}

Deno.test("GET /v1/models lists every model with what it can do, the context that is served, and whether it is loaded", async () => {
  const inference = new ScriptedInference({ model: PART });
  const app = createApp({ inference });
  const response = await app.request("/v1/models");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), { object: "list", data: [MODEL, EMBEDDER] });
  await inference.keep({ model: "scripted-embedder", keepAliveMs: null });
  const { data } = await readJson(await app.request("/v1/models"));
  assert.deepEqual(data, [MODEL, { ...EMBEDDER, loaded: true }]);
});

Deno.test("GET /v1/models/{id} describes one, also with :latest", async () => {
  for (const id of ["scripted", "scripted:latest", "scripted%3Alatest"]) {
    const response = await createTestApp().request(`/v1/models/${id}`);
    assert.equal(response.status, 200, id);
    assert.deepEqual(await response.json(), MODEL);
  }
});

Deno.test("GET /v1/models/{id} takes ids with encoded slashes", async () => {
  const response = await createTestApp("owner/model").request("/v1/models/owner%2Fmodel");
  assert.equal(response.status, 200);
  assert.equal((await readJson(response)).id, "owner/model");
});

Deno.test("GET /v1/models/{id} names the models there are when the id is unknown", async () => {
  const response = await createTestApp().request("/v1/models/gpt-4");
  assert.equal(response.status, 404);
  assert.deepEqual((await readJson(response)).error, {
    message: 'Unknown model "gpt-4"; there is "scripted"',
    type: "not_found",
    code: "model_not_found",
    param: "model",
    requestId: response.headers.get("x-request-id"),
  });
});

Deno.test("GET /v1/models says when the models cannot be had", async () => {
  const inference = new ScriptedInference();
  inference.list = () => Promise.reject(new DomainError("engine_unavailable", "They are being loaded"));
  const response = await createApp({ inference }).request("/v1/models");
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "5");
  assert.equal((await readJson(response)).error.code, "engine_unavailable");
});

Deno.test("GET /v1/models/{id} finds a model of another server, with its slash encoded or not", async () => {
  const app = createTestApp("desk/llama");
  for (const id of ["desk/llama", "desk%2Fllama"]) {
    const response = await app.request(`/v1/models/${id}`);
    assert.equal(response.status, 200);
    assert.equal((await readJson(response)).id, "desk/llama");
  }
});
