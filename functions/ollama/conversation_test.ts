import assert from "node:assert/strict";
import { toChatMessages } from "./conversation.ts";
import type { Message } from "./schemas.ts";

const call = (name: string, args?: unknown, id?: string) => ({
  ...(id ? { id } : {}),
  function: { name, arguments: args },
});
const assistant = (...calls: ReturnType<typeof call>[]): Message => ({ role: "assistant", tool_calls: calls });
const result = (content: string, more: Partial<Message> = {}): Message => ({ role: "tool", content, ...more });

/** The ids of calls, and those that results answer, in order. */
function linksOf(...messages: Message[]): (string | undefined)[] {
  return toChatMessages(messages, "m").flatMap(({ role, toolCalls = [], toolCallId }) => {
    return role === "tool" ? [toolCallId] : toolCalls.map(({ id }) => id);
  });
}

Deno.test("toChatMessages() writes arguments as JSON text, whatever form they came in", () => {
  const [message] = toChatMessages([assistant(call("a", { x: 1 }), call("b"), call("c", '{"y":2}'))], "m");
  assert.deepEqual(message!.toolCalls!.map((each) => each.arguments), ['{"x":1}', "{}", '{"y":2}']);
});

Deno.test("toChatMessages() matches results without ids by order", () => {
  assert.deepEqual(linksOf(assistant(call("a"), call("b")), result("1"), result("2")), [
    "call_0",
    "call_1",
    "call_0",
    "call_1",
  ]);
});

Deno.test("toChatMessages() matches results by the tool's name, the first call of a name first", () => {
  const calls = assistant(call("a"), call("b"), call("b"));
  const results = [result("1", { tool_name: "b" }), result("2", { name: "a" }), result("3", { tool_name: "b" })];
  assert.deepEqual(linksOf(calls, ...results).slice(3), ["call_1", "call_0", "call_2"]);
});

Deno.test("toChatMessages() keeps ids that clients send", () => {
  const calls = assistant(call("a", {}, "x"), call("b", {}, "y"));
  assert.deepEqual(linksOf(calls, result("2", { tool_call_id: "y" }), result("1")), ["x", "y", "y", "x"]);
});

Deno.test("toChatMessages() counts calls over the whole conversation, and forgets those without a result", () => {
  const turns = [assistant(call("a"), call("a")), result("1"), assistant(call("a")), result("2")];
  assert.deepEqual(linksOf(...turns), ["call_0", "call_1", "call_0", "call_2", "call_2"]);
});

Deno.test("toChatMessages() names the tool of a result by its call, and leaves alone what belongs to none", () => {
  const named = toChatMessages([assistant(call("a")), result("1"), result("2")], "m");
  assert.deepEqual(named.slice(1), [
    { role: "tool", content: "1", toolCallId: "call_0", toolName: "a" },
    { role: "tool", content: "2" },
  ]);
  assert.deepEqual(toChatMessages([result("1", { tool_call_id: "z", tool_name: "t" })], "m"), [
    { role: "tool", content: "1", toolCallId: "z", toolName: "t" },
  ]);
});

Deno.test("toChatMessages() passes thoughts on, and takes null for nothing", () => {
  const messages: Message[] = [
    { role: "assistant", content: "yes", thinking: "hm", tool_calls: null, images: null },
    { role: "user", content: null },
  ];
  assert.deepEqual(toChatMessages(messages, "m"), [
    { role: "assistant", content: "yes", reasoning: "hm" },
    { role: "user", content: "" },
  ]);
});
