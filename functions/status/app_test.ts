import assert from "node:assert/strict";
import type { DatabaseState } from "../../lib/database/pulse.ts";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { silentLogger } from "../../lib/log.ts";
import { VERSION } from "../../lib/version.ts";
import { readJson } from "../../tests/fixtures/http.ts";
import { LOADED_AT_MS, ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";

Deno.test("GET /status tells version, uptime, memory, queue and model, and no template", async () => {
  const engine = createScriptedEngine();
  const response = await createApp({ inference: createEngineTable([engine]), startedAtMs: Date.now() - 5000 }).request(
    "/status",
  );
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const { uptimeMs, rssBytes, ...status } = await readJson(response);
  assert.ok(uptimeMs >= 5000 && rssBytes > 1_000_000);
  assert.equal(status.version, VERSION);
  assert.partialDeepStrictEqual(status.engine, {
    state: "ready",
    active: 0,
    queued: 0,
    queuedMax: 64,
    rssBytes: 1_048_576,
  });
  assert.partialDeepStrictEqual(status.model, { id: "scripted", contextTokensMax: 4096, sequences: 4 });
  assert.ok(!("chatTemplate" in status.model) && !("path" in status.model));
});

Deno.test("GET /status tells of every model in memory how busy it is, what it takes and when it goes", async () => {
  const inference = new ScriptedInference();
  await inference.keep({ model: "scripted-embedder", keepAliveMs: 60_000 });
  const { engine } = await readJson(await createApp({ inference }).request("/status"));
  assert.equal(engine.memoryBytesMax, 1e9);
  const expiresAtMs = LOADED_AT_MS + 60_000;
  const model = { id: "scripted-embedder", state: "ready", active: 0, queued: 0, memoryBytes: 4_194_304, expiresAtMs };
  assert.deepEqual(engine.models, [model]);
});

Deno.test("GET /status does not wait for a model that is being loaded", async () => {
  const engine = createScriptedEngine();
  engine.state = "loading";
  engine.describe = () => new Promise(() => {});
  const status = await readJson(await createApp({ inference: createEngineTable([engine]) }).request("/status"));
  assert.equal(status.engine.state, "loading");
  assert.equal(status.model, null);
});

Deno.test("GET /health is 200 while answers can be had or will be, and 503 when the engine is gone", async () => {
  const engine = createScriptedEngine();
  const app = createApp({ inference: createEngineTable([engine]) });
  const ask = async () => {
    const response = await app.request("/health");
    return [response.status, (await readJson(response)).status];
  };
  assert.deepEqual(await ask(), [200, "ok"]);
  engine.state = "loading";
  assert.deepEqual(await ask(), [200, "loading"]);
  engine.state = "gone";
  assert.deepEqual(await ask(), [503, "gone"]);
  engine.status = () => Promise.reject(new DomainError("engine_gone", "It ended"));
  assert.deepEqual(await ask(), [503, "gone"]);
});

Deno.test("With a key /health is open and /status is not, and neither tells it", async () => {
  const apiKey = "correct-horse-battery";
  const edge = { apiKey, allowedHosts: [], allowedOrigins: [], log: silentLogger };
  const app = createApp({ inference: createEngineTable([createScriptedEngine()]), edge });
  assert.equal((await app.request("/health")).status, 200);
  assert.equal((await app.request("/status")).status, 401);
  const response = await app.request("/status", { headers: { authorization: `Bearer ${apiKey}` } });
  assert.equal(response.status, 200);
  assert.ok(!(await response.text()).includes(apiKey));
});

Deno.test("GET /health and /status tell how the database is; without it /health is 503, and a busy one is none the worse", async () => {
  let state: DatabaseState = "ok";
  const inference = createEngineTable([createScriptedEngine()]);
  const app = createApp({ inference, readDatabase: () => Promise.resolve(state) });
  const ask = async () => {
    const response = await app.request("/health");
    return [response.status, await readJson(response)];
  };
  assert.deepEqual(await ask(), [200, { status: "ok", database: "ok" }]);
  state = "busy";
  assert.deepEqual(await ask(), [200, { status: "ok", database: "busy" }]);
  state = "gone";
  assert.deepEqual(await ask(), [503, { status: "gone", database: "gone" }]);
  assert.equal((await readJson(await app.request("/status"))).database, "gone");
  assert.equal((await readJson(await createApp({ inference }).request("/status"))).database, null);
});
