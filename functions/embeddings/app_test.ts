import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { createLogCollector, postJson, readJson } from "../../tests/fixtures/http.ts";
import { until } from "../../tests/fixtures/processes.ts";
import { ScriptedInference, type ScriptedInferenceOptions } from "../../tests/fixtures/scripted_inference.ts";
import { STARTER_EMBEDDER } from "../_shared/embeddings.ts";
import { createApp } from "./app.ts";

const MODEL = "scripted-embedder";

function createTestApp(options: ScriptedInferenceOptions = {}) {
  const inference = new ScriptedInference(options);
  const app = createApp({ inference });
  const ask = (body: object) => postJson(app, "/v1/embeddings", { body: { model: MODEL, ...body } });
  return { inference, app, ask };
}

Deno.test("POST /v1/embeddings answers a text with its vector in OpenAI's shape", async () => {
  const { ask, inference } = createTestApp();
  const response = await ask({ input: "raven", user: "someone" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const answer = await readJson(response);
  const [{ embedding }] = answer.data;
  assert.deepEqual(answer, {
    object: "list",
    data: [{ object: "embedding", index: 0, embedding }],
    model: MODEL,
    usage: { prompt_tokens: 5, total_tokens: 5 },
  });
  assert.equal(embedding.length, 8);
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-6);
  const { id, ...asked } = inference.embedded[0]!;
  assert.equal(id, response.headers.get("x-request-id"));
  assert.deepEqual(asked, {
    owner: "local",
    model: MODEL,
    inputs: ["raven"],
    dimensions: null,
    truncate: false,
    keepAliveMs: null,
  });
});

Deno.test("POST /v1/embeddings takes texts and tokens, alone and in arrays, and keeps their order", async () => {
  const { ask } = createTestApp();
  const vectorsOf = async (input: unknown) => {
    const response = await ask({ input });
    assert.equal(response.status, 200, await response.clone().text());
    return (await readJson(response)).data.map((each: { embedding: number[] }) => each.embedding);
  };
  const [a] = await vectorsOf("a");
  const [bc] = await vectorsOf("bc");
  assert.notDeepEqual(a, bc);
  assert.deepEqual(await vectorsOf(["a", "bc"]), [a, bc]);
  assert.deepEqual(await vectorsOf([98, 99]), [bc]);
  assert.deepEqual(await vectorsOf([[98, 99], [97]]), [bc, a]);
});

Deno.test("POST /v1/embeddings writes base64 of little-endian floats", async () => {
  const { ask } = createTestApp();
  const read = async (encoding_format: string | null) => {
    return (await readJson(await ask({ input: ["owl", "raven", "crow"], encoding_format }))).data[1].embedding;
  };
  const bytes = Uint8Array.from(atob(await read("base64")), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const floats = Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true));
  assert.deepEqual(floats, await read("float"));
  assert.deepEqual(floats, await read(null));
});

Deno.test("POST /v1/embeddings shortens vectors to the dimensions that are asked for", async () => {
  const { ask, inference } = createTestApp();
  const base64 = (await readJson(await ask({ input: "raven", dimensions: 4, encoding_format: "base64" }))).data[0];
  assert.equal(atob(base64.embedding).length, 16);
  assert.equal(inference.embedded[0]!.dimensions, 4);
  const tooMany = await ask({ input: "raven", dimensions: 9 });
  assert.equal(tooMany.status, 400);
  assert.equal((await readJson(tooMany)).error.param, "dimensions");
});

Deno.test("POST /v1/embeddings refuses what has no vector, and says where it stands", async () => {
  const { ask, inference } = createTestApp();
  const wrong: [input: unknown, param: string, message: RegExp][] = [
    ["", "input[0]", /empty/],
    [[], "input", /at least one/],
    [["a", ""], "input[1]", /empty/],
    [[[97], []], "input[1]", /empty/],
    [Array(2_049).fill("a"), "input", /at most 2048 inputs, and there are 2049/],
    [undefined, "input", /expected a text/],
    [7, "input", /expected a text/],
    [["a", 7], "input[1]", /a token among texts/],
    [["a", null], "input[1]", /expected a text, a token/],
    [[1.5], "input[0]", /expected a text, a token/],
    [[[1.5]], "input[0][0]", /expected int/],
  ];
  for (const [input, param, message] of wrong) {
    const response = await ask({ input });
    assert.equal(response.status, 400, JSON.stringify(input)?.slice(0, 40));
    const { error } = await readJson(response);
    assert.match(error.message, message);
    assert.equal(error.param, param);
  }
  assert.equal((await ask({ input: "a", encoding_format: "hex" })).status, 400);
  assert.equal((await ask({ input: "a", dimensions: 0 })).status, 400);
  assert.equal(inference.embedded.length, 0);
});

