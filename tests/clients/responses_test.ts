import assert from "node:assert/strict";
import OpenAI from "openai";
import { createApp } from "../../functions/responses/app.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptedEngine, type ScriptStep } from "../../lib/inference/scripted_engine.ts";
import { DomainError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { serve } from "../fixtures/http.ts";
import { until } from "../fixtures/processes.ts";

type Events = OpenAI.Responses.ResponseStreamEvent[];

const model = "scripted";
const TOOL = {
  type: "function",
  name: "turn_on",
  description: "Turns a light on",
  parameters: { type: "object", properties: { area: { type: "string" } }, required: ["area"] },
  strict: false,
} as const;
const EVERYTHING: ScriptStep[] = [
  { type: "reasoning", text: "The kitchen" },
  { type: "reasoning", text: " it is." },
  "I turn",
  " it on.",
  { type: "tool_call", index: 0, id: "call_a", name: "turn_on" },
  { type: "tool_arguments", index: 0, text: '{"area":' },
  { type: "tool_arguments", index: 0, text: '"kitchen"}' },
];

/** OpenAI's own library, connected to a scripted engine behind `/v1/responses`. */
function connect(): AsyncDisposable & { client: OpenAI; engine: ScriptedEngine; url: string } {
  const engine = createScriptedEngine();
  const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log: silentLogger, keepaliveMs: 5 };
  const server = serve(createApp({ inference: createEngineTable([engine]), edge }));
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  return { client, engine, url: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

Deno.test("OpenAI's library reads a response, and finds its text", async () => {
  await using rookery = connect();
  rookery.engine.enqueue("Good day");
  const response = await rookery.client.responses.create({ model, input: "hello", instructions: "Be kind" });
  assert.equal(response.output_text, "Good day");
  assert.equal(response.status, "completed");
  assert.equal(response.usage?.output_tokens, 8);
});

Deno.test("OpenAI's library reads a stream of thoughts, text and a call, event by event", async () => {
  await using rookery = connect();
  rookery.engine.enqueue(...EVERYTHING);
  const stream = await rookery.client.responses.create({ model, input: "Lights on", tools: [TOOL], stream: true });
  const events: Events = await Array.fromAsync(stream);
  assert.deepEqual(events.map(({ sequence_number }) => sequence_number), [...events.keys()]);
  assert.deepEqual(events.map(({ type }) => type.slice("response.".length)), [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "reasoning_text.delta",
    "reasoning_text.delta",
    "reasoning_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
    "completed",
  ]);
  assert.deepEqual(events.flatMap((event) => "output_index" in event ? [event.output_index] : []), [
    ...Array(7).fill(0),
    ...Array(7).fill(1),
    ...Array(5).fill(2),
  ]);
  const parts = events.filter((event) => event.type === "response.content_part.added").map(({ part }) => part);
  assert.deepEqual(parts.map((part) => "text" in part && part.text), ["", ""], "a part is told as it was then");
});

Deno.test("OpenAI's stream helper puts together what the whole response says", async () => {
  await using rookery = connect();
  rookery.engine.enqueue(...EVERYTHING);
  const stream = rookery.client.responses.stream({ model, input: "Lights on", tools: [TOOL] });
  const streamed = await stream.finalResponse();
  rookery.engine.enqueue(...EVERYTHING);
  const whole = await rookery.client.responses.create({ model, input: "Lights on", tools: [TOOL] });
  assert.equal(streamed.output_text, "I turn it on.");
  assert.equal(whole.output_text, "I turn it on.");
  const expected = [
    { type: "reasoning", status: "completed", content: [{ type: "reasoning_text", text: "The kitchen it is." }] },
    { type: "message", status: "completed", content: [{ type: "output_text", text: "I turn it on." }] },
    { type: "function_call", call_id: "call_a", name: "turn_on", arguments: '{"area":"kitchen"}' },
  ];
  assert.partialDeepStrictEqual(streamed, { status: "completed", output: expected });
  assert.partialDeepStrictEqual(whole, { status: "completed", output: expected });
});

Deno.test("OpenAI's library carries a call and its output into the next turn", async () => {
  await using rookery = connect();
  const { client, engine } = rookery;
  engine.enqueue(...EVERYTHING);
  const input: OpenAI.Responses.ResponseInputItem[] = [{ role: "user", content: "Lights on" }];
  const first = await client.responses.create({ model, input, tools: [TOOL], store: false });
  const call = first.output.find((item) => item.type === "function_call")!;
  input.push(...first.output as OpenAI.Responses.ResponseInputItem[]);
  input.push({ type: "function_call_output", call_id: call.call_id, output: '{"ok":true}' });
  engine.enqueue("It is on.");
  assert.equal((await client.responses.create({ model, input, tools: [TOOL] })).output_text, "It is on.");
  assert.deepEqual(engine.requests.at(-1)?.messages, [
    { role: "user", content: "Lights on" },
    {
      role: "assistant",
      content: "I turn it on.",
      reasoning: "The kitchen it is.",
      toolCalls: [{ id: "call_a", name: "turn_on", arguments: '{"area":"kitchen"}' }],
    },
    { role: "tool", content: '{"ok":true}', toolCallId: "call_a", toolName: "turn_on" },
  ]);
});

Deno.test("OpenAI's library parses an answer that a schema was asked for", async () => {
  await using rookery = connect();
  rookery.engine.enqueue('{"area":"kitchen"}');
  const format = { type: "json_schema", name: "place", schema: TOOL.parameters, strict: true } as const;
  const response = await rookery.client.responses.parse({ model, input: "Where?", text: { format } });
  assert.deepEqual(JSON.parse(response.output_text), { area: "kitchen" });
  assert.deepEqual(response.text?.format, format);
  assert.deepEqual(rookery.engine.requests[0]?.format, { type: "schema", schema: TOOL.parameters, strict: true });
});

Deno.test("OpenAI's library sees that a stream was cut, and that another one failed", async () => {
  await using rookery = connect();
  const { client, engine } = rookery;
  const ask = async (changes: object): Promise<Events> =>
    await Array.fromAsync(await client.responses.create({ model, input: "hello", stream: true, ...changes }));
  const cut = (await ask({ max_output_tokens: 2 })).at(-1)!;
  assert.ok(cut.type === "response.incomplete");
  assert.deepEqual(cut.response.incomplete_details, { reason: "max_output_tokens" });
  assert.partialDeepStrictEqual(cut.response.output, [{ status: "incomplete", content: [{ text: "he" }] }]);

  engine.enqueue("so far", { fail: new DomainError("engine_gone", "It ended") });
  const failed = (await ask({})).at(-1)!;
  assert.ok(failed.type === "response.failed");
  assert.deepEqual(failed.response.error, { code: "engine_gone", message: "It ended" });
  assert.partialDeepStrictEqual(failed.response.output, [{ status: "incomplete", content: [{ text: "so far" }] }]);

  engine.enqueue("so far", { fail: new TypeError("the secret of the house") });
  const broken = (await ask({})).at(-1)!;
  assert.doesNotMatch(JSON.stringify(broken), /secret/);
});

Deno.test("OpenAI's library gets refusals as errors with code and param", async () => {
  await using rookery = connect();
  const asking = rookery.client.responses.create({ model, input: "hello", previous_response_id: "resp_1" });
  await assert.rejects(asking, (error) => {
    return error instanceof OpenAI.BadRequestError && error.param === "previous_response_id";
  });
  await assert.rejects(rookery.client.responses.create({ model: "gpt-4", input: "hello" }), OpenAI.NotFoundError);
});

Deno.test("A response that is left stops the engine", async () => {
  await using rookery = connect();
  rookery.engine.enqueue("a", { wait: new Promise<never>(() => {}) });
  const stream = await rookery.client.responses.create({ model, input: "hello", stream: true });
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") stream.controller.abort();
  }
  await until(async () => (await rookery.engine.status()).active === 0);
  assert.equal((await rookery.engine.status()).active, 0);
});

Deno.test("A streamed response names its events, is kept alive by comments, and ends without [DONE]", async () => {
  await using rookery = connect();
  rookery.engine.enqueue({ wait: new Promise((resolve) => setTimeout(resolve, 30)) }, "hi");
  const response = await fetch(`${rookery.url}/v1/responses`, {
    method: "POST",
    body: JSON.stringify({ model, input: "hello", stream: true }),
    headers: { "content-type": "application/json" },
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const text = await response.text();
  assert.match(text, /: keepalive\n\n/);
  for (const event of text.trim().split("\n\n").filter((event) => event !== ": keepalive")) {
    const [, name, data] = event.match(/^event: (.+)\ndata: (.+)$/)!;
    assert.equal(JSON.parse(data!).type, name);
  }
  assert.doesNotMatch(text, /\[DONE\]/);
});
