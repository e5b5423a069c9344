import assert from "node:assert/strict";
import type { ChatRequest } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptStep } from "../../lib/inference/scripted_engine.ts";
import { OPENAI_CONVERSATION_BODY } from "../../tests/fixtures/client_bodies.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import { createApp } from "./app.ts";

const PATH = "/v1/responses";
const HELLO = { model: "scripted", input: "hello" };
const SCHEMA = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
const READ = { type: "function", name: "read", description: "Reads", parameters: SCHEMA, strict: true };

function createTestApp(...steps: ScriptStep[]) {
  const engine = createScriptedEngine({ model: { contextTokensMax: 256 } });
  if (steps.length > 0) engine.enqueue(...steps);
  return { engine, app: createApp({ inference: createEngineTable([engine]) }) };
}

async function askedBy(changes: object): Promise<ChatRequest> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(response.status, 200, await response.text());
  return engine.requests[0]!;
}

async function refusalOf(changes: object): Promise<{ status: number; param: string; message: string }> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(engine.requests.length, 0, `accepted: ${JSON.stringify(changes)}`);
  return { status: response.status, ...(await readJson(response)).error };
}

Deno.test("POST /v1/responses answers with the whole response, and says that nothing is stored", async () => {
  const { app } = createTestApp("Good", " day");
  const body = { ...HELLO, instructions: "Be kind", store: true, temperature: 0.5, metadata: { a: "b" } };
  const response = await postJson(app, PATH, { body });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  const { id, created_at, output, ...rest } = await readJson(response);
  assert.match(id, /^resp_\w{32}$/);
  assert.ok(Math.abs(created_at - Date.now() / 1000) < 60);
  assert.match(output[0].id, /^msg_\w{32}$/);
  assert.deepEqual(output, [{
    type: "message",
    id: output[0].id,
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text: "Good day", annotations: [], logprobs: [] }],
  }]);
  const input = "system: Be kind\nuser: hello\n".length;
  assert.deepEqual(rest, {
    object: "response",
    status: "completed",
    error: null,
    incomplete_details: null,
    model: "scripted",
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 8,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + 8,
    },
    background: false,
    store: false,
    previous_response_id: null,
    truncation: "disabled",
    service_tier: "default",
    instructions: "Be kind",
    max_output_tokens: null,
    parallel_tool_calls: true,
    temperature: 0.5,
    top_p: null,
    top_logprobs: 0,
    tools: [],
    tool_choice: "auto",
    text: { format: { type: "text" } },
    reasoning: { effort: null, summary: null },
    metadata: { a: "b" },
  });
});

Deno.test("Thoughts, text and calls are items of their own, in order", async () => {
  const { app } = createTestApp(
    { type: "reasoning", text: "Hm" },
    "Look",
    { type: "tool_call", index: 0, id: "call_a", name: "read" },
    { type: "tool_arguments", index: 0, text: '{"a"' },
    { type: "tool_arguments", index: 0, text: ":1}" },
    { type: "tool_call", index: 1, id: "call_b", name: "read" },
    { type: "tool_arguments", index: 1, text: "{}" },
  );
  const { output, status, usage } = await readJson(await postJson(app, PATH, { body: { ...HELLO, tools: [READ] } }));
  assert.equal(status, "completed");
  assert.equal(usage.output_tokens_details.reasoning_tokens, 2);
  const ids = output.map(({ id }: { id: string }) => id);
  assert.equal(new Set(ids).size, 4);
  const call = { type: "function_call", status: "completed", name: "read" };
  assert.partialDeepStrictEqual(output, [
    { type: "reasoning", status: "completed", summary: [], content: [{ type: "reasoning_text", text: "Hm" }] },
    { type: "message", content: [{ type: "output_text", text: "Look" }] },
    { ...call, call_id: "call_a", arguments: '{"a":1}' },
    { ...call, call_id: "call_b", arguments: "{}" },
  ]);
});

Deno.test("A response that is cut says so, and so does its last item", async () => {
  const { app } = createTestApp("Good day");
  const { status, incomplete_details, output } = await readJson(
    await postJson(app, PATH, { body: { ...HELLO, max_output_tokens: 3 } }),
  );
  assert.equal(status, "incomplete");
  assert.deepEqual(incomplete_details, { reason: "max_output_tokens" });
  assert.equal(output[0].status, "incomplete");
  assert.equal(output[0].content[0].text, "Goo");
});

