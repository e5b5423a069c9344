import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { COPILOT_AGENT_BODY } from "../../tests/fixtures/client_bodies.ts";
import { postJson, readBytes, readJson } from "../../tests/fixtures/http.ts";
import { findStreamViolations } from "../../tests/clients/copilot_stream.ts";
import { createApp } from "./app.ts";

const PATH = "/v1/chat/completions";
const HELLO = { model: "scripted", messages: [{ role: "user", content: "hello" }] };

function createTestApp(options: Parameters<typeof createScriptedEngine>[0] = {}) {
  const engine = createScriptedEngine(options);
  return { engine, app: createApp({ inference: createEngineTable([engine]) }) };
}

/** What the engine was asked when `changes` to a plain body were sent. */
async function askedBy(changes: object): Promise<ScriptedEngine["requests"][number]> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(response.status, 200, await response.text());
  return engine.requests[0]!;
}

/** The error that `changes` to a plain body get; the engine must not have been asked. */
async function refusalOf(changes: object): Promise<{ status: number; message: string; code: string; param: string }> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(engine.requests.length, 0, `accepted: ${JSON.stringify(changes)}`);
  return { status: response.status, ...(await readJson(response)).error };
}

Deno.test("POST /v1/chat/completions answers with the whole completion", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue("Good", " day");
  const response = await postJson(app, PATH, { body: HELLO });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const { id, created, ...rest } = await readJson(response);
  assert.match(id, /^chatcmpl-\w{32}$/);
  assert.ok(Math.abs(created - Date.now() / 1000) < 60);
  assert.deepEqual(rest, {
    object: "chat.completion",
    model: "scripted",
    system_fingerprint: null,
    choices: [{
      index: 0,
      message: { role: "assistant", content: "Good day", refusal: null },
      logprobs: null,
      finish_reason: "stop",
    }],
    usage: {
      prompt_tokens: "user: hello\n".length,
      completion_tokens: 8,
      total_tokens: "user: hello\n".length + 8,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
  });
});

Deno.test("Usage says how much of a repeated prompt was cached", async () => {
  const { app } = createTestApp();
  await postJson(app, PATH, { body: HELLO });
  const { usage } = await readJson(await postJson(app, PATH, { body: HELLO }));
  assert.equal(usage.prompt_tokens_details.cached_tokens, usage.prompt_tokens - 1);
});

