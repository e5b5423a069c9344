import assert from "node:assert/strict";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import type { ChatRequest } from "../contracts/chat.ts";
import { createScriptedEngine } from "./scripted_engine.ts";
import type { RemoteDialect } from "./remote_models.ts";
import { toRemoteChat } from "./remote_request.ts";

const TOOLS = ["f", "g"].map((name) => ({ name, description: "d", parameters: { type: "object" }, strict: false }));

/** What a server of this dialect is sent for a request. */
async function bodyFor(dialect: RemoteDialect, changes: Partial<ChatRequest>, infill = false) {
  const capabilities = { tools: true, reasoning: true, vision: false, infill };
  await using engine = createScriptedEngine({ model: { capabilities } });
  const model = { id: "m", dialect, description: await engine.describe() };
  return toRemoteChat(requestOf("hello", changes), model, "salt");
}

Deno.test("A plain request says nothing that it does not have to", async () => {
  assert.deepEqual(await bodyFor("other", {}), {
    path: "/v1/chat/completions",
    body: {
      model: "m",
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: "user", content: "hello" }],
    },
  });
});

Deno.test("llama-server, which takes a named choice for auto, is given the one tool and has to call it", async () => {
  const named = { tools: TOOLS, toolChoice: { name: "g" } };
  const { body } = await bodyFor("llama.cpp", named);
  assert.equal(body["tool_choice"], "required");
  assert.deepEqual((body["tools"] as { function: { name: string } }[]).map((tool) => tool.function.name), ["g"]);
  const others = await bodyFor("vllm", named);
  assert.deepEqual(others.body["tool_choice"], { type: "function", function: { name: "g" } });
  assert.equal((others.body["tools"] as unknown[]).length, 2);
});

Deno.test("Each server is told how much to think in its own words", async () => {
  const say = async (dialect: RemoteDialect, enabled: boolean | null, tokensMax: number | null) => {
    const { body } = await bodyFor(dialect, { reasoning: { enabled, tokensMax } });
    const { reasoning_effort, chat_template_kwargs, thinking_budget_tokens } = body;
    return { reasoning_effort, chat_template_kwargs, thinking_budget_tokens };
  };
  const nothing = { reasoning_effort: undefined, chat_template_kwargs: undefined, thinking_budget_tokens: undefined };
  for (const dialect of ["llama.cpp", "ollama", "rookery", "vllm", "other"] as const) {
    assert.deepEqual(await say(dialect, null, null), nothing, dialect);
  }
  const on = { enable_thinking: true };
  assert.deepEqual(await say("llama.cpp", true, 500), {
    ...nothing,
    chat_template_kwargs: on,
    thinking_budget_tokens: 500,
  });
  assert.deepEqual(await say("vllm", true, 500), { ...nothing, chat_template_kwargs: on });
  assert.deepEqual(await say("vllm", false, null), { ...nothing, chat_template_kwargs: { enable_thinking: false } });
  const efforts: [RemoteDialect, boolean | null, number | null, string][] = [
    ["rookery", false, null, "none"],
    ["rookery", true, 256, "minimal"],
    ["ollama", true, 256, "low"],
    ["ollama", true, 1_024, "low"],
    ["ollama", true, 4_096, "medium"],
    ["ollama", true, null, "high"],
  ];
  for (const [dialect, enabled, tokensMax, effort] of efforts) {
    assert.deepEqual(await say(dialect, enabled, tokensMax), { ...nothing, reasoning_effort: effort });
  }
});

Deno.test("vLLM's cache is divided between owners", async () => {
  assert.equal((await bodyFor("vllm", {})).body["cache_salt"], "salt");
  assert.ok(!("cache_salt" in (await bodyFor("other", {})).body), "others might refuse what they do not know");
});

Deno.test("A gap is filled by servers that say that they can, and by no other", async () => {
  const gap = { messages: null, prompt: "a", suffix: "c" };
  const { path, body } = await bodyFor("ollama", gap, true);
  assert.deepEqual([path, body["prompt"], body["suffix"]], ["/v1/completions", "a", "c"]);
  await assert.rejects(bodyFor("llama.cpp", gap), { code: "invalid_request", param: "suffix" });
});

Deno.test("An answer is continued by servers that go on from a beginning, and by no other", async () => {
  const answerBeginning = "Once upon";
  const messages = [{ role: "user", content: "hello" }, { role: "assistant", content: answerBeginning }];
  for (const dialect of ["llama.cpp", "ollama", "vllm"] as const) {
    const { body } = await bodyFor(dialect, { answerBeginning });
    assert.deepEqual(body["messages"], messages);
    assert.equal(body["continue_final_message"], dialect === "vllm" ? true : undefined);
    assert.equal(body["add_generation_prompt"], dialect === "vllm" ? false : undefined);
  }
  for (const dialect of ["rookery", "other"] as const) {
    await assert.rejects(bodyFor(dialect, { answerBeginning }), { code: "invalid_request", param: "answerBeginning" });
  }
});

Deno.test("Results without an id answer calls in their order", async () => {
  const messages: ChatRequest["messages"] = [
    { role: "user", content: "go" },
    {
      role: "assistant",
      content: "",
      reasoning: "Hm",
      toolCalls: [{ id: "a", name: "f", arguments: "{}" }, { id: "", name: "g", arguments: "" }],
    },
    { role: "tool", content: "1" },
    { role: "tool", content: "2", toolName: "g" },
    { role: "tool", content: "3", toolCallId: "z" },
  ];
  const { body } = await bodyFor("other", { messages });
  const [, assistant, ...results] = body["messages"] as Record<string, unknown>[];
  assert.deepEqual(assistant, {
    role: "assistant",
    content: "",
    reasoning_content: "Hm",
    tool_calls: [
      { id: "a", type: "function", function: { name: "f", arguments: "{}" } },
      { id: "call_1_1", type: "function", function: { name: "g", arguments: "{}" } },
    ],
  });
  assert.deepEqual(results, [
    { role: "tool", content: "1", tool_call_id: "a" },
    { role: "tool", content: "2", tool_call_id: "call_1_1", name: "g" },
    { role: "tool", content: "3", tool_call_id: "z" },
  ]);
});

Deno.test("Arguments that are no JSON object become one, because servers read them", async () => {
  for (
    const [given, sent] of [['{"a":1}', '{"a":1}'], ["not json", '{"arguments":"not json"}'], [
      "[1]",
      '{"arguments":"[1]"}',
    ]]
  ) {
    const toolCalls = [{ id: "a", name: "f", arguments: given! }];
    const { body } = await bodyFor("vllm", { messages: [{ role: "assistant", content: "", toolCalls }] });
    const [message] = body["messages"] as { tool_calls: { function: { arguments: string } }[] }[];
    assert.equal(message!.tool_calls[0]!.function.arguments, sent);
  }
});