Deno.test("Log-probabilities are told when they are asked for", async () => {
  const tokens = [{ text: "G", bytes: [71], logprob: -1, top: [{ text: "H", bytes: [72], logprob: -0.5 }] }];
  const ask = async (changes: object) => {
    const { app } = createTestApp({ type: "text", text: "G", tokens });
    const { output } = await readJson(await postJson(app, PATH, { body: { ...HELLO, ...changes } }));
    return output[0].content[0].logprobs;
  };
  const told = [
    { token: "G", bytes: [71], logprob: -1, top_logprobs: [{ token: "H", bytes: [72], logprob: -0.5 }] },
  ];
  assert.deepEqual(await ask({ top_logprobs: 1 }), told);
  assert.deepEqual(await ask({ include: ["message.output_text.logprobs"] }), told);
  assert.deepEqual(await ask({ include: ["reasoning.encrypted_content"] }), []);
  assert.equal((await askedBy({ top_logprobs: 2 })).logprobs, 2);
});

Deno.test("Parameters reach the engine", async () => {
  const asked = await askedBy({
    temperature: 0,
    top_p: 0.5,
    max_output_tokens: 9,
    tools: [READ, { type: "function", name: "list" }],
    tool_choice: { type: "function", name: "list" },
    parallel_tool_calls: false,
    text: { format: { type: "json_schema", name: "a", schema: SCHEMA, strict: true }, verbosity: "low" },
    reasoning: { effort: "low", summary: "auto" },
  });
  assert.partialDeepStrictEqual(asked, {
    sampling: { temperature: 0, topP: 0.5 },
    completionTokensMax: 9,
    tools: [
      { name: "read", description: "Reads", parameters: SCHEMA, strict: true },
      { name: "list", description: "", parameters: { type: "object", properties: {} }, strict: false },
    ],
    toolChoice: { name: "list" },
    parallelToolCalls: false,
    format: { type: "schema", schema: SCHEMA, strict: true },
    reasoning: { enabled: true, tokensMax: 1_024 },
  });
  assert.deepEqual((await askedBy({ text: { format: { type: "json_object" } } })).format, { type: "json" });
  const harmless = {
    store: true,
    include: [],
    truncation: "auto",
    service_tier: "auto",
    user: "me",
    background: false,
  };
  const nulls = {
    previous_response_id: null,
    conversation: null,
    tools: null,
    text: null,
    reasoning: null,
    stream: null,
  };
  assert.partialDeepStrictEqual(await askedBy({ ...harmless, ...nulls, prompt_cache_key: "k" }), {
    toolChoice: "auto",
    parallelToolCalls: true,
    format: { type: "text" },
    reasoning: { enabled: null, tokensMax: null },
    logprobs: null,
  });
});

