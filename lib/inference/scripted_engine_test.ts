import assert from "node:assert/strict";
import { testChatEngine } from "../../tests/contract/chat_engine.ts";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import type { ChatEvent } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { createScriptedEngine } from "./scripted_engine.ts";

const never = new AbortController().signal;

async function collect(events: AsyncIterable<ChatEvent>): Promise<{ text: string; events: ChatEvent[] }> {
  const all = await Array.fromAsync(events);
  return { events: all, text: all.map((event) => event.type === "text" ? event.text : "").join("") };
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof DomainError && error.code === code;
}

testChatEngine("A scripted engine", ({ sequences }) => {
  return createScriptedEngine({ model: { contextTokensMax: 1_024, sequences } });
});

Deno.test("A scripted engine says what was enqueued, reply by reply, then repeats what it hears", async () => {
  await using engine = createScriptedEngine();
  engine.enqueue("Hello", " you");
  engine.enqueue({ steps: ["Bye"] });
  assert.equal((await collect(engine.chat(requestOf("hi"), never))).text, "Hello you");
  assert.equal((await collect(engine.chat(requestOf("hi"), never))).text, "Bye");
  assert.equal((await collect(engine.chat(requestOf("hi"), never))).text, "hi");
  assert.equal(engine.requests.length, 3);
});

Deno.test("A scripted engine's events come in the port's order and count characters", async () => {
  await using engine = createScriptedEngine();
  const { events } = await collect(engine.chat(requestOf("hi"), never));
  assert.deepEqual(events.map(({ type }) => type), ["admitted", "started", "text", "text", "done"]);
  const done = events.at(-1);
  assert.ok(done?.type === "done");
  assert.deepEqual(done.usage, {
    promptTokens: "user: hi\n".length,
    cachedTokens: 0,
    completionTokens: 2,
    reasoningTokens: 0,
  });
});

Deno.test("A scripted engine fails where it is told to", async () => {
  await using engine = createScriptedEngine();
  engine.enqueue({ refuse: new DomainError("invalid_request", "No") });
  await assert.rejects(collect(engine.chat(requestOf("hi"), never)), hasCode("invalid_request"));
  engine.enqueue("so far", { fail: new DomainError("engine_gone", "It ended") });
  const seen: ChatEvent[] = [];
  const failing = async () => {
    for await (const event of engine.chat(requestOf("hi"), never)) seen.push(event);
  };
  await assert.rejects(failing(), hasCode("engine_gone"));
  assert.deepEqual(seen.at(-1), { type: "text", text: "so far" });
  engine.state = "gone";
  await assert.rejects(collect(engine.chat(requestOf("hi"), never)), hasCode("engine_gone"));
});

Deno.test("A scripted engine keeps to limits and stop texts", async () => {
  await using engine = createScriptedEngine({ model: { contextTokensMax: 20 } });
  const limited = await collect(engine.chat(requestOf("abcdef", { completionTokensMax: 3 }), never));
  assert.equal(limited.text, "abc");
  assert.partialDeepStrictEqual(limited.events.at(-1), { finishReason: "length" });

  engine.enqueue("x".repeat(100));
  const clamped = await collect(engine.chat(requestOf("abcdef"), never));
  assert.equal(clamped.text.length, 20 - "user: abcdef\n".length);

  engine.enqueue("one E", "ND two");
  const stopped = await collect(engine.chat(requestOf("", { stop: ["END"] }), never));
  assert.equal(stopped.text, "one ");
  assert.partialDeepStrictEqual(stopped.events.at(-1), { finishReason: "stop" });

  const long = collect(engine.chat(requestOf("x".repeat(30)), never));
  await assert.rejects(long, (error: DomainError) => /37 tokens.* 20 /.test(error.message));
});