Deno.test("A stream has the role, the texts, the reason, the usage and [DONE], as Copilot needs them", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue("Good", " day");
  const body = { ...HELLO, stream: true, stream_options: { include_usage: true } };
  const response = await postJson(app, PATH, { body, headers: { "accept-encoding": "gzip" } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-cache, no-transform");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  assert.equal(response.headers.get("content-encoding"), null);
  const bytes = await readBytes(response);
  assert.deepEqual(findStreamViolations(bytes), []);
  const events = new TextDecoder().decode(bytes).trim().split("\n\n").map((event) => event.slice("data: ".length));
  assert.equal(events.pop(), "[DONE]");
  const chunks = events.map((event) => JSON.parse(event));
  assert.deepEqual(chunks.map(({ choices: [choice] }) => choice?.delta), [
    { role: "assistant", content: "" },
    { content: "Good" },
    { content: " day" },
    {},
    undefined,
  ]);
  assert.equal(chunks.at(-1).usage.completion_tokens, 8);
});

Deno.test("A stream has usage only when it was asked for, and length when it was cut", async () => {
  const { app } = createTestApp();
  for (const options of [{}, { stream_options: null }, { stream_options: { include_usage: false } }]) {
    const response = await postJson(app, PATH, { body: { ...HELLO, stream: true, max_tokens: 2, ...options } });
    const bytes = await readBytes(response);
    assert.deepEqual(findStreamViolations(bytes, { usage: false }), []);
    assert.match(new TextDecoder().decode(bytes), /"finish_reason":"length"/);
  }
});

Deno.test("Completions never share an id", async () => {
  const { app } = createTestApp();
  const answers = await Promise.all([1, 2, 3].map(async () => readJson(await postJson(app, PATH, { body: HELLO }))));
  assert.equal(new Set(answers.map(({ id }) => id)).size, 3);
});

Deno.test("Sampling parameters reach the engine, those that are null as its defaults", async () => {
  const given = {
    temperature: 0,
    top_p: 0.5,
    top_k: 7,
    min_p: 0.1,
    presence_penalty: -1,
    frequency_penalty: 1,
    repeat_penalty: 1.1,
    seed: 42,
  };
  assert.deepEqual((await askedBy(given)).sampling, {
    temperature: 0,
    topP: 0.5,
    topK: 7,
    minP: 0.1,
    presencePenalty: -1,
    frequencyPenalty: 1,
    repeatPenalty: 1.1,
    seed: 42,
    logitBias: {},
  });
  const nulls = Object.fromEntries(Object.keys(given).map((name) => [name, null]));
  const absent = (await askedBy({})).sampling;
  assert.deepEqual((await askedBy(nulls)).sampling, absent);
  assert.deepEqual(Object.entries(absent).filter(([, value]) => value !== null), [["logitBias", {}]]);
});

Deno.test("Seeds of any size are folded into 32 bits", async () => {
  const seeds: [given: number, folded: number][] = [[0, 0], [-1, 0xffffffff], [2 ** 32 + 5, 5], [2 ** 63, 0], [
    1e300,
    0,
  ]];
  for (const [seed, folded] of seeds) {
    assert.equal((await askedBy({ seed })).sampling.seed, folded, `${seed}`);
  }
});

Deno.test("Stop takes a text, texts and null, and never shows in the answer", async () => {
  assert.deepEqual((await askedBy({ stop: "a" })).stop, ["a"]);
  assert.deepEqual((await askedBy({ stop: ["a", "", "b"] })).stop, ["a", "b"]);
  assert.deepEqual((await askedBy({ stop: null })).stop, []);
  const { engine, app } = createTestApp();
  engine.enqueue("one E", "N", "D two");
  const { choices } = await readJson(await postJson(app, PATH, { body: { ...HELLO, stop: ["END"] } }));
  assert.equal(choices[0].message.content, "one ");
  assert.equal(choices[0].finish_reason, "stop");
});

Deno.test("Of max_tokens and max_completion_tokens the smaller counts", async () => {
  assert.equal((await askedBy({})).completionTokensMax, null);
  assert.equal((await askedBy({ max_tokens: null })).completionTokensMax, null);
  assert.equal((await askedBy({ max_tokens: 9 })).completionTokensMax, 9);
  assert.equal((await askedBy({ max_completion_tokens: 8 })).completionTokensMax, 8);
  assert.equal((await askedBy({ max_tokens: 9, max_completion_tokens: 8 })).completionTokensMax, 8);
  assert.equal((await askedBy({ max_tokens: 1e9 })).completionTokensMax, 1e9, "the engine clamps it");
});

Deno.test("Unknown parameters, and parameters for what is not asked of them, are accepted", async () => {
  const harmless = {
    user: "me",
    metadata: { a: "b" },
    store: true,
    service_tier: "auto",
    prediction: null,
    verbosity: "low",
    tools: [],
    tool_choice: "auto",
    functions: [],
    function_call: "none",
    response_format: { type: "text" },
    logprobs: false,
    top_logprobs: 0,
    n: 1,
  };
  const { id: _id, ...plain } = await askedBy({});
  assert.partialDeepStrictEqual(await askedBy(harmless), plain);
  const nulls = Object.fromEntries(Object.keys(harmless).map((name) => [name, null]));
  assert.partialDeepStrictEqual(await askedBy({ ...nulls, reasoning_effort: null, logit_bias: null }), plain);
});

Deno.test("Every role and every form of content becomes text for the prompt", async () => {
  const messages = [
    { role: "system", content: "S" },
    { role: "developer", content: "D" },
    { role: "user", content: "one", name: "ann" },
    { role: "user", content: [{ type: "text", text: "two" }, { type: "text", text: "three" }] },
    { role: "assistant", content: [{ type: "refusal", refusal: "I will not" }] },
    { role: "assistant", content: null, refusal: "No" },
  ];
  assert.deepEqual((await askedBy({ messages })).messages, [
    { role: "system", content: "S" },
    { role: "system", content: "D" },
    { role: "user", content: "one" },
    { role: "user", content: "two\nthree" },
    { role: "assistant", content: "I will not" },
    { role: "assistant", content: "No" },
  ]);
});

Deno.test("Copilot's agent mode gets an answer to its body as it is", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue("Done");
  const body = { model: "scripted", ...COPILOT_AGENT_BODY };
  const response = await postJson(app, PATH, { body, headers: { authorization: "Bearer " } });
  assert.equal(response.status, 200);
  assert.deepEqual(findStreamViolations(await readBytes(response)), []);
  assert.deepEqual(engine.requests[0]!.messages!.slice(3), [
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "call_1", name: "read_file", arguments: '{"filePath":"/w/a.ts"}' }],
    },
    { role: "tool", content: "…", toolCallId: "call_1", toolName: "read_file" },
  ]);
  assert.deepEqual(engine.requests[0]!.tools.map(({ name }) => name), ["read_file", "terminal_last_command"]);
});

