import assert from "node:assert/strict";
import type { ScriptStep } from "../../lib/inference/scripted_engine.ts";
import { createEmptyCatalog } from "../../tests/fixtures/empty_catalog.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";
import { ChatLine, GenerateLine } from "./schemas.ts";

const HELLO = { messages: [{ role: "user", content: "hello" }] };
const CAPABLE = { tools: true, reasoning: true, vision: false, infill: true };
const WEATHER = {
  type: "function",
  function: {
    name: "weather",
    description: "Says how the weather is",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

/** Thinks, speaks, and calls two tools, the arguments of the first one in pieces. */
const CALLS: ScriptStep[] = [
  { type: "reasoning", text: "Which" },
  { type: "reasoning", text: " city?" },
  "One moment",
  { type: "tool_call", index: 0, id: "call_a", name: "weather" },
  { type: "tool_arguments", index: 0, text: '{"city":' },
  { type: "tool_arguments", index: 0, text: '"Oslo"}' },
  { type: "tool_call", index: 1, id: "call_b", name: "time" },
  { type: "tool_arguments", index: 1, text: "{}" },
];

const CALLED = [
  { function: { index: 0, name: "weather", arguments: { city: "Oslo" } } },
  { function: { index: 1, name: "time", arguments: {} } },
];

async function ask(path: string, body: object, steps: ScriptStep[] = []) {
  const inference = new ScriptedInference({ model: { capabilities: CAPABLE } });
  if (steps.length > 0) inference.engine.enqueue(...steps);
  const app = createApp({ inference, library: createEmptyCatalog() });
  const response = await postJson(app, path, { body: { model: "scripted", ...body } });
  assert.equal(response.status, 200, await response.clone().text());
  return { response, request: inference.engine.requests[0]! };
}

async function readLines(response: Response): Promise<Record<string, unknown>[]> {
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  return (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("Tools reach the engine, and calls come whole, their arguments as objects, without ids", async () => {
  const { response, request } = await ask("/api/chat", { ...HELLO, tools: [WEATHER] }, CALLS);
  assert.deepEqual(request.tools, [{ ...WEATHER.function, strict: false }]);
  assert.deepEqual([request.toolChoice, request.parallelToolCalls], ["auto", true]);
  const lines = await readLines(response);
  for (const line of lines) ChatLine.strict().parse(line);
  assert.deepEqual(lines.map(({ message }) => message), [
    { role: "assistant", content: "", thinking: "Which" },
    { role: "assistant", content: "", thinking: " city?" },
    { role: "assistant", content: "One moment" },
    { role: "assistant", content: "", tool_calls: [CALLED[0]] },
    { role: "assistant", content: "", tool_calls: [CALLED[1]] },
    { role: "assistant", content: "" },
  ]);
  assert.partialDeepStrictEqual(lines.at(-1), { done: true, done_reason: "stop" });
});

Deno.test("A whole answer holds thoughts, text and calls", async () => {
  const { response } = await ask("/api/chat", { ...HELLO, tools: [WEATHER], stream: false }, CALLS);
  const answer = await readJson(response);
  ChatLine.strict().parse(answer);
  assert.deepEqual(answer.message, {
    role: "assistant",
    content: "One moment",
    thinking: "Which city?",
    tool_calls: CALLED,
  });
  assert.equal(answer.done_reason, "stop");
});

Deno.test("A call that a limit of tokens cut is left out, and the limit is said", async () => {
  const cut = { ...HELLO, tools: [WEATHER], options: { num_predict: 25 } };
  const lines = await readLines((await ask("/api/chat", cut, CALLS)).response);
  assert.ok(lines.every(({ message }) => !("tool_calls" in (message as object))));
  assert.equal(lines.at(-1)!["done_reason"], "length");
  const whole = await readJson((await ask("/api/chat", { ...cut, stream: false }, CALLS)).response);
  assert.equal(whole.message.tool_calls, undefined);
  assert.equal(whole.done_reason, "length");
});

Deno.test("Tools without parameters take an object without properties", async () => {
  const tools = [{ type: "function", function: { name: "now", parameters: null } }];
  const { request } = await ask("/api/chat", { ...HELLO, tools });
  assert.deepEqual(request.tools, [
    { name: "now", description: "", parameters: { type: "object", properties: {} }, strict: false },
  ]);
});

Deno.test("think decides whether and how much a model thinks", async () => {
  const expected: [think: unknown, reasoning: object][] = [
    [undefined, { enabled: null, tokensMax: null }],
    [null, { enabled: null, tokensMax: null }],
    [false, { enabled: false, tokensMax: null }],
    [true, { enabled: true, tokensMax: null }],
    ["low", { enabled: true, tokensMax: 1_024 }],
    ["medium", { enabled: true, tokensMax: 4_096 }],
    ["high", { enabled: true, tokensMax: null }],
  ];
  for (const [think, reasoning] of expected) {
    assert.deepEqual((await ask("/api/chat", { ...HELLO, think })).request.reasoning, reasoning, String(think));
  }
});

Deno.test("format asks for JSON, or for what a schema accepts", async () => {
  const schema = { type: "object", properties: { city: { type: "string" } } };
  for (const [path, prompt] of [["/api/chat", HELLO], ["/api/generate", { prompt: "x" }]] as const) {
    const formatOf = async (format: unknown) => (await ask(path, { ...prompt, format })).request.format;
    assert.deepEqual(await formatOf("json"), { type: "json" });
    assert.deepEqual(await formatOf(schema), { type: "schema", schema, strict: false });
    assert.deepEqual(await formatOf(null), { type: "text" });
  }
});

Deno.test("/api/generate tells thoughts beside the response, streamed and whole", async () => {
  const steps: ScriptStep[] = [{ type: "reasoning", text: "Hm" }, "Yes"];
  const lines = await readLines((await ask("/api/generate", { prompt: "x", think: true }, steps)).response);
  const parsed = lines.map((line) => GenerateLine.strict().parse(line));
  assert.deepEqual(parsed.map(({ response, thinking }) => [response, thinking]), [
    ["", "Hm"],
    ["Yes", undefined],
    ["", undefined],
  ]);
  const whole = await readJson((await ask("/api/generate", { prompt: "x", stream: false }, steps)).response);
  assert.deepEqual([whole.response, whole.thinking], ["Yes", "Hm"]);
});

Deno.test("/api/generate fills in before a suffix with a prompt that is taken as it is", async () => {
  for (const raw of [true, false]) {
    const { request } = await ask("/api/generate", { prompt: "def f(", suffix: "return x", raw });
    assert.deepEqual([request.prompt, request.suffix, request.messages], ["def f(", "return x", null]);
  }
  const { request } = await ask("/api/generate", { prompt: "", suffix: "return x" });
  assert.deepEqual([request.prompt, request.suffix], ["", "return x"]);
});

Deno.test("Log-probabilities are told when they are asked for, with as many alternatives", async () => {
  const token = { text: "é", bytes: [195, 169], logprob: -0.5, top: [{ text: "e", bytes: [101], logprob: -1 }] };
  const steps: ScriptStep[] = [{ type: "text", text: "é", tokens: [token] }];
  const told = [{
    token: "é",
    bytes: [195, 169],
    logprob: -0.5,
    top_logprobs: [{ token: "e", bytes: [101], logprob: -1 }],
  }];
  const asked = { ...HELLO, logprobs: true, top_logprobs: 3 };
  const streamed = await ask("/api/chat", asked, steps);
  assert.equal(streamed.request.logprobs, 3);
  const [first, last] = await readLines(streamed.response);
  assert.deepEqual(ChatLine.strict().parse(first).logprobs, told);
  assert.equal(last!["logprobs"], undefined);
  const whole = await readJson((await ask("/api/chat", { ...asked, stream: false }, steps)).response);
  assert.deepEqual(whole.logprobs, told);
  assert.equal((await ask("/api/chat", { ...HELLO, logprobs: true })).request.logprobs, 0);
  assert.equal((await ask("/api/chat", { ...HELLO, top_logprobs: 3 })).request.logprobs, null);
});
