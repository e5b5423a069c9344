import assert from "node:assert/strict";
import type { ChatRequest } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { findStreamViolations } from "../../tests/clients/copilot_stream.ts";
import {
  createLogCollector,
  postJson,
  readBytes,
  readJson,
  readUntil,
  sendRaw,
  serve,
} from "../../tests/fixtures/http.ts";
import { until } from "../../tests/fixtures/processes.ts";
import { createApp } from "./app.ts";

const PATH = "/v1/chat/completions";
const HELLO = { model: "scripted", messages: [{ role: "user", content: "hello" }] };
const PROMPT_TOKENS = "user: hello\n".length;

function createTestApp(options: Parameters<typeof createScriptedEngine>[0] = {}) {
  const engine = createScriptedEngine(options);
  const { log, lines } = createLogCollector();
  const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log };
  return { engine, lines, app: createApp({ inference: createEngineTable([engine]), edge }) };
}

async function askedBy(changes: object): Promise<ChatRequest> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(response.status, 200, await response.text());
  return engine.requests[0]!;
}

/** The chunks of a stream, without `[DONE]`. */
function readChunks(bytes: Uint8Array): ReturnType<typeof JSON.parse>[] {
  const events = new TextDecoder().decode(bytes).trim().split("\n\n").filter((event) => event !== "data: [DONE]");
  return events.map((event) => JSON.parse(event.slice("data: ".length)));
}

Deno.test("n answers are as many choices, with one seed after the other and the prompt counted once", async () => {
  const { engine, app, lines } = createTestApp();
  for (const text of ["one", "two!", "three"]) engine.enqueue(text);
  const { choices, usage } = await readJson(await postJson(app, PATH, { body: { ...HELLO, n: 3, seed: 5 } }));
  assert.deepEqual(
    choices.map(({ index, message }: { index: number; message: { content: string } }) => [
      index,
      message.content,
    ]),
    [[0, "one"], [1, "two!"], [2, "three"]],
  );
  assert.equal(usage.prompt_tokens, PROMPT_TOKENS);
  assert.equal(usage.completion_tokens, 12);
  assert.equal(usage.total_tokens, PROMPT_TOKENS + 12);
  assert.deepEqual(engine.requests.map(({ sampling }) => sampling.seed), [5, 6, 7]);
  assert.partialDeepStrictEqual(lines, [{ promptTokens: 3 * PROMPT_TOKENS, completionTokens: 12 }]);
});

Deno.test("n answers come in one stream, each whole and by its index, with one usage and one [DONE]", async () => {
  const { engine, app } = createTestApp();
  for (const letter of ["a", "b"]) engine.enqueue(letter, letter, letter);
  const body = { ...HELLO, n: 2, stream: true, stream_options: { include_usage: true } };
  const bytes = await readBytes(await postJson(app, PATH, { body }));
  const chunks = readChunks(bytes);
  assert.match(new TextDecoder().decode(bytes), /^(?:(?!\[DONE\])[^])*data: \[DONE\]\n\n$/);
  for (const [index, letter] of ["a", "b"].entries()) {
    const own = chunks.flatMap(({ choices }) => choices).filter((choice) => choice.index === index);
    assert.deepEqual(own.map(({ delta, finish_reason }) => finish_reason ?? delta), [
      { role: "assistant", content: "" },
      ...Array(3).fill({ content: letter }),
      "stop",
    ]);
  }
  assert.partialDeepStrictEqual(chunks.at(-1), {
    choices: [],
    usage: { prompt_tokens: PROMPT_TOKENS, completion_tokens: 6 },
  });
  assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
});

Deno.test("When one of n answers is refused or fails, all of them end and the failure is told", async () => {
  const forever = { wait: new Promise<never>(() => {}) };
  const gone = new DomainError("engine_gone", "It ended");
  for (const stream of [false, true]) {
    const { engine, app } = createTestApp();
    engine.enqueue(forever);
    engine.enqueue({ refuse: new DomainError("queue_full", "Too many wait") });
    const refused = await postJson(app, PATH, { body: { ...HELLO, n: 2, stream } });
    assert.equal(refused.status, 429);
    await engine.idle();

    engine.enqueue("a", forever);
    engine.enqueue("b", { fail: gone });
    const failed = await postJson(app, PATH, { body: { ...HELLO, n: 2, stream } });
    assert.equal(failed.status, stream ? 200 : 502);
    const bytes = await readBytes(failed);
    assert.match(new TextDecoder().decode(bytes), /"code":"engine_gone"/);
    if (stream) assert.doesNotMatch(new TextDecoder().decode(bytes), /\[DONE\]/);
    await engine.idle();
  }
});