Deno.test("Wrong types and values get a 400 that names the parameter", async () => {
  const wrong: [changes: object, param: string][] = [
    [{ model: 7 }, "model"],
    [{ model: "" }, "model"],
    [{ messages: [] }, "messages"],
    [{ messages: "hello" }, "messages"],
    [{ messages: [{ role: "robot", content: "" }] }, "messages[0].role"],
    [{ messages: [{ content: "" }] }, "messages[0].role"],
    [{ messages: [...HELLO.messages, { role: "user" }] }, "messages[1].content"],
    [{ messages: [{ role: "user", content: null }] }, "messages[0].content"],
    [{ messages: [{ role: "user", content: { text: "" } }] }, "messages[0].content"],
    [{ messages: [{ role: "user", content: [{ type: "text" }] }] }, "messages[0].content[0].text"],
    [{ messages: [{ role: "user", content: [{ type: "text", text: 7 }] }] }, "messages[0].content[0].text"],
    [{ messages: [{ role: "assistant", tool_calls: [{}] }] }, "messages[0].tool_calls[0].function"],
    [{ temperature: "0" }, "temperature"],
    [{ temperature: 2.1 }, "temperature"],
    [{ temperature: -0.1 }, "temperature"],
    [{ top_p: 1.1 }, "top_p"],
    [{ top_k: 0.5 }, "top_k"],
    [{ min_p: -1 }, "min_p"],
    [{ presence_penalty: 3 }, "presence_penalty"],
    [{ frequency_penalty: -3 }, "frequency_penalty"],
    [{ repeat_penalty: 0 }, "repeat_penalty"],
    [{ seed: 1.5 }, "seed"],
    [{ seed: "1" }, "seed"],
    [{ stop: 7 }, "stop"],
    [{ stop: Array(17).fill("x") }, "stop"],
    [{ stop: ["x".repeat(257)] }, "stop"],
    [{ stop: ["x", 7] }, "stop[1]"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_completion_tokens: 1.5 }, "max_completion_tokens"],
    [{ stream: "true" }, "stream"],
    [{ stream_options: true }, "stream_options"],
    [{ stream_options: { include_usage: 1 } }, "stream_options.include_usage"],
    [{ n: 0 }, "n"],
    [{ n: 9 }, "n"],
    [{ logit_bias: { raven: 1 } }, "logit_bias.raven"],
    [{ logit_bias: { 7: 101 } }, "logit_bias.7"],
    [{ logprobs: 5 }, "logprobs"],
    [{ logprobs: true, top_logprobs: 21 }, "top_logprobs"],
    [{ top_logprobs: 2 }, "top_logprobs"],
    [{ reasoning_effort: "huge" }, "reasoning_effort"],
    [{ response_format: {} }, "response_format.type"],
    [{ response_format: { type: "xml" } }, "response_format.type"],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema"],
    [{ response_format: { type: "json_schema", json_schema: { name: "a" } } }, "response_format.json_schema.schema"],
  ];
  for (const [changes, param] of wrong) {
    const error = await refusalOf(changes);
    assert.equal(error.status, 400, JSON.stringify(changes));
    assert.equal(error.param, param, JSON.stringify(changes));
    assert.equal(error.code, "invalid_request");
    assert.ok(error.message.includes(`"${param}"`), error.message);
  }
});

