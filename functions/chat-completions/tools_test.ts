import assert from "node:assert/strict";
import type { ChatRequest } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptStep } from "../../lib/inference/scripted_engine.ts";
import { findStreamViolations } from "../../tests/clients/copilot_stream.ts";
import { EXTENDED_OPENAI_BODY } from "../../tests/fixtures/client_bodies.ts";
import { postJson, readBytes, readJson } from "../../tests/fixtures/http.ts";
import { createApp } from "./app.ts";

const PATH = "/v1/chat/completions";
const HELLO = { model: "scripted", messages: [{ role: "user", content: "hello" }] };
const SCHEMA = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };
const READ = { name: "read", description: "Reads a file", parameters: SCHEMA, strict: true };
const LIST = { name: "list" };
const TOOLS = [READ, LIST].map((definition) => ({ type: "function", function: definition }));
const SCHEMA_PARAM = "response_format.json_schema.schema";
const CALLS: ScriptStep[] = [
  { type: "tool_call", index: 0, id: "call_a", name: "read" },
  { type: "tool_arguments", index: 0, text: '{"path":' },
  { type: "tool_arguments", index: 0, text: '"/a"}' },
  { type: "tool_call", index: 1, id: "call_b", name: "list" },
  { type: "tool_arguments", index: 1, text: "{}" },
];

function createTestApp(...steps: ScriptStep[]) {
  const engine = createScriptedEngine();
  if (steps.length > 0) engine.enqueue(...steps);
  return { engine, app: createApp({ inference: createEngineTable([engine]) }) };
}

/** What the engine was asked when `changes` to a plain body were sent. */
async function askedBy(changes: object): Promise<ChatRequest> {
  const { engine, app } = createTestApp();
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(response.status, 200, await response.text());
  return engine.requests[0]!;
}

/** The choice of a whole answer that the engine made of `steps`. */
async function choiceOf(changes: object, steps: ScriptStep[]): ReturnType<Response["json"]> {
  const { app } = createTestApp(...steps);
  const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
  assert.equal(response.status, 200);
  return (await readJson(response)).choices[0];
}

/** The deltas and the finish reason of a stream that the engine made of `steps`. */
async function streamOf(changes: object, steps: ScriptStep[]): Promise<{ deltas: unknown[]; bytes: Uint8Array }> {
  const { app } = createTestApp(...steps);
  const response = await postJson(app, PATH, { body: { ...HELLO, stream: true, ...changes } });
  assert.equal(response.status, 200);
  const bytes = await readBytes(response);
  const events = new TextDecoder().decode(bytes).trim().split("\n\n").slice(0, -1);
  const choices = events.map((event) => JSON.parse(event.slice("data: ".length)).choices[0]);
  return { deltas: choices.map(({ delta, finish_reason }) => finish_reason ?? delta), bytes };
}

Deno.test("Tools and their choice reach the engine, with defaults for what a tool leaves out", async () => {
  const asked = await askedBy({ tools: TOOLS });
  assert.deepEqual(asked.tools, [
    READ,
    { name: "list", description: "", parameters: { type: "object", properties: {} }, strict: false },
  ]);
  assert.deepEqual([asked.toolChoice, asked.parallelToolCalls], ["auto", true]);
  for (const choice of ["none", "auto", "required"]) {
    assert.equal((await askedBy({ tools: TOOLS, tool_choice: choice })).toolChoice, choice);
  }
  const forced = { tools: TOOLS, tool_choice: { type: "function", function: { name: "list" } } };
  assert.deepEqual((await askedBy(forced)).toolChoice, { name: "list" });
  assert.equal((await askedBy({ tools: TOOLS, parallel_tool_calls: false })).parallelToolCalls, false);
});

