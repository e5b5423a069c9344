import assert from "node:assert/strict";
import { type MakeEngine, testChatEngine, testModelEngine } from "../../tests/contract/chat_engine.ts";
import { FAST_PREFILL, modelFile, rawRequest, settingsOf } from "../../tests/fixtures/llama_engine.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import { type ChatEvent, Sampling } from "../contracts/chat.ts";
import type { Calibration } from "../contracts/worker.ts";
import { createLlamaEngine } from "./llama_engine.ts";

skipUnless(testModel("smollm2-135m"), "LlamaEngine on SmolLM2", (path) => {
  const make: MakeEngine = ({ sequences }) => createLlamaEngine(settingsOf(path, { sequences }));
  testChatEngine("LlamaEngine", make);
  testModelEngine("LlamaEngine", make);

  Deno.test("LlamaEngine counts and admits a request while the weights are still being loaded", async () => {
    const order: string[] = [];
    await using engine = createLlamaEngine(settingsOf(path, { threads: null }), { onReady: () => order.push("ready") });
    assert.equal((await engine.describe()).contextTokensMax, 1_024);
    order.push("described");
    for await (const event of engine.chat(rawRequest("Hello"), new AbortController().signal)) order.push(event.type);
    assert.deepEqual(order.slice(0, 4), ["described", "admitted", "ready", "started"]);
    assert.equal(order.at(-1), "done");
  });

  Deno.test("LlamaEngine measures its threads when nobody remembers them, and says what it found", async () => {
    const found = Promise.withResolvers<Calibration>();
    await using _engine = createLlamaEngine(settingsOf(path, { threads: null }), { onCalibrated: found.resolve });
    const { threads: plan } = await found.promise;
    for (const threads of Object.values(plan)) assert.ok(threads >= 1 && threads <= navigator.hardwareConcurrency);
  });

  Deno.test("LlamaEngine serves the last token of a context that is no multiple of llama.cpp's steps", async () => {
    await using engine = createLlamaEngine(settingsOf(path, { contextTokens: 300, sequences: 3 }));
    assert.equal((await engine.describe()).contextTokensMax, 300);
    // Each digit is a token.
    const ask = (digits: number) => {
      const chat = rawRequest("7".repeat(digits), { completionTokensMax: null });
      return Array.fromAsync(engine.chat(chat, new AbortController().signal));
    };
    const done = (await ask(299)).at(-1);
    assert.ok(done?.type === "done");
    assert.deepEqual([done.finishReason, done.usage.promptTokens, done.usage.completionTokens], ["length", 299, 1]);
    await assert.rejects(ask(300), { code: "context_length_exceeded", message: / 300 tokens.* 300 / });
  });

  Deno.test("LlamaEngine counts penalties over the tokens of the answer alone", async () => {
    await using engine = createLlamaEngine(settingsOf(path));
    const answer = async (repeatPenalty: number) => {
      const sampling = Sampling.parse({ temperature: 0, repeatPenalty });
      const chat = rawRequest(Array(24).fill("raven river stone").join(" "), { sampling, completionTokensMax: 12 });
      const events = await Array.fromAsync(engine.chat(chat, new AbortController().signal));
      return await engine.tokenize(events.map((event) => event.type === "text" ? event.text : "").join(""));
    };
    const [free, penalised] = [await answer(1), await answer(10)];
    assert.ok(new Set(free).size < free.length, "without a penalty the answer repeats itself as the prompt does");
    assert.equal(new Set(penalised).size, penalised.length);
    assert.equal(penalised[0], free[0], "the tokens of the prompt are not held against the answer");
  });

  Deno.test("LlamaEngine refuses a model that does not fit, with both numbers, for every call", async () => {
    const { model } = settingsOf(path);
    const fatal = Promise.withResolvers<string>();
    await using engine = createLlamaEngine(
      settingsOf(path, { model: { ...model, sizeBytes: 1e15 } }),
      { onFatal: (error) => fatal.resolve(error.code) },
    );
    const refusal = { code: "not_enough_memory", message: /needs 1000000\.\d GB and \d+\.\d GB can be used/ };
    await assert.rejects(engine.describe(), refusal);
    await assert.rejects(Array.fromAsync(engine.chat(rawRequest("Hello"), new AbortController().signal)), refusal);
    assert.equal(await fatal.promise, "not_enough_memory");
    assert.equal((await engine.status()).state, "gone");
  });
});

skipUnless(testModel("gemma-3-270m"), "LlamaEngine on Gemma", (path) => {
  Deno.test("LlamaEngine gives a model with a sliding window the same answer from its cache", async () => {
    const settings = settingsOf(path, {
      model: modelFile(path, { contextTokensTrained: 32_768 }),
      contextTokens: 2_048,
      threads: FAST_PREFILL,
    });
    await using engine = createLlamaEngine(settings);
    const answer = async (prompt: string) => {
      const events: ChatEvent[] = await Array.fromAsync(engine.chat(rawRequest(prompt), new AbortController().signal));
      const text = events.map((event) => event.type === "text" ? event.text : "").join("");
      const done = events.at(-1);
      return { text, cached: done?.type === "done" ? done.usage.cachedTokens : -1 };
    };
    const story = Array(80).fill("The raven counts: one, two, three, four.").join(" ");
    const first = await answer(story);
    assert.equal(first.cached, 0);
    const next = `${story}${first.text}`;
    const cached = await answer(next);
    assert.ok(cached.cached > 0, "the end of the conversation is continued");
    const cut = await answer(story.slice(0, 400));
    assert.equal(cut.cached, 0, "a prefix whose window is gone is read again");
    assert.equal((await answer(next)).text, cached.text);
  });
});

Deno.test("LlamaEngine says which file cannot be loaded", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    await using engine = createLlamaEngine(settingsOf(path));
    await assert.rejects(engine.describe(), {
      code: "engine_unavailable",
      message: /^Cannot load model "test-model": llama\.cpp does not take it; .*models verify test-model/,
    });
  } finally {
    await Deno.remove(path);
  }
});