Deno.test("A scripted engine replays thoughts and calls, counts them, and finishes by tool_calls", async () => {
  await using engine = createScriptedEngine();
  const steps = [
    { type: "reasoning", text: "Hm" },
    { type: "text", text: "So: " },
    { type: "tool_call", index: 0, id: "call_1", name: "read" },
    { type: "tool_arguments", index: 0, text: '{"a":1}' },
  ] as const;
  engine.enqueue(...steps);
  const { events } = await collect(engine.chat(requestOf("hi"), never));
  assert.deepEqual(events.slice(2, -1), steps);
  assert.partialDeepStrictEqual(events.at(-1), {
    finishReason: "tool_calls",
    usage: { completionTokens: 13, reasoningTokens: 2 },
  });
  engine.enqueue(...steps);
  const cut = await collect(engine.chat(requestOf("hi", { completionTokensMax: 8 }), never));
  assert.deepEqual(cut.events.at(-2), { type: "tool_arguments", index: 0, text: '{"' });
  assert.partialDeepStrictEqual(cut.events.at(-1), { finishReason: "length", usage: { completionTokens: 8 } });
});

Deno.test("A scripted engine tells tokens when it is asked for them: those of the script, or its characters", async () => {
  await using engine = createScriptedEngine();
  const tokens = [{ text: "Hi", bytes: [72, 105], logprob: -0.5, top: [] }];
  const textsOf = async (logprobs: number | null) => {
    engine.enqueue({ type: "text", text: "Hi", tokens }, "!");
    const { events } = await collect(engine.chat(requestOf("hi", { logprobs }), never));
    return events.slice(2, -1);
  };
  const mark = { text: "!", bytes: [33], logprob: 0 };
  assert.deepEqual(await textsOf(1), [
    { type: "text", text: "Hi", tokens },
    { type: "text", text: "!", tokens: [{ ...mark, top: [mark] }] },
  ]);
  assert.deepEqual(await textsOf(null), [{ type: "text", text: "Hi" }, { type: "text", text: "!" }]);
});

Deno.test("A scripted engine reuses the common prefix of the same owner alone", async () => {
  await using engine = createScriptedEngine();
  const cached = async (content: string, owner: string) => {
    const { events } = await collect(engine.chat(requestOf(content, { owner }), never));
    return events.find((event) => event.type === "started")?.cachedTokens;
  };
  assert.equal(await cached("abc", "ann"), 0);
  assert.equal(await cached("abd", "bob"), 0);
  assert.equal(await cached("abe", "ann"), "user: ab".length);
});

Deno.test("A scripted engine queues what it has no place for, up to its bound", async () => {
  await using engine = createScriptedEngine({ model: { sequences: 1 }, queuedMax: 1 });
  const gate = Promise.withResolvers<void>();
  engine.enqueue({ wait: gate.promise }, "first");
  const first = collect(engine.chat(requestOf("1"), never));
  const second = collect(engine.chat(requestOf("2"), never));
  await assert.rejects(collect(engine.chat(requestOf("3"), never)), hasCode("queue_full"));
  assert.partialDeepStrictEqual(await engine.status(), { active: 1, queued: 1, queuedMax: 1 });
  gate.resolve();
  assert.equal((await first).text, "first");
  assert.equal((await second).text, "2");
  await engine.idle();
  assert.partialDeepStrictEqual(await engine.status(), { active: 0, queued: 0 });
});

Deno.test("A scripted engine ends an aborted answer at once and frees its place, also in the queue", async () => {
  await using engine = createScriptedEngine({ model: { sequences: 1 } });
  const forever = new Promise(() => {});
  engine.enqueue("a", { wait: forever });
  const running = new AbortController();
  const waiting = new AbortController();
  const first = collect(engine.chat(requestOf("1"), running.signal));
  const second = collect(engine.chat(requestOf("2"), waiting.signal));
  waiting.abort();
  await assert.rejects(second, hasCode("request_cancelled"));
  running.abort();
  await assert.rejects(first, hasCode("request_cancelled"));
  await engine.idle();
  assert.partialDeepStrictEqual(await engine.status(), { active: 0, queued: 0 });
});

Deno.test("A scripted engine frees the place of a reader that leaves", async () => {
  await using engine = createScriptedEngine();
  for await (const event of engine.chat(requestOf("abc"), never)) {
    if (event.type === "text") break;
  }
  assert.equal((await engine.status()).active, 0);
  assert.equal(engine.charactersTaken, 1);
});

Deno.test("A scripted engine that is disposed of ends what it holds with engine_gone", async () => {
  const engine = createScriptedEngine();
  engine.enqueue({ wait: new Promise(() => {}) });
  const answer = collect(engine.chat(requestOf("1"), never));
  await Promise.all([engine[Symbol.asyncDispose](), assert.rejects(answer, hasCode("engine_gone"))]);
});