Deno.test("What this version cannot do is refused with what to do instead", async () => {
  const picture = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
  const unserved: [changes: object, param: string, message: RegExp][] = [
    [{ messages: [{ role: "user", content: [picture] }] }, "messages[0].content[0]", /"scripted" cannot see images/],
    [
      { messages: [{ role: "user", content: [{ type: "text", text: "" }, { type: "input_audio" }] }] },
      "messages[0].content[1]",
      /cannot hear audio/,
    ],
    [{ messages: [{ role: "user", content: [{ type: "file" }] }] }, "messages[0].content[0]", /cannot read "file"/],
  ];
  for (const [changes, param, message] of unserved) {
    const error = await refusalOf(changes);
    assert.equal(error.status, 400);
    assert.equal(error.param, param);
    assert.match(error.message, message);
  }
});

Deno.test("An unknown model gets a 404 that names the one there is; :latest makes no difference", async () => {
  const { status, message, code, param } = await refusalOf({ model: "gpt-4" });
  assert.deepEqual({ status, message, code, param }, {
    status: 404,
    message: 'Unknown model "gpt-4"; there is "scripted"',
    code: "model_not_found",
    param: "model",
  });
  assert.equal((await askedBy({ model: "scripted:latest" })).completionTokensMax, null);
});

Deno.test("A context overflow is a 400 with both numbers, streamed or not", async () => {
  const { app } = createTestApp({ model: { contextTokensMax: 32 } });
  const messages = [{ role: "user", content: "x".repeat(40) }];
  for (const stream of [false, true]) {
    const response = await postJson(app, PATH, { body: { ...HELLO, messages, stream } });
    assert.equal(response.status, 400);
    assert.equal(response.headers.get("content-type"), "application/json");
    const { error } = await readJson(response);
    assert.equal(error.code, "context_length_exceeded");
    assert.equal(error.param, "messages");
    assert.match(error.message, /47 tokens.* 32 tokens/);
  }
});

Deno.test("What the engine refuses before it admits a request decides the status, also of a stream", async () => {
  const statuses: [code: ConstructorParameters<typeof DomainError>[0], status: number][] = [
    ["queue_full", 429],
    ["engine_unavailable", 503],
    ["engine_gone", 502],
    ["invalid_request", 400],
  ];
  for (const [code, status] of statuses) {
    for (const stream of [false, true]) {
      const { engine, app } = createTestApp();
      engine.enqueue({ refuse: new DomainError(code, "No") });
      const response = await postJson(app, PATH, { body: { ...HELLO, stream } });
      assert.equal(response.status, status);
      assert.equal((await readJson(response)).error.code, code);
      assert.equal(response.headers.has("retry-after"), status === 429 || status === 503);
    }
  }
});

Deno.test("A failure after the status is one coded event and no [DONE]", async () => {
  for (const failure of [new DomainError("engine_gone", "It ended"), new TypeError("secret")]) {
    const { engine, app } = createTestApp();
    engine.enqueue("so far", { fail: failure });
    const response = await postJson(app, PATH, { body: { ...HELLO, stream: true } });
    assert.equal(response.status, 200);
    const bytes = await readBytes(response);
    assert.deepEqual(findStreamViolations(bytes, { error: true }), []);
    const last = new TextDecoder().decode(bytes).trim().split("\n\n").at(-1)!;
    const { error } = JSON.parse(last.slice("data: ".length));
    assert.equal(error.code, failure instanceof DomainError ? "engine_gone" : "internal_error");
    assert.equal(error.requestId, response.headers.get("x-request-id"));
    assert.ok(!last.includes("secret"));
  }
});

Deno.test("A failure in a whole answer decides its status", async () => {
  const { engine, app } = createTestApp();
  engine.enqueue({ queue: [{ fail: new DomainError("queue_timeout", "It took too long") }] });
  const response = await postJson(app, PATH, { body: HELLO });
  assert.equal(response.status, 503);
  assert.equal((await readJson(response)).error.code, "queue_timeout");
});

Deno.test("Arguments nested half a million levels deep are too long for the context and harm nothing else", async () => {
  const { app } = createTestApp();
  const depth = 500_000;
  const body =
    `{"model":"scripted","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":` +
    `${"[".repeat(depth)}${"]".repeat(depth)}}}]}]}`;
  const response = await postJson(app, PATH, { body });
  assert.equal(response.status, 400);
  assert.equal((await readJson(response)).error.code, "context_length_exceeded");
  assert.equal((await postJson(app, PATH, { body: HELLO })).status, 200);
});