Deno.test("A client that leaves stops all of n answers", async () => {
  const { engine, app, lines } = createTestApp();
  for (const letter of ["a", "b"]) engine.enqueue(letter, { wait: new Promise<never>(() => {}) });
  await using server = serve(app);
  const body = JSON.stringify({ ...HELLO, n: 2, stream: true });
  const head = `POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  const connection = await sendRaw(server.port, `${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  await readUntil(connection, (text) => text.includes('"a"') && text.includes('"b"'));
  assert.equal((await engine.status()).active, 2);
  connection.close();
  await until(() => lines.length > 0);
  await engine.idle();
  assert.partialDeepStrictEqual(lines, [{ outcome: "cancelled" }]);
});

Deno.test("Formats reach the engine", async () => {
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  const formats: [given: object | null, asked: object][] = [
    [null, { type: "text" }],
    [{ type: "text" }, { type: "text" }],
    [{ type: "json_object" }, { type: "json" }],
    [{ type: "json_object", schema }, { type: "schema", schema, strict: false }],
    [{ type: "json_schema", json_schema: { name: "a", schema } }, { type: "schema", schema, strict: false }],
    [{ type: "json_schema", json_schema: { name: "a", strict: true, schema } }, {
      type: "schema",
      schema,
      strict: true,
    }],
  ];
  for (const [response_format, asked] of formats) {
    assert.deepEqual((await askedBy({ response_format })).format, asked);
  }
});

Deno.test("An effort to think is a budget of tokens for the engine", async () => {
  const budgets: [effort: string | null, enabled: boolean | null, tokensMax: number | null][] = [
    [null, null, null],
    ["none", false, null],
    ["minimal", true, 256],
    ["low", true, 1_024],
    ["medium", true, 4_096],
    ["high", true, null],
    ["xhigh", true, null],
  ];
  for (const [reasoning_effort, enabled, tokensMax] of budgets) {
    assert.deepEqual((await askedBy({ reasoning_effort })).reasoning, { enabled, tokensMax });
  }
});

Deno.test("Thoughts are reasoning_content, whole and streamed, and are counted", async () => {
  const { engine, app } = createTestApp();
  const steps = [{ type: "reasoning", text: "Let me" }, { type: "reasoning", text: " see" }, "Yes"] as const;
  engine.enqueue(...steps);
  const { choices, usage } = await readJson(await postJson(app, PATH, { body: HELLO }));
  assert.deepEqual(choices[0].message, {
    role: "assistant",
    content: "Yes",
    refusal: null,
    reasoning_content: "Let me see",
  });
  assert.equal(usage.completion_tokens, 13);
  assert.equal(usage.completion_tokens_details.reasoning_tokens, 10);
  engine.enqueue(...steps);
  const bytes = await readBytes(await postJson(app, PATH, { body: { ...HELLO, stream: true } }));
  assert.deepEqual(findStreamViolations(bytes, { usage: false }), []);
  assert.deepEqual(readChunks(bytes).map(({ choices: [{ delta }] }) => delta), [
    { role: "assistant", content: "" },
    { reasoning_content: "Let me" },
    { reasoning_content: " see" },
    { content: "Yes" },
    {},
  ]);
});

Deno.test("Log-probabilities are told in OpenAI's shape, whole and streamed, when they are asked for", async () => {
  const { engine, app } = createTestApp();
  const tokens = [
    { text: "G", bytes: [71], logprob: -0.25, top: [{ text: "G", bytes: [71], logprob: -0.25 }] },
    { text: "\ufffd", bytes: [0xc3], logprob: -1, top: [] },
  ];
  const content = [
    { token: "G", bytes: [71], logprob: -0.25, top_logprobs: [{ token: "G", bytes: [71], logprob: -0.25 }] },
    { token: "\ufffd", bytes: [0xc3], logprob: -1, top_logprobs: [] },
  ];
  const ask = async (changes: object) => {
    engine.enqueue({ type: "text", text: "Gut", tokens });
    return await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  };
  const whole = await readJson(await ask({ logprobs: true, top_logprobs: 1 }));
  assert.deepEqual(whole.choices[0].logprobs, { content, refusal: null });
  const chunks = readChunks(await readBytes(await ask({ logprobs: true, stream: true })));
  assert.deepEqual(chunks.map(({ choices: [{ logprobs }] }) => logprobs), [null, { content, refusal: null }, null]);
  assert.equal((await readJson(await ask({}))).choices[0].logprobs, null);
  assert.deepEqual(engine.requests.map(({ logprobs }) => logprobs), [1, 0, null]);
});

Deno.test("A bias of tokens reaches the engine", async () => {
  const { sampling } = await askedBy({ logit_bias: { 7: -100, 42: 1.5 } });
  assert.deepEqual(sampling.logitBias, { 7: -100, 42: 1.5 });
});
