/** Which models a server has, and what happens while it is away. */
import assert from "node:assert/strict";
import { createLogCollector } from "../../tests/fixtures/http.ts";
import { type OtherServer, type Script, serveScripts } from "../../tests/fixtures/other_server.ts";
import { soon } from "../../tests/fixtures/processes.ts";
import { createRemote, VLLM_MODELS } from "../../tests/fixtures/remote_exchange.ts";
import type { RemoteOptions } from "./remote_inference.ts";

/** A remote whose time a test tells, and whose server answers from memory or refuses everything. */
function createTest(options: Partial<RemoteOptions> = {}, random = 0.5) {
  const state = { nowMs: 0, away: false, questions: 0 };
  const remote = createRemote("http://gpu.test", {
    ...options,
    clock: { nowMs: () => state.nowMs, random: () => random },
    fetch: () => {
      state.questions++;
      return Promise.resolve(state.away ? new Response("gone", { status: 500 }) : Response.json(VLLM_MODELS));
    },
  });
  /** Lets `ms` pass, lists, and returns how many questions that led to, once they are answered. */
  const listAfter = async (ms: number) => {
    const before = state.questions;
    state.nowMs += ms;
    await soon(remote.list());
    await new Promise((resolve) => setTimeout(resolve, 10));
    return state.questions - before;
  };
  return { state, remote, listAfter, [Symbol.asyncDispose]: () => remote[Symbol.asyncDispose]() };
}

/** The one model of a server that lists and tells this. */
async function describeOne(entry: object, details: Record<string, Script> = {}) {
  await using server: OtherServer = serveScripts({ "/v1/models": () => Response.json({ data: [entry] }), ...details });
  await using remote = createRemote(server.url);
  const [model] = await remote.list();
  return model;
}

Deno.test("A list is asked for once and again when it is old, in the background", async () => {
  await using test = createTest();
  assert.equal(await test.listAfter(0), 1);
  assert.deepEqual((await test.remote.list()).map(({ id }) => id), ["gpu/org/model"]);
  assert.equal(await test.listAfter(14_000), 0);
  assert.equal(await test.listAfter(2_000), 1);
});

Deno.test("A server that went away keeps its models in the list, and is asked at growing intervals", async () => {
  const { log, lines } = createLogCollector();
  await using test = createTest({ log });
  await test.remote.list();
  test.state.away = true;
  assert.equal(await test.listAfter(20_000), 1);
  assert.equal((await test.remote.status()).state, "gone");
  assert.equal((await test.remote.list()).length, 1);
  // Chance in the middle makes pauses of one, two, four, ... seconds, up to a minute.
  for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    assert.equal(await test.listAfter(pauseMs - 1), 0, `${pauseMs}`);
    assert.equal(await test.listAfter(1), 1, `${pauseMs}`);
  }
  test.state.away = false;
  assert.equal(await test.listAfter(60_000), 1);
  assert.equal((await test.remote.status()).state, "ready");
  assert.deepEqual(lines.map(({ event, remote }) => [event, remote]), [["remote_failed", "gpu"], [
    "remote_back",
    "gpu",
  ]]);
});

Deno.test("Pauses are drawn between half and one and a half, so that many do not come back at once", async () => {
  for (const [random, pauseMs] of [[0, 500], [0.999, 1_499]] as const) {
    await using test = createTest({}, random);
    test.state.away = true;
    await test.listAfter(0);
    assert.equal(await test.listAfter(pauseMs - 1), 0);
    assert.equal(await test.listAfter(1), 1);
  }
});

Deno.test("A request asks at once whether its server is there, whatever the pause, and says that it is not", async () => {
  await using test = createTest();
  await test.remote.list();
  test.state.away = true;
  await test.listAfter(20_000);
  const questions = test.state.questions;
  await assert.rejects(test.remote.describe("gpu/org/model"), { code: "engine_gone", message: /"gpu" at http:/ });
  assert.equal(test.state.questions, questions + 1);
  test.state.away = false;
  assert.equal((await test.remote.describe("gpu/org/model")).id, "gpu/org/model");
  assert.equal((await test.remote.status()).state, "ready");
  const known = test.state.questions;
  await test.remote.describe("gpu/org/model");
  assert.equal(test.state.questions, known, "a server that was heard just now is believed to be there");
});