Deno.test("Items of one turn become one message, and outputs know what they answer", async () => {
  const input = [
    { role: "developer", content: "D" },
    {
      type: "message",
      role: "user",
      content: [{ type: "input_text", text: "one" }, { type: "input_text", text: "two" }],
    },
    {
      type: "reasoning",
      id: "rs_1",
      summary: [],
      content: [{ type: "reasoning_text", text: "Hm" }],
      encrypted_content: null,
    },
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "Look", annotations: [] }],
    },
    { type: "function_call", id: "fc_1", call_id: "call_a", name: "read", arguments: "{}", status: "completed" },
    { type: "function_call", call_id: "call_b", name: "list", arguments: "{}" },
    { type: "function_call_output", call_id: "call_b", output: "names" },
    { type: "function_call_output", call_id: "call_a", output: [{ type: "input_text", text: "file" }] },
    { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "abc" },
    { type: "reasoning", id: "rs_3", summary: [{ type: "summary_text", text: "Well" }] },
    { type: "function_call", call_id: "call_c", name: "list", arguments: "{}" },
    { role: "assistant", content: "Done" },
    { role: "assistant", content: "Really" },
    { role: "user", content: "thanks" },
    { type: "function_call", call_id: "call_d", name: "list", arguments: "{}" },
    { type: "function_call_output", call_id: "call_d", output: "" },
    { type: "function_call", call_id: "call_e", name: "list", arguments: "{}" },
  ];
  assert.deepEqual((await askedBy({ input, instructions: "S" })).messages, [
    { role: "system", content: "S" },
    { role: "system", content: "D" },
    { role: "user", content: "one\ntwo" },
    {
      role: "assistant",
      content: "Look",
      reasoning: "Hm",
      toolCalls: [{ id: "call_a", name: "read", arguments: "{}" }, { id: "call_b", name: "list", arguments: "{}" }],
    },
    { role: "tool", content: "names", toolCallId: "call_b", toolName: "list" },
    { role: "tool", content: "file", toolCallId: "call_a", toolName: "read" },
    { role: "assistant", content: "", reasoning: "Well", toolCalls: [{ id: "call_c", name: "list", arguments: "{}" }] },
    { role: "assistant", content: "Done" },
    { role: "assistant", content: "Really" },
    { role: "user", content: "thanks" },
    { role: "assistant", content: "", toolCalls: [{ id: "call_d", name: "list", arguments: "{}" }] },
    { role: "tool", content: "", toolCallId: "call_d", toolName: "list" },
    { role: "assistant", content: "", toolCalls: [{ id: "call_e", name: "list", arguments: "{}" }] },
  ]);
});

Deno.test("Home Assistant's openai_conversation gets an answer to its body as it is", async () => {
  const { engine, app } = createTestApp("The light is on.");
  const response = await postJson(app, PATH, { body: { model: "scripted", ...OPENAI_CONVERSATION_BODY } });
  assert.equal(response.status, 200);
  assert.match(await response.text(), /event: response\.completed\n.*"text":"The light is on\."/);
  assert.deepEqual(engine.requests[0]?.messages?.slice(2), [
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "call_1", name: "HassTurnOn", arguments: '{"area":"kitchen"}' }],
    },
    { role: "tool", content: '{"data":{},"error":null}', toolCallId: "call_1", toolName: "HassTurnOn" },
  ]);
});

Deno.test("What a server without a memory cannot do is refused with what to do instead", async () => {
  const refused: [changes: object, param: string, message: RegExp][] = [
    [{ previous_response_id: "resp_1" }, "previous_response_id", /whole conversation as input/],
    [{ conversation: "conv_1" }, "conversation", /whole conversation as input/],
    [{ prompt: { id: "pmpt_1" } }, "prompt", /instructions and input/],
    [{ background: true }, "background", /leave background out/],
    [{ tools: [READ, { type: "web_search" }] }, "tools[1].type", /runs no tools itself/],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input[0].type", /send the item itself/],
    [{ input: [{ type: "web_search_call", id: "ws_1" }] }, "input[0].type", /"web_search_call"/],
    [
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "data:" }] }] },
      "input[0].content[0]",
      /"scripted" cannot see images/,
    ],
  ];
  for (const [changes, param, message] of refused) {
    const error = await refusalOf(changes);
    assert.equal(error.status, 400, JSON.stringify(changes));
    assert.equal(error.param, param, error.message);
    assert.match(error.message, message);
  }
});

Deno.test("Wrong values get a 400 that names the parameter", async () => {
  const wrong: [changes: object, param: string][] = [
    [{ model: "" }, "model"],
    [{ input: null }, "input"],
    [{ input: [] }, "input"],
    [{ input: 7 }, "input"],
    [{ input: [{ content: "a" }] }, "input[0].role"],
    [{ input: [{ role: "user" }] }, "input[0].content"],
    [{ input: [{ role: "robot", content: "a" }] }, "input[0].role"],
    [{ input: [{ type: "function_call", name: "a", arguments: "{}" }] }, "input[0].call_id"],
    [{ input: [{ type: "function_call", call_id: "a", name: "a" }] }, "input[0].arguments"],
    [{ input: [{ type: "function_call_output", call_id: "a" }] }, "input[0].output"],
    [{ input: [{ role: "user", content: [{ type: "input_text" }] }] }, "input[0].content[0].text"],
    [{ max_output_tokens: 0 }, "max_output_tokens"],
    [{ temperature: 3 }, "temperature"],
    [{ tools: [READ, READ] }, "tools[1].name"],
    [{ tools: [{ ...READ, name: "a b" }] }, "tools[0].name"],
    [{ tools: [READ], tool_choice: { type: "function", name: "write" } }, "tool_choice"],
    [{ tool_choice: { type: "web_search" } }, "tool_choice.type"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ text: { format: { type: "json_schema", name: "a" } } }, "text.format.schema"],
    [{ text: { format: { type: "xml" } } }, "text.format.type"],
    [{ reasoning: { effort: "huge" } }, "reasoning.effort"],
    [{ top_logprobs: 21 }, "top_logprobs"],
  ];
  for (const [changes, param] of wrong) {
    const error = await refusalOf(changes);
    assert.equal(error.status, 400, JSON.stringify(changes));
    assert.equal(error.param, param, error.message);
  }
});