Deno.test("POST /v1/embeddings never cuts a text that is too long", async () => {
  const response = await createTestApp().ask({ input: "a".repeat(65) });
  assert.equal(response.status, 400);
  assert.match((await readJson(response)).error.message, /longer than 64 tokens/);
});

Deno.test("A model that answers chats is refused with the names of those that embed, or of one to get", async () => {
  const asked = async (options: ScriptedInferenceOptions) => {
    const response = await createTestApp(options).ask({ model: "scripted", input: "a" });
    assert.equal(response.status, 400);
    const { error } = await readJson(response);
    assert.equal(error.param, "model");
    return error.message;
  };
  assert.equal(await asked({}), '"scripted" does not support embeddings: name "scripted-embedder"');
  assert.match(await asked({ embedder: null }), new RegExp(`deno task models pull ${STARTER_EMBEDDER}$`));
  const unknown = await createTestApp().ask({ model: "text-embedding-3-small", input: "a" });
  assert.equal(unknown.status, 404);
  assert.match((await readJson(unknown)).error.message, /there is "scripted", "scripted-embedder"/);
});

Deno.test("The embedding model that is recommended has a manifest", async () => {
  const path = new URL(`../../models/${STARTER_EMBEDDER}.json`, import.meta.url);
  assert.equal(JSON.parse(await Deno.readTextFile(path)).kind, "embedding");
});

Deno.test("POST /v1/engines/{model}/embeddings takes its model from the path", async () => {
  const { app, inference } = createTestApp();
  const response = await postJson(app, `/v1/engines/${MODEL}/embeddings`, { body: { input: "a", model: "other" } });
  assert.equal(response.status, 200);
  assert.equal((await readJson(response)).model, MODEL);
  assert.equal(inference.embedded[0]!.model, MODEL);
});

Deno.test("A model is loaded before its first texts, so that what refuses it has a status of its own", async () => {
  const { ask, inference } = createTestApp();
  for (const input of ["a", "b"]) assert.equal((await ask({ input })).status, 200);
  assert.deepEqual(inference.kept, [{ model: MODEL, keepAliveMs: null }]);
  const full = createTestApp();
  full.inference.keep = () => Promise.reject(new DomainError("not_enough_memory", "There is no room"));
  const refused = await full.ask({ input: "a" });
  assert.equal(refused.status, 507);
  assert.equal((await readJson(refused)).error.code, "not_enough_memory");
  assert.equal(full.inference.embedded.length, 0);
});

Deno.test("A client that leaves before its vectors are there stops the engine", async () => {
  const { app, inference } = createTestApp();
  inference.embedding = new Promise(() => {});
  const leaving = new AbortController();
  const body = JSON.stringify({ model: MODEL, input: "a" });
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", body, headers, signal: leaving.signal };
  const asking = app.fetch(new Request("http://localhost/v1/embeddings", init));
  await until(() => inference.embedded.length > 0);
  leaving.abort();
  const response = await asking;
  assert.equal(response.status, 499);
  assert.equal((await readJson(response)).error.code, "request_cancelled");
});

Deno.test("The line of a request says the model and how many tokens it had, and no text", async () => {
  const { log, lines } = createLogCollector();
  const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log };
  const app = createApp({ inference: new ScriptedInference(), edge });
  await postJson(app, "/v1/embeddings", { body: { model: MODEL, input: ["raven", "owl"] } });
  assert.partialDeepStrictEqual(lines[0], { function: "embeddings", model: MODEL, promptTokens: 8, outcome: "ok" });
  assert.doesNotMatch(JSON.stringify(lines), /raven/);
});