Deno.test("A server where nobody listens, or somebody else does, has no models and says why", async () => {
  await using nobody = createRemote("http://127.0.0.1:9");
  assert.deepEqual(await soon(nobody.list()), []);
  await assert.rejects(nobody.describe("gpu/x"), { code: "engine_unavailable", message: /does not answer; start it/ });
  for (
    const script of [
      () => new Response("<html>"),
      () => Response.json({ hello: 1 }),
      () => new Response("", { status: 404 }),
    ]
  ) {
    await using server = serveScripts({ "/v1/models": script });
    await using remote = createRemote(server.url);
    assert.deepEqual(await soon(remote.list()), []);
    await assert.rejects(remote.describe("gpu/x"), { code: "engine_unavailable", message: /does not speak OpenAI's/ });
  }
});

Deno.test("A server that says nothing is not waited for by the list, and soon given up by a request", async () => {
  await using server = serveScripts({ "/v1/models": () => new Promise<Response>(() => {}) });
  await using remote = createRemote(server.url, { timeouts: { shortMs: 1_500 } });
  assert.deepEqual(await soon(remote.list()), []);
  assert.equal((await remote.status()).state, "loading");
  await assert.rejects(soon(remote.describe("gpu/x")), { code: "engine_unavailable", message: /does not answer/ });
  const controller = new AbortController();
  const embedding = remote.embed(
    { id: "r", owner: "o", model: "gpu/x", inputs: ["a"], dimensions: null, truncate: false, keepAliveMs: null },
    controller.signal,
  );
  controller.abort();
  await assert.rejects(soon(embedding), { code: "request_cancelled" });
});

Deno.test("What llama-server, vLLM, Ollama and another Rookery tell of a model is shown", async () => {
  const llama = await describeOne({
    id: "/models/Some-Model.gguf",
    created: 1,
    owned_by: "llamacpp",
    meta: { n_ctx: 20_000, n_ctx_train: 32_768, n_embd: 576, n_params: 134_515_008, size: 96_576_768, ftype: "Q4_1" },
  }, {
    "/props": () =>
      Response.json({
        total_slots: 2,
        chat_template: "{% if enable_thinking %}<think>",
        chat_template_caps: { supports_tools: true },
        default_generation_settings: { n_ctx: 20_000 },
      }),
  });
  assert.partialDeepStrictEqual(llama, {
    id: "gpu/Some-Model",
    kind: "chat",
    engine: "remote",
    contextTokensMax: 20_000,
    contextTokensTrained: 32_768,
    sequences: 2,
    sizeBytes: 96_576_768,
    parameters: 134_515_008,
    quantization: "Q4_1",
    capabilities: { tools: true, reasoning: true, vision: false, infill: false },
  });
  const vllm = await describeOne({ id: "org/model", created: 1, owned_by: "vllm", max_model_len: 32_768 });
  assert.partialDeepStrictEqual(vllm, { id: "gpu/org/model", contextTokensMax: 32_768, capabilities: { tools: true } });
  const ollama = await describeOne({ id: "qwen3:4b", created: 1, owned_by: "library" }, {
    "/api/show": () =>
      Response.json({
        capabilities: ["completion", "tools", "thinking", "insert"],
        parameters: 'num_ctx                        16384\nstop "x"',
        details: { family: "qwen3", quantization_level: "Q4_K_M" },
        model_info: { "general.parameter_count": 4e9, "qwen3.context_length": 40_960, "qwen3.embedding_length": 2_560 },
      }),
  });
  assert.partialDeepStrictEqual(ollama, {
    id: "gpu/qwen3:4b",
    contextTokensMax: 16_384,
    contextTokensTrained: 40_960,
    architecture: "qwen3",
    quantization: "Q4_K_M",
    parameters: 4e9,
    dimensions: null,
    capabilities: { tools: true, reasoning: true, vision: false, infill: true },
  });
  const capabilities = { tools: false, reasoning: false, vision: false, infill: false };
  const rookery = await describeOne({
    id: "minilm",
    name: "MiniLM",
    created: 1,
    owned_by: "rookery",
    context_length: 256,
    kind: "embedding",
    dimensions: 384,
    capabilities,
  });
  assert.partialDeepStrictEqual(rookery, {
    id: "gpu/minilm",
    name: "MiniLM",
    kind: "embedding",
    dimensions: 384,
    contextTokensMax: 256,
    capabilities,
  });
});

Deno.test("A server that tells nothing has the least context that is served anywhere, and no tools in it", async () => {
  const plain = await describeOne({ id: "m" });
  assert.partialDeepStrictEqual(plain, { id: "gpu/m", kind: "chat", contextTokensMax: 4_096, sequences: 1 });
  const ollama = await describeOne({ id: "m", owned_by: "library" }, {
    "/api/show": () =>
      Response.json({ capabilities: ["completion", "tools"], model_info: { "llama.context_length": 131_072 } }),
  });
  assert.partialDeepStrictEqual(ollama, { contextTokensMax: 4_096, capabilities: { tools: false } });
  assert.equal((await describeOne({ id: "nomic-embed-text" }))?.kind, "embedding");
});

Deno.test("Models that another Rookery passes on are left out: they may come from here", async () => {
  assert.equal(await describeOne({ id: "here/model", owned_by: "rookery", created: 1 }), undefined);
});

Deno.test("A tag of :latest may be left out, as Ollama's clients do", async () => {
  await using server = serveScripts({ "/v1/models": () => Response.json({ data: [{ id: "llama:latest" }] }) });
  await using remote = createRemote(server.url);
  assert.equal((await remote.describe("gpu/llama")).id, "gpu/llama:latest");
});