Deno.test("What the engine refuses decides the status, and is named as the client wrote it", async () => {
  const { engine, app } = createTestApp();
  for (const stream of [false, true]) {
    const long = await postJson(app, PATH, { body: { ...HELLO, input: "x".repeat(300), stream } });
    assert.equal(long.status, 400);
    assert.partialDeepStrictEqual(await readJson(long), { error: { code: "context_length_exceeded", param: "input" } });
    const params = {
      "tools[1].function.parameters": "tools[1].parameters",
      "response_format.json_schema.schema": "text.format.schema",
    };
    for (const [param, named] of Object.entries(params)) {
      engine.enqueue({ refuse: new DomainError("invalid_request", "No", { param }) });
      const refused = await postJson(app, PATH, { body: { ...HELLO, stream } });
      assert.equal(refused.status, 400);
      assert.equal((await readJson(refused)).error.param, named);
    }
  }
  const unknown = await postJson(app, PATH, { body: { ...HELLO, model: "gpt-4" } });
  assert.equal(unknown.status, 404);
  await unknown.body?.cancel();
});

Deno.test("Metadata are at most 16 pairs of texts", async () => {
  const pairs = (count: number, value: unknown) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key ${index}`, value]));
  await askedBy({ metadata: pairs(16, "x".repeat(4_096)) });
  for (const metadata of [pairs(17, "x"), pairs(1, 7), pairs(1, { a: "b" }), pairs(1, "x".repeat(4_097)), ["x"]]) {
    const { status, param } = await refusalOf({ metadata });
    assert.equal(status, 400);
    assert.match(param, /^metadata/);
  }
});

Deno.test("What is said again is refused when it is nested too deeply to be, whole and streamed", async () => {
  const tool = (more: string) =>
    `"tools":[${JSON.stringify({ ...READ, strict: false, more: "@" }).replace('"@"', more)}]`;
  const format = (more: string) => `"text":{"format":{"type":"text","more":${more}}}`;
  const choice = (more: string) => `${tool("0")},"tool_choice":{"type":"function","name":"read","more":${more}}`;
  for (const [param, write] of Object.entries({ tools: tool, text: format, tool_choice: choice })) {
    for (const stream of [true, false]) {
      const { app } = createTestApp("Hi");
      const ask = (levels: number) => {
        const field = write("[".repeat(levels) + "]".repeat(levels));
        return postJson(app, PATH, { body: `{"model":"scripted","input":"hello","stream":${stream},${field}}` });
      };
      const response = await ask(100_000);
      assert.equal(response.status, 400);
      assert.equal((await readJson(response)).error.param, param);
      const flat = await ask(400);
      assert.equal(flat.status, 200);
      assert.match(await flat.text(), /"status":"completed"/);
    }
  }
});

Deno.test("What the events of a stream say of a response is not changed by what comes later", async () => {
  const { app } = createTestApp("Hi");
  const response = await postJson(app, PATH, { body: { ...HELLO, stream: true, metadata: { a: "b" } } });
  const events = (await response.text()).split("\n").filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice(6)));
  assert.deepEqual(events[0].response.output, []);
  assert.deepEqual(events.at(-1).response.metadata, { a: "b" });
  assert.equal(events.at(-1).response.output.length, 1);
});
