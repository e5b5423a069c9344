import assert from "node:assert/strict";
import type { ChatMessage } from "../contracts/chat.ts";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { listPrefixes, PrefixMemory } from "./prefix_memory.ts";

function conversation(...contents: string[]): ChatMessage[] {
  return contents.map((content, at) => ({ role: at % 2 === 0 ? "user" : "assistant", content }));
}

function prefixesOf(messages: ChatMessage[], changes: Parameters<typeof requestOf>[1] = {}) {
  return listPrefixes(requestOf("", { messages, ...changes }));
}

Deno.test("A longer conversation, another branch and a regenerated answer are known by what they share", () => {
  const memory = new PrefixMemory(100);
  memory.remember("local", prefixesOf(conversation("one", "two", "three")));
  const known = (...contents: string[]) => memory.measure(prefixesOf(conversation(...contents)));
  const sizeOf = (...contents: string[]) => JSON.stringify(conversation(...contents)).length - contents.length - 1;
  assert.equal(known("other", "two", "three"), 0);
  assert.equal(known("one"), sizeOf("one"));
  assert.equal(known("one", "other", "three"), sizeOf("one", "other"), "an answer was written there, if not this one");
  assert.equal(known("one", "two", "other"), sizeOf("one", "two"));
  assert.equal(known("one", "two", "three"), sizeOf("one", "two", "three"));
  assert.equal(known("one", "two", "three", "four", "five"), sizeOf("one", "two", "three", "four"));
});

Deno.test("Another owner's, another model's or differently equipped conversations share nothing", () => {
  const memory = new PrefixMemory(100);
  const messages = conversation("one", "two", "three");
  memory.remember("local", prefixesOf(messages));
  const tools = [{ name: "t", description: "", parameters: true, strict: false }];
  for (const changes of [{ owner: "somebody-else" }, { model: "another" }, { tools }]) {
    assert.equal(memory.measure(prefixesOf(messages, changes)), 0, JSON.stringify(changes));
  }
  assert.ok(memory.measure(prefixesOf(messages)) > 0);
});

Deno.test("Where one message ends and the next begins makes a difference", () => {
  const memory = new PrefixMemory(100);
  memory.remember("local", prefixesOf(conversation("ab", "c")));
  assert.equal(memory.measure(prefixesOf(conversation("a", "bc"))), 0);
});

Deno.test("Raw prompts are known by their beginning, piece by piece", () => {
  const memory = new PrefixMemory(100);
  const prefixesOfPrompt = (prompt: string) => listPrefixes(requestOf("", { messages: null, prompt }));
  memory.remember("local", prefixesOfPrompt("a".repeat(3_000)));
  assert.equal(memory.measure(prefixesOfPrompt("a".repeat(2_500) + "b")), 2_048);
  assert.equal(memory.measure(prefixesOfPrompt("b".repeat(3_000))), 0);
  assert.deepEqual(prefixesOfPrompt(""), []);
});

Deno.test("What was not seen for longest is forgotten first, and an owner's all at once", () => {
  const memory = new PrefixMemory(2);
  const [a, b, c] = ["a", "b", "c"].map((content) => prefixesOf(conversation(content)));
  memory.remember("local", a!);
  memory.remember("local", b!);
  memory.remember("local", a!);
  memory.remember("local", c!);
  assert.deepEqual([a, b, c].map((prefixes) => memory.measure(prefixes!) > 0), [true, false, true]);
  const others = prefixesOf(conversation("d"), { owner: "somebody-else" });
  memory.remember("somebody-else", others);
  memory.forget("local");
  assert.deepEqual([c, others].map((prefixes) => memory.measure(prefixes!) > 0), [false, true]);
});
