import assert from "node:assert/strict";
import type { MessageType } from "../contracts/conversation.ts";
import { CONTEXT_MESSAGES_MAX, toContext } from "./context.ts";

function row(message_type: MessageType, content: string, rest: object = {}) {
  return { message_type, content, reasoning: null, tool_calls: null, tool_call_id: null, ...rest };
}

Deno.test("A model is told of what was said, thought, called and returned, but not of notes and images", () => {
  const calls = [{ id: "c1", name: "clock", arguments: "{}" }];
  const context = toContext([
    row("system", "Be brief."),
    row("user", "What time is it?"),
    row("note", "For myself"),
    row("assistant", "", { tool_calls: calls, reasoning: "I have a clock." }),
    row("tool", "12:00", { tool_call_id: "c1" }),
    row("image", "blob"),
    row("assistant", "Noon."),
  ]);
  assert.deepEqual(context, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "What time is it?" },
    { role: "assistant", content: "", reasoning: "I have a clock.", toolCalls: calls },
    { role: "tool", content: "12:00", toolCallId: "c1" },
    { role: "assistant", content: "Noon." },
  ]);
});

Deno.test("The last summary stands for everything before it", () => {
  const context = toContext([row("user", "a"), row("summary", "ab"), row("summary", "abc"), row("user", "d")]);
  assert.deepEqual(context.map(({ role, content }) => [role, content]), [["system", "abc"], ["user", "d"]]);
});

Deno.test("An answer that came to nothing says nothing", () => {
  assert.deepEqual(toContext([row("user", "a"), row("assistant", "", { reasoning: "hm" })]), [
    { role: "user", content: "a" },
  ]);
});

Deno.test("A branch that holds too much, or nothing, is refused with what to do", () => {
  const many = Array.from({ length: CONTEXT_MESSAGES_MAX + 1 }, () => row("user", "a"));
  assert.throws(() => toContext(many), {
    code: "context_length_exceeded",
    message: /has 10001 messages.*at most 10000/,
  });
  assert.throws(() => toContext([row("note", "a")]), { code: "invalid_request" });
});