Deno.test("Tools and choices that cannot be served are refused with the place", async () => {
  const tool = (name: unknown, rest: object = {}) => ({ type: "function", function: { name, ...rest } });
  const refused: [changes: object, param: string][] = [
    [{ tools: {} }, "tools"],
    [{ tools: Array.from({ length: 129 }, (_, i) => tool(`t${i}`)) }, "tools"],
    [{ tools: [{ type: "custom", custom: { name: "a" } }] }, "tools[0].type"],
    [{ tools: [{ type: "function" }] }, "tools[0].function"],
    [{ tools: [tool("a b")] }, "tools[0].function.name"],
    [{ tools: [tool("a"), tool("")] }, "tools[1].function.name"],
    [{ tools: [tool("a".repeat(129))] }, "tools[0].function.name"],
    [{ tools: [tool("a"), tool("b"), tool("a")] }, "tools[2].function.name"],
    [{ tools: [tool("a", { parameters: "none" })] }, "tools[0].function.parameters"],
    [{ tools: TOOLS, tool_choice: "always" }, "tool_choice"],
    [{ tools: TOOLS, tool_choice: { type: "function", function: { name: "write" } } }, "tool_choice"],
    [{ tool_choice: "required" }, "tool_choice"],
    [{ functions: [READ, LIST, READ] }, "functions[2].name"],
    [{ functions: [READ], function_call: { name: "write" } }, "function_call"],
    [{ functions: [READ], function_call: "required" }, "function_call"],
    [{ functions: [READ], tools: TOOLS }, "functions"],
  ];
  for (const [changes, param] of refused) {
    const { engine, app } = createTestApp();
    const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
    assert.equal(response.status, 400, JSON.stringify(changes));
    const { error } = await readJson(response);
    assert.equal(error.param, param, error.message);
    assert.ok(error.message.includes(`"${param}"`), error.message);
    assert.equal(engine.requests.length, 0);
  }
});

Deno.test("128 tools are served", async () => {
  const tools = Array.from({ length: 128 }, (_, i) => ({ type: "function", function: { name: `mcp__server.t-${i}` } }));
  assert.equal((await askedBy({ tools })).tools.length, 128);
});

Deno.test("What the engine refuses is named as the client wrote it", async () => {
  const places: [changes: object, engine: string, client: string][] = [
    [{ tools: TOOLS }, "tools[1].function.parameters", "tools[1].function.parameters"],
    [{ functions: [READ] }, "tools[0].function.parameters", "functions[0].parameters"],
    [{ functions: [READ], function_call: { name: "read" } }, "tool_choice", "function_call"],
    [{ response_format: { type: "json_schema", json_schema: { schema: {} } } }, SCHEMA_PARAM, SCHEMA_PARAM],
    [{ response_format: { type: "json_object", schema: {} } }, SCHEMA_PARAM, "response_format.schema"],
    [{}, "messages", "messages"],
  ];
  for (const [changes, param, named] of places) {
    const { engine, app } = createTestApp();
    engine.enqueue({ refuse: new DomainError("invalid_request", `Cannot serve "${param}"`, { param }) });
    const response = await postJson(app, PATH, { body: { ...HELLO, ...changes } });
    assert.equal(response.status, 400);
    assert.partialDeepStrictEqual(await readJson(response), {
      error: { param: named, message: `Cannot serve "${named}"` },
    });
  }
});

Deno.test("A whole answer holds its calls, and no content when there is nothing beside them", async () => {
  const { message, finish_reason } = await choiceOf({ tools: TOOLS }, CALLS);
  assert.equal(finish_reason, "tool_calls");
  assert.deepEqual(message, {
    role: "assistant",
    content: null,
    refusal: null,
    tool_calls: [
      { id: "call_a", type: "function", function: { name: "read", arguments: '{"path":"/a"}' } },
      { id: "call_b", type: "function", function: { name: "list", arguments: "{}" } },
    ],
  });
  assert.equal((await choiceOf({ tools: TOOLS }, ["I look", ...CALLS])).message.content, "I look");
});

Deno.test("A stream tells each call's id and name once, then its arguments, as Copilot's parsers need it", async () => {
  const { deltas, bytes } = await streamOf({ tools: TOOLS }, ["I look", ...CALLS]);
  assert.deepEqual(findStreamViolations(bytes, { usage: false }), []);
  const begin = (index: number, id: string, name: string) => ({
    tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }],
  });
  const go = (index: number, text: string) => ({ tool_calls: [{ index, function: { arguments: text } }] });
  assert.deepEqual(deltas, [
    { role: "assistant", content: "" },
    { content: "I look" },
    begin(0, "call_a", "read"),
    go(0, '{"path":'),
    go(0, '"/a"}'),
    begin(1, "call_b", "list"),
    go(1, "{}"),
    "tool_calls",
  ]);
});

