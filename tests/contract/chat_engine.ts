import assert from "node:assert/strict";
import { type ChatEvent, type ChatRequest, Sampling } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import type { ChatEngine } from "../../lib/inference/engine.ts";
import { requestOf } from "../fixtures/chat_request.ts";

/** Makes a fresh engine with so many sequences of 1,024 tokens, over a model that was trained for 8,192. */
export type MakeEngine = (options: { sequences: number }) => ChatEngine;

const GREEDY = Sampling.parse({ temperature: 0 });
const never = new AbortController().signal;

function ask(part: Partial<ChatRequest>): ChatRequest {
  const raw = typeof part.prompt === "string" ? { messages: null } : {};
  return requestOf("Tell me about ravens.", { sampling: GREEDY, completionTokensMax: 16, ...raw, ...part });
}

async function collect(engine: ChatEngine, request: ChatRequest, signal = never): Promise<ChatEvent[]> {
  return await Array.fromAsync(engine.chat(request, signal));
}

function textOf(events: readonly ChatEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

async function awaitIdle(engine: ChatEngine): Promise<void> {
  for (let i = 0; (await engine.status()).active > 0; i++) {
    if (i === 500) assert.fail("the engine is still busy");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A raw prompt of about so many tokens, whatever a token is to this engine. */
async function makePrompt(engine: ChatEngine, tokens: number): Promise<string> {
  const ten = await engine.tokenize(ravens(10));
  return ravens(Math.floor(tokens / ten.length * 10));
}

function ravens(count: number): string {
  return Array(count).fill("raven").join(" ");
}

/** What every {@linkcode ChatEngine} promises, however its answers come about. */
export function testChatEngine(name: string, make: MakeEngine): void {
  testAnswers(name, make);
  testForgetting(name, make);
  testRefusals(name, make);
  testCancellation(name, make);
}

function testAnswers(name: string, make: MakeEngine): void {
  Deno.test(`${name} describes what it serves`, async () => {
    await using engine = make({ sequences: 2 });
    const model = await engine.describe();
    assert.deepEqual([model.contextTokensMax, model.sequences, model.contextTokensTrained], [1024, 2, 8192]);
    await collect(engine, ask({}));
    assert.equal((await engine.status()).state, "ready");
  });

  Deno.test(`${name} yields admitted, started, text and done, with tokens that add up`, async () => {
    await using engine = make({ sequences: 1 });
    const events = await collect(engine, ask({ completionTokensMax: 8 }));
    const [admitted, started] = events;
    const done = events.at(-1);
    assert.ok(admitted?.type === "admitted" && started?.type === "started" && done?.type === "done");
    assert.ok(events.slice(2, -1).every((event) => event.type === "text" && event.text !== ""));
    assert.deepEqual(done.usage, {
      promptTokens: admitted.promptTokens,
      cachedTokens: 0,
      completionTokens: 8,
      reasoningTokens: 0,
    });
    assert.equal(done.finishReason, "length");
    assert.deepEqual(await engine.tokenize(textOf(events)).then((tokens) => tokens.length), 8);
  });

  Deno.test(`${name} reuses the prefix of the owner's last turn and of nobody else's`, async () => {
    await using engine = make({ sequences: 1 });
    const prompt = "The raven sat on the old stone wall and looked at the river for a long time";
    await collect(engine, ask({ prompt }));
    const cached = async (owner: string) => {
      const done = (await collect(engine, ask({ owner, prompt: `${prompt}. Then it`, completionTokensMax: 4 }))).at(-1);
      assert.ok(done?.type === "done");
      return done.usage.cachedTokens;
    };
    assert.ok(await cached("local") >= 15);
    assert.equal(await cached("somebody-else"), 0);
  });

  Deno.test(`${name} stops before a stop text and shows none of it`, async () => {
    await using engine = make({ sequences: 1 });
    const prompt = Array(24).fill("raven river stone").join(" ");
    const events = await collect(engine, ask({ prompt, stop: ["iver sto"], completionTokensMax: 32 }));
    const done = events.at(-1);
    assert.ok(done?.type === "done");
    assert.deepEqual([textOf(events).trimStart(), done.finishReason], ["raven r", "stop"]);
  });
}

function testForgetting(name: string, make: MakeEngine): void {
  Deno.test(`${name} forgets an owner's conversations, and nobody else's`, async () => {
    await using engine = make({ sequences: 2 });
    const prompt = "The raven sat on the old stone wall and looked at the river for a long time";
    const cached = async (owner: string) => {
      const done = (await collect(engine, ask({ owner, prompt, completionTokensMax: 2 }))).at(-1);
      assert.ok(done?.type === "done");
      return done.usage.cachedTokens;
    };
    for (const owner of ["ada", "bob"]) await cached(owner);
    assert.ok(await cached("ada") >= 15);
    await engine.forget?.("ada");
    assert.equal(await cached("ada"), 0);
    assert.ok(await cached("bob") >= 15);
  });

  Deno.test(`${name} ends the answers of an owner who is forgotten, the waiting ones too, and nobody else's`, async () => {
    await using engine = make({ sequences: 2 });
    const started = Promise.withResolvers<void>();
    const endless = async (owner: string, controller = new AbortController()) => {
      for await (const event of engine.chat(ask({ owner, completionTokensMax: null }), controller.signal)) {
        if (event.type !== "text") continue;
        if (owner === "ada") started.resolve();
        else controller.abort();
      }
    };
    const answers = [endless("ada"), endless("ada"), endless("ada")].map((answer) => {
      return assert.rejects(answer, { code: "request_cancelled" });
    });
    await started.promise;
    const others = assert.rejects(endless("bob"), { code: "request_cancelled" });
    await engine.forget?.("ada");
    await Promise.all([...answers, others]);
    await awaitIdle(engine);
  });
}

function testRefusals(name: string, make: MakeEngine): void {
  Deno.test(`${name} refuses a prompt longer than the context with both numbers, before admitting it`, async () => {
    await using engine = make({ sequences: 1 });
    const events: ChatEvent[] = [];
    await assert.rejects(async () => {
      for await (const event of engine.chat(ask({ prompt: "raven ".repeat(2_000) }), never)) events.push(event);
    }, { code: "context_length_exceeded", message: / \d{4,} tokens.* 1024 / });
    assert.deepEqual(events, []);
  });

  Deno.test(`${name} ends with "length" when the context is full`, async () => {
    await using engine = make({ sequences: 1 });
    const prompt = await makePrompt(engine, 900);
    const tokens = (await engine.tokenize(prompt)).length;
    const done = (await collect(engine, ask({ prompt, completionTokensMax: null }))).at(-1);
    assert.ok(done?.type === "done");
    assert.deepEqual([done.finishReason, done.usage.completionTokens], ["length", 1024 - tokens]);
  });
}

function testCancellation(name: string, make: MakeEngine): void {
  Deno.test(`${name} ends an aborted answer with request_cancelled and frees its sequence`, async () => {
    await using engine = make({ sequences: 1 });
    const controller = new AbortController();
    await assert.rejects(async () => {
      for await (const event of engine.chat(ask({ completionTokensMax: null }), controller.signal)) {
        if (event.type === "text") controller.abort();
      }
    }, (error) => error instanceof DomainError && error.code === "request_cancelled");
    await awaitIdle(engine);
    assert.equal(textOf(await collect(engine, ask({}))).length > 0, true);
  });

  Deno.test(`${name} frees the sequence of an answer that nobody listens to any more`, async () => {
    await using engine = make({ sequences: 1 });
    for await (const event of engine.chat(ask({ completionTokensMax: null }), never)) if (event.type === "text") break;
    await awaitIdle(engine);
  });

  Deno.test(`${name} stops reading a long prompt soon after an abort`, async () => {
    await using engine = make({ sequences: 1 });
    const controller = new AbortController();
    const prompt = await makePrompt(engine, 900);
    await assert.rejects(async () => {
      for await (const event of engine.chat(ask({ prompt }), controller.signal)) {
        assert.notEqual(event.type, "text", "the prompt was read to its end");
        if (event.type === "started") controller.abort();
      }
    }, { code: "request_cancelled" });
    await awaitIdle(engine);
  });
}

/** What a {@linkcode ChatEngine} promises beside that when a real model, SmolLM2, answers. */
export function testModelEngine(name: string, make: MakeEngine): void {
  testConcurrency(name, make);

  Deno.test(`${name} draws a new seed for each request and repeats an answer for a given one`, async () => {
    await using engine = make({ sequences: 1 });
    const draw = async (seed: number | null) => {
      const sampling = Sampling.parse({ temperature: 1.5, topK: 0, topP: 1, minP: 0, seed });
      return textOf(await collect(engine, ask({ sampling })));
    };
    // A prompt that is cached is computed in other batches than one that is not, which changes rounding: both are cached.
    await draw(0);
    assert.equal(await draw(7), await draw(7));
    assert.notEqual(await draw(null), await draw(null));
  });

  Deno.test(`${name} goes on from the beginning of an answer as it would have by itself`, async () => {
    await using engine = make({ sequences: 1 });
    const question = {
      messages: [{ role: "user" as const, content: "Count from one to ten, in words." }],
      sampling: Sampling.parse({ temperature: 0 }),
      completionTokensMax: 24,
    };
    const whole = textOf(await collect(engine, ask(question)));
    const answerBeginning = whole.slice(0, whole.indexOf(" ", whole.length / 3));
    const rest = textOf(await collect(engine, ask({ ...question, answerBeginning })));
    assert.ok((answerBeginning + rest).startsWith(whole), `${answerBeginning} | ${rest}`);
    // What it goes on from is text, whatever is written in it.
    const special = await collect(engine, ask({ ...question, answerBeginning: "<|im_end|>", completionTokensMax: 1 }));
    const plain = await collect(engine, ask({ ...question, answerBeginning: "a", completionTokensMax: 1 }));
    const [long, short] = [special, plain].map(([admitted]) =>
      admitted?.type === "admitted" ? admitted.promptTokens : 0
    );
    assert.ok(long! > short! + 3, `${long} and ${short} tokens`);
  });

  Deno.test(`${name} takes special tokens that a user writes for plain text`, async () => {
    await using engine = make({ sequences: 1 });
    assert.equal((await engine.tokenize("ravens")).length < (await engine.tokenize("<|im_end|>")).length, true);
    const count = async (content: string) => {
      const [admitted] = await collect(engine, ask({ messages: [{ role: "user", content }], completionTokensMax: 1 }));
      return admitted?.type === "admitted" ? admitted.promptTokens : 0;
    };
    const extra = await count("a<|im_end|>b") - await count("ab");
    assert.ok(extra > 3, `${extra} tokens`);
  });
}

/** A prompt that counts has one plausible continuation, and a digit of another's count is foreign to it. */
function countFrom(first: number, count: number): string {
  return Array.from({ length: count }, (_, i) => `${first + i}`).join(", ") + ",";
}

function testConcurrency(name: string, make: MakeEngine): void {
  for (const sequences of [4, 8, 16]) {
    Deno.test(`${name} gives ${sequences} concurrent requests the answers that each gets alone`, async () => {
      await using engine = make({ sequences });
      // Lengths differ and requests outnumber sequences, so that prompts end while other answers run.
      const requests = Array.from({ length: 2 * sequences }, (_, i) =>
        ask({
          owner: `owner-${i}`,
          prompt: countFrom(110 + 100 * i, 6 + i * 5 % 9),
          completionTokensMax: 12 + i * 7 % 11,
        }));
      const alone: string[] = [];
      for (const request of requests) alone.push(textOf(await collect(engine, request)));
      const together = await Promise.all(requests.map((request) => collect(engine, request)));
      assert.deepEqual(together.map(textOf), alone);
      for (const [i, text] of alone.entries()) {
        assert.ok(text.startsWith(` ${countFrom(116 + 100 * i + i * 5 % 9, 2)}`), text);
      }
    });
  }
}
