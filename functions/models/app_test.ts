import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { readJson } from "../../tests/fixtures/http.ts";
import { createApp } from "./app.ts";

const MODEL = {
  id: "scripted",
  object: "model",
  created: Date.UTC(2026, 0, 1) / 1000,
  owned_by: "rookery",
  name: "Scripted",
  context_length: 2048,
  max_model_len: 2048,
};

function createTestApp(id = "scripted") {
  return createApp({ inference: createEngineTable([createScriptedEngine({ model: { id, contextTokensMax: 2048 } })]) });
}

Deno.test("GET /v1/models lists the model with the context that is served", async () => {
  const response = await createTestApp().request("/v1/models");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), { object: "list", data: [MODEL] });
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

Deno.test("GET /v1/models says when the model cannot be had", async () => {
  const engine = createScriptedEngine();
  engine.describe = () => Promise.reject(new DomainError("engine_unavailable", "It is being loaded"));
  const response = await createApp({ inference: createEngineTable([engine]) }).request("/v1/models");
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "5");
  assert.equal((await readJson(response)).error.code, "engine_unavailable");
});