Deno.test("A call that is cut ends by length", async () => {
  const choice = await choiceOf({ tools: TOOLS, max_tokens: 5 }, CALLS);
  assert.equal(choice.finish_reason, "length");
  assert.equal(choice.message.tool_calls[0].function.arguments, '{"pat');
});

Deno.test("Functions of the old form are asked and answered in the old form, one call at a time", async () => {
  const asked = await askedBy({ functions: [READ, LIST], function_call: { name: "read" } });
  assert.deepEqual(asked.tools.map(({ name }) => name), ["read", "list"]);
  assert.deepEqual([asked.toolChoice, asked.parallelToolCalls], [{ name: "read" }, false]);
  assert.equal((await askedBy({ functions: [READ] })).toolChoice, "auto");
  const { message, finish_reason } = await choiceOf({ functions: [READ] }, CALLS.slice(0, 3));
  assert.equal(finish_reason, "function_call");
  assert.deepEqual(message, {
    role: "assistant",
    content: null,
    refusal: null,
    function_call: { name: "read", arguments: '{"path":"/a"}' },
  });
  const { deltas } = await streamOf({ functions: [READ] }, CALLS.slice(0, 3));
  assert.deepEqual(deltas.slice(1), [
    { function_call: { name: "read", arguments: "" } },
    { function_call: { arguments: '{"path":' } },
    { function_call: { arguments: '"/a"}' } },
    "function_call",
  ]);
});

Deno.test("Home Assistant's extended_openai_conversation gets what it reads to its body as it is", async () => {
  const { engine, app } = createTestApp("The light is on.");
  const response = await postJson(app, PATH, { body: { model: "scripted", ...EXTENDED_OPENAI_BODY } });
  assert.equal(response.status, 200);
  const { choices: [choice], usage } = await readJson(response);
  assert.deepEqual([choice.finish_reason, choice.message.content], ["stop", "The light is on."]);
  assert.equal(usage.total_tokens, usage.prompt_tokens + 16);
  assert.partialDeepStrictEqual(engine.requests[0], {
    completionTokensMax: 150,
    tools: [{ name: "execute_services" }],
    toolChoice: "auto",
  });
});

Deno.test("Past calls and results reach the engine as what they are, with ids and names where clients leave them out", async () => {
  const messages = [
    { role: "user", content: "go" },
    {
      role: "assistant",
      content: null,
      reasoning_content: "I have to look",
      tool_calls: [
        { id: "1", type: "function", function: { name: "read", arguments: '{"path":"/a"}' } },
        { id: "2", type: "function", function: { name: "list", arguments: "not json" } },
      ],
    },
    { role: "tool", content: "names", tool_call_id: "2" },
    { role: "tool", content: [{ type: "text", text: "file" }], tool_call_id: "1" },
    {
      role: "assistant",
      content: "Then",
      reasoning: "Hm",
      tool_calls: [{ function: { name: "list", arguments: { a: 1 } } }],
    },
    { role: "tool", content: "nothing", tool_call_id: "unknown" },
    { role: "assistant", content: "", reasoning: { effort: "own" }, function_call: { name: "old" } },
    { role: "function", name: "old", content: "result" },
  ];
  assert.deepEqual((await askedBy({ messages })).messages, [
    { role: "user", content: "go" },
    {
      role: "assistant",
      content: "",
      reasoning: "I have to look",
      toolCalls: [
        { id: "1", name: "read", arguments: '{"path":"/a"}' },
        { id: "2", name: "list", arguments: "not json" },
      ],
    },
    { role: "tool", content: "names", toolCallId: "2", toolName: "list" },
    { role: "tool", content: "file", toolCallId: "1", toolName: "read" },
    {
      role: "assistant",
      content: "Then",
      reasoning: "Hm",
      toolCalls: [{ id: "call_4_0", name: "list", arguments: '{"a":1}' }],
    },
    { role: "tool", content: "nothing", toolCallId: "unknown" },
    { role: "assistant", content: "", toolCalls: [{ id: "call_6_0", name: "old", arguments: "{}" }] },
    { role: "tool", content: "result", toolCallId: "call_6_0", toolName: "old" },
  ]);
});
