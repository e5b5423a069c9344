import assert from "node:assert/strict";
import type { ChatRequest } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptStep } from "../../lib/inference/scripted_engine.ts";
import { postJson, readBytes, readJson } from "../../tests/fixtures/http.ts";
import { createApp } from "./app.ts";

const PATH = "/v1/completions";
const RAVEN = { model: "scripted", prompt: "The raven" };
const INFILL = { capabilities: { tools: false, reasoning: false, vision: false, infill: true } };

function createTestApp(options: Parameters<typeof createScriptedEngine>[0] = {}) {
  const engine = createScriptedEngine(options);
  return { engine, app: createApp({ inference: createEngineTable([engine]) }) };
}

async function askedBy(changes: object, model = {}): Promise<ChatRequest[]> {
  const { engine, app } = createTestApp({ model });
  const response = await postJson(app, PATH, { body: { ...RAVEN, ...changes } });
  assert.equal(response.status, 200, await response.text());
  return [...engine.requests];
}

async function answerOf(changes: object, ...texts: string[]): ReturnType<Response["json"]> {
  const { engine, app } = createTestApp();
  for (const text of texts) engine.enqueue(text);
  const response = await postJson(app, PATH, { body: { ...RAVEN, ...changes } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  return await readJson(response);
}

/** The events of a stream, `[DONE]` as the text that it is. */
async function readEvents(response: Response): Promise<ReturnType<typeof JSON.parse>[]> {
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const events = new TextDecoder().decode(await readBytes(response)).trim().split("\n\n");
  return events.map((event) => event.slice("data: ".length)).map((data) => data === "[DONE]" ? data : JSON.parse(data));
}

Deno.test("POST /v1/completions continues a raw prompt and answers with the whole completion", async () => {
  const { id, created, ...rest } = await answerOf({}, " is black");
  assert.match(id, /^cmpl-\w{32}$/);
  assert.ok(Math.abs(created - Date.now() / 1000) < 60);
  assert.deepEqual(rest, {
    object: "text_completion",
    model: "scripted",
    system_fingerprint: null,
    choices: [{ index: 0, text: " is black", logprobs: null, finish_reason: "stop" }],
    usage: {
      prompt_tokens: 9,
      completion_tokens: 9,
      total_tokens: 18,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  });
  const [asked] = await askedBy({});
  assert.deepEqual([asked?.messages, asked?.prompt, asked?.suffix], [null, "The raven", null]);
});

Deno.test("Parameters reach the engine, and without max_tokens the context is the limit", async () => {
  const given = { temperature: 0, seed: 3, stop: ["\n"], max_tokens: 7, logprobs: 2, logit_bias: { 5: -100 } };
  assert.partialDeepStrictEqual(await askedBy(given), [{
    sampling: { temperature: 0, seed: 3, logitBias: { 5: -100 } },
    stop: ["\n"],
    completionTokensMax: 7,
    logprobs: 2,
  }]);
  const nulls = Object.fromEntries(Object.keys(given).map((name) => [name, null]));
  assert.partialDeepStrictEqual(await askedBy({ ...nulls, suffix: null, best_of: null, echo: null, user: "me" }), [{
    stop: [],
    completionTokensMax: null,
    logprobs: null,
  }]);
});

Deno.test("Several prompts with n answers each are choices in order, and each prompt counts once", async () => {
  const prompt = ["One", "Three"];
  const answer = await answerOf({ prompt, n: 2, seed: 1, echo: true, max_tokens: 1 }, "a", "b", "c", "def");
  assert.deepEqual(answer.choices, [
    { index: 0, text: "Onea", logprobs: null, finish_reason: "length" },
    { index: 1, text: "Oneb", logprobs: null, finish_reason: "length" },
    { index: 2, text: "Threec", logprobs: null, finish_reason: "length" },
    { index: 3, text: "Threed", logprobs: null, finish_reason: "length" },
  ]);
  assert.partialDeepStrictEqual(answer.usage, { prompt_tokens: 8, completion_tokens: 4, total_tokens: 12 });
  const asked = await askedBy({ prompt, n: 2, seed: 1, best_of: 2 });
  assert.deepEqual(asked.map((request) => [request.prompt, request.sampling.seed]), [
    ["One", 1],
    ["One", 2],
    ["Three", 1],
    ["Three", 2],
  ]);
});

Deno.test("A stream has the prompt when it is echoed, the texts, the reason, the usage and [DONE]", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue(" is", " black");
  const body = { ...RAVEN, echo: true, stream: true, stream_options: { include_usage: true } };
  const events = await readEvents(await postJson(app, PATH, { body }));
  assert.equal(events.pop(), "[DONE]");
  const choice = (text: string, finish_reason: string | null = null) => [
    { index: 0, text, logprobs: null, finish_reason },
  ];
  assert.deepEqual(events.map(({ choices }) => choices), [
    choice("The raven"),
    choice(" is"),
    choice(" black"),
    choice("", "stop"),
    [],
  ]);
  assert.equal(events.at(-1).usage.total_tokens, 18);
  assert.ok(events.every(({ object, id }) => object === "text_completion" && id === events[0].id));
});

Deno.test("Log-probabilities have the older shape, and offsets go on from piece to piece of a stream", async () => {
  const token = (text: string, logprob: number) => ({ text, bytes: [...new TextEncoder().encode(text)], logprob });
  const steps: ScriptStep[] = [
    { type: "text", text: " is", tokens: [{ ...token(" is", -0.5), top: [token(" was", -0.25)] }] },
    {
      type: "text",
      text: "é!",
      tokens: [{ ...token("é", -1), top: [] }, { ...token("!", -2), top: [token("!", -2)] }],
    },
  ];
  const { engine, app } = createTestApp();
  engine.enqueue(...steps);
  const whole = await readJson(await postJson(app, PATH, { body: { ...RAVEN, logprobs: 1 } }));
  assert.deepEqual(whole.choices[0].logprobs, {
    tokens: [" is", "é", "!"],
    token_logprobs: [-0.5, -1, -2],
    top_logprobs: [{ " was": -0.25, " is": -0.5 }, { "é": -1 }, { "!": -2 }],
    text_offset: [0, 3, 4],
  });
  engine.enqueue(...steps);
  const events = await readEvents(await postJson(app, PATH, { body: { ...RAVEN, logprobs: 0, stream: true } }));
  assert.deepEqual(events.slice(0, 2).map(({ choices: [{ logprobs }] }) => logprobs), [
    { tokens: [" is"], token_logprobs: [-0.5], top_logprobs: null, text_offset: [0] },
    { tokens: ["é", "!"], token_logprobs: [-1, -2], top_logprobs: null, text_offset: [3, 4] },
  ]);
});

Deno.test("A suffix reaches a model that fills in the middle, also at the beginning of a file", async () => {
  for (const prompt of ["def f(", ""]) {
    assert.partialDeepStrictEqual(await askedBy({ prompt, suffix: "):\n" }, INFILL), [{ prompt, suffix: "):\n" }]);
  }
});

Deno.test("At the end of a file there is nothing to fill in, so that every model goes on with it", async () => {
  assert.partialDeepStrictEqual(await askedBy({ suffix: "" }), [{ suffix: null }]);
  assert.partialDeepStrictEqual(await askedBy({ suffix: "" }, INFILL), [{ suffix: "" }]);
});

Deno.test("An editor's completions find their model in the path", async () => {
  const { engine, app } = createTestApp({ model: INFILL });
  const body = {
    prompt: "a = ",
    suffix: "\n",
    max_tokens: 500,
    temperature: 0,
    top_p: 1,
    n: 1,
    stop: ["\n"],
    stream: true,
    extra: { language: "python" },
  };
  const events = await readEvents(await postJson(app, "/v1/engines/scripted/completions", { body }));
  assert.equal(events.at(-1), "[DONE]");
  assert.equal(engine.requests[0]?.model, "scripted");
  const unknown = await postJson(app, "/v1/engines/gpt-4o/completions", { body: { ...body, model: "scripted" } });
  assert.equal(unknown.status, 404);
  assert.equal((await readJson(unknown)).error.code, "model_not_found");
});

Deno.test("What is wrong or cannot be served gets a 400 that names the parameter and says what to do", async () => {
  const refused: [changes: object, param: string, message: RegExp][] = [
    [{ prompt: null }, "prompt", /expected a text or an array of texts/],
    [{ prompt: [] }, "prompt", /expected/],
    [{ prompt: "" }, "prompt", /nothing to continue/],
    [{ prompt: ["a", ""] }, "prompt[1]", /nothing to continue/],
    [{ prompt: "", suffix: "" }, "prompt", /nothing to continue/],
    [{ prompt: [1, 2, 3] }, "prompt", /send text/],
    [{ prompt: [[1, 2], [3]] }, "prompt", /send text/],
    [{ prompt: Array(33).fill("a") }, "prompt", /at most 32 texts/],
    [{ prompt: Array(5).fill("a"), n: 8 }, "n", /at most 32 answers/],
    [{ n: 9 }, "n", /./],
    [{ suffix: "b" }, "suffix", /"scripted" cannot fill in the middle/],
    [{ best_of: 3 }, "best_of", /throws no answer away/],
    [{ best_of: 3, n: 2 }, "best_of", /throws no answer away/],
    [{ echo: true, logprobs: 0 }, "echo", /not both/],
    [{ logprobs: 21 }, "logprobs", /./],
    [{ logprobs: true }, "logprobs", /./],
    [{ max_tokens: 0 }, "max_tokens", /./],
    [{ stop: Array(17).fill("x") }, "stop", /at most 16/],
  ];
  for (const [changes, param, message] of refused) {
    const { engine, app } = createTestApp();
    const response = await postJson(app, PATH, { body: { ...RAVEN, ...changes } });
    assert.equal(response.status, 400, JSON.stringify(changes));
    const { error } = await readJson(response);
    assert.equal(error.param, param, error.message);
    assert.match(error.message, message);
    assert.equal(engine.requests.length, 0);
  }
});

Deno.test("What the engine refuses decides the status, and a failure ends all choices", async () => {
  const { engine, app } = createTestApp({ model: { contextTokensMax: 16 } });
  const long = await postJson(app, PATH, { body: { ...RAVEN, prompt: ["short", "x".repeat(20)], stream: true } });
  assert.equal(long.status, 400);
  assert.partialDeepStrictEqual(await readJson(long), { error: { code: "context_length_exceeded", param: "prompt" } });
  await engine.idle();
  engine.enqueue({ wait: new Promise<never>(() => {}) });
  engine.enqueue("a", { fail: new DomainError("engine_gone", "It ended") });
  const failed = await postJson(app, PATH, { body: { ...RAVEN, n: 2 } });
  assert.equal(failed.status, 502);
  await failed.body?.cancel();
  await engine.idle();
});
