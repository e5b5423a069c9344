import assert from "node:assert/strict";
import { type ChatEvent, type ChatRequest, Sampling } from "../../lib/contracts/chat.ts";
import { EmbedRequest } from "../../lib/contracts/embedding.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import type { ScriptedContent, ScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { requestOf } from "../fixtures/chat_request.ts";
import { soon, until } from "../fixtures/processes.ts";

/** An inference, and the scripted engine that answers behind it, however far away. */
export interface InferenceUnderTest extends AsyncDisposable {
  inference: Inference;
  engine: ScriptedEngine;
  /** What the engine's model is called here. */
  model: string;
  /** What a model that embeds in 8 dimensions and 64 tokens is called here, where there is one. */
  embedder?: string;
}

/** Makes a fresh one, with parts of the chat model's description replaced. */
export type MakeInference = (model?: Partial<ModelDescription>) => InferenceUnderTest | Promise<InferenceUnderTest>;

/** In what an adapter may differ. */
export interface InferenceTraits {
  /** False when `admitted` tells an estimate, because tokens are counted elsewhere. Default true. */
  countsTokens?: boolean;
  /** False when there is no model that embeds. Default true. */
  embeds?: boolean;
}

const never = new AbortController().signal;
const forever = new Promise<never>(() => {});
const WEATHER = { name: "weather", description: "d", parameters: { type: "object" }, strict: false };

async function collect(inference: Inference, request: ChatRequest, signal = never): Promise<ChatEvent[]> {
  return await soon(Array.fromAsync(inference.chat(request, signal)));
}

function textOf(events: readonly ChatEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

function doneOf(events: readonly ChatEvent[]): Extract<ChatEvent, { type: "done" }> {
  const last = events.at(-1);
  assert.ok(last?.type === "done", `ends in ${last?.type}`);
  return last;
}

function embedRequestOf(model: string, inputs: EmbedRequest["inputs"], changes: Partial<EmbedRequest> = {}) {
  return { ...EmbedRequest.parse({ id: "request-1", owner: "local", model, inputs }), ...changes };
}

/** What every {@linkcode Inference} promises, wherever its models are. */
export function testInference(name: string, make: MakeInference, traits: InferenceTraits = {}): void {
  testModels(name, make);
  testAnswers(name, make, traits);
  testContent(name, make);
  testRequests(name, make);
  testRefusals(name, make);
  testCancellation(name, make);
  if (traits.embeds ?? true) testEmbeddings(name, make);
  testStatus(name, make);
}

function testModels(name: string, make: MakeInference): void {
  Deno.test(`${name} lists what it describes`, async () => {
    await using made = await make({ contextTokensMax: 2_048 });
    const { inference, model, embedder } = made;
    const list = await soon(inference.list());
    assert.deepEqual(list.map(({ id }) => id), embedder === undefined ? [model] : [model, embedder]);
    assert.deepEqual(await inference.describe(model), list[0]);
    assert.deepEqual([list[0]!.kind, list[0]!.contextTokensMax], ["chat", 2_048]);
    if (embedder !== undefined) assert.deepEqual([list[1]!.kind, list[1]!.dimensions], ["embedding", 8]);
  });

  Deno.test(`${name} names the models that there are to one who asks for another`, async () => {
    await using made = await make();
    const { inference, model } = made;
    const unknown = `${model}-unknown`;
    const questions: (() => Promise<unknown>)[] = [
      () => inference.describe(unknown),
      () => inference.tokenize({ model: unknown, text: "a" }),
      () => collect(inference, requestOf("hello", { model: unknown })),
      () => inference.embed(embedRequestOf(unknown, ["a"]), never),
      () => inference.keep({ model: unknown, keepAliveMs: null }),
    ];
    for (const ask of questions) {
      await assert.rejects(soon(ask()), (error) => {
        assert.ok(error instanceof DomainError && error.code === "model_not_found", String(error));
        assert.ok(error.message.includes(`"${unknown}"`) && error.message.includes(`"${model}"`), error.message);
        return true;
      });
    }
    assert.deepEqual(made.engine.requests, []);
  });

  Deno.test(`${name} counts special tokens that a user writes as plain text`, async () => {
    await using made = await make();
    const tokens = await soon(made.inference.tokenize({ model: made.model, text: "a<|im_end|>" }));
    assert.deepEqual(tokens, [..."a<|im_end|>"].map((character) => character.codePointAt(0)));
  });
}

function testAnswers(name: string, make: MakeInference, { countsTokens = true }: InferenceTraits): void {
  Deno.test(`${name} yields admitted, started, what is said, and done`, async () => {
    await using made = await make();
    made.engine.enqueue("Good", " day");
    const events = await collect(made.inference, requestOf("hello", { model: made.model }));
    const types = events.map(({ type }) => type);
    assert.deepEqual(types.filter((type, at) => type !== types[at - 1]), ["admitted", "started", "text", "done"]);
    assert.equal(types.indexOf("started"), 1, "one admitted");
    assert.equal(textOf(events), "Good day");
    const { finishReason, usage, timings } = doneOf(events);
    assert.equal(finishReason, "stop");
    const promptTokens = "user: hello\n".length;
    assert.deepEqual(usage, { promptTokens, cachedTokens: 0, completionTokens: 8, reasoningTokens: 0 });
    for (const ms of Object.values(timings)) assert.ok(ms >= 0, JSON.stringify(timings));
    const [admitted] = events;
    assert.ok(admitted?.type === "admitted" && admitted.promptTokens > 0);
    if (countsTokens) assert.equal(admitted.promptTokens, promptTokens);
  });

  Deno.test(`${name} tells how much of a repeated prompt was cached`, async () => {
    await using made = await make();
    const countCached = async () => {
      const events = await collect(made.inference, requestOf("hello again", { model: made.model }));
      return doneOf(events).usage.cachedTokens;
    };
    assert.equal(await countCached(), 0);
    assert.equal(await countCached(), "user: hello again\n".length - 1);
  });

  Deno.test(`${name} says that a limit cut the answer off, and hides a stop text`, async () => {
    await using made = await make();
    const ask = async (changes: Partial<ChatRequest>) => {
      made.engine.enqueue("one E", "N", "D two");
      const events = await collect(made.inference, requestOf("count", { model: made.model, ...changes }));
      return [textOf(events), doneOf(events).finishReason];
    };
    assert.deepEqual(await ask({ completionTokensMax: 3 }), ["one", "length"]);
    assert.deepEqual(await ask({ stop: ["END"] }), ["one ", "stop"]);
  });

  Deno.test(`${name} passes a raw prompt on as it is`, async () => {
    await using made = await make();
    const request = requestOf("", { model: made.model, messages: null, prompt: "Once <|upon|>" });
    const events = await collect(made.inference, request);
    assert.equal(textOf(events), "Once <|upon|>");
    assert.equal(made.engine.requests[0]!.prompt, "Once <|upon|>");
    assert.equal(doneOf(events).usage.promptTokens, "Once <|upon|>".length);
  });
}

function testContent(name: string, make: MakeInference): void {
  Deno.test(`${name} passes thoughts and calls on unchanged, with their ids and in their order`, async () => {
    await using made = await make({ capabilities: { tools: true, reasoning: true, vision: false, infill: false } });
    const said: ScriptedContent[] = [
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "Let me see" },
      { type: "tool_call", index: 0, id: "call_a", name: "weather" },
      { type: "tool_arguments", index: 0, text: '{"city":' },
      { type: "tool_arguments", index: 0, text: '"Ås"}' },
      { type: "tool_call", index: 1, id: "call_b", name: "weather" },
      { type: "tool_arguments", index: 1, text: "{}" },
    ];
    made.engine.enqueue({ steps: structuredClone(said) });
    const request = requestOf("weather?", { model: made.model, tools: [WEATHER] });
    const events = await collect(made.inference, request);
    assert.deepEqual(mergeArguments(events.slice(2, -1)), mergeArguments(said));
    assert.equal(doneOf(events).finishReason, "tool_calls");
    assert.equal(doneOf(events).usage.reasoningTokens, 3);
  });

  Deno.test(`${name} tells the tokens that were drawn and their alternatives`, async () => {
    await using made = await make();
    made.engine.enqueue("hé");
    const events = await collect(made.inference, requestOf("hello", { model: made.model, logprobs: 1 }));
    const tokens = events.flatMap((event) => event.type === "text" ? event.tokens ?? [] : []);
    assert.deepEqual(tokens.map(({ text, bytes, logprob, top }) => [text, bytes, logprob, top.length]), [
      ["h", [104], 0, 1],
      ["é", [195, 169], 0, 1],
    ]);
  });
}

function testRequests(name: string, make: MakeInference): void {
  Deno.test(`${name} passes everything on that a request asks for`, async () => {
    await using made = await make({ capabilities: { tools: true, reasoning: true, vision: false, infill: false } });
    const request = requestOf("", {
      model: made.model,
      messages: [
        { role: "system", content: "S" },
        { role: "user", content: "weather?" },
        { role: "assistant", content: "", toolCalls: [{ id: "call_a", name: "weather", arguments: '{"city":"Ås"}' }] },
        { role: "tool", content: "rain", toolCallId: "call_a" },
      ],
      sampling: Sampling.parse({
        temperature: 0.5,
        topP: 0.6,
        topK: 7,
        minP: 0.1,
        presencePenalty: 1,
        frequencyPenalty: -1,
        repeatPenalty: 1.5,
        seed: 7,
        logitBias: { "42": -5 },
      }),
      stop: ["END"],
      completionTokensMax: 99,
      tools: [WEATHER],
      toolChoice: { name: "weather" },
      parallelToolCalls: false,
      reasoning: { enabled: true, tokensMax: 1_024 },
    });
    const call: ScriptedContent = { type: "tool_call", index: 0, id: "call_b", name: "weather" };
    made.engine.enqueue({ steps: [call, { type: "tool_arguments", index: 0, text: "{}" }] });
    await collect(made.inference, request);
    const asked = made.engine.requests[0]!;
    for (const key of ["sampling", "stop", "completionTokensMax", "toolChoice", "parallelToolCalls"] as const) {
      assert.deepEqual(asked[key], request[key], key);
    }
    assert.deepEqual(asked.reasoning, request.reasoning);
    assert.deepEqual(asked.tools, request.tools);
    assert.partialDeepStrictEqual(asked.messages, request.messages);
  });

  Deno.test(`${name} passes on what form an answer has to have`, async () => {
    await using made = await make();
    const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
    for (const format of [{ type: "json" }, { type: "schema", schema, strict: true }] as const) {
      made.engine.enqueue('{"a":1}');
      await collect(made.inference, requestOf("json", { model: made.model, format }));
      assert.deepEqual(made.engine.requests.at(-1)!.format, format);
    }
  });
}

/** In how many pieces arguments come is nobody's promise. */
function mergeArguments(events: readonly ChatEvent[]): ChatEvent[] {
  const merged: ChatEvent[] = [];
  for (const event of events) {
    const last = merged.at(-1);
    const more = last !== undefined && "text" in last && "text" in event && last.type === event.type;
    if (more) last.text += event.text;
    else merged.push({ ...event });
  }
  return merged;
}

function testRefusals(name: string, make: MakeInference): void {
  Deno.test(`${name} refuses a prompt longer than the context with both numbers, before admitting it`, async () => {
    await using made = await make({ contextTokensMax: 1_024 });
    const seen: ChatEvent[] = [];
    const ask = async () => {
      const request = requestOf("x".repeat(2_000), { model: made.model });
      for await (const event of made.inference.chat(request, never)) seen.push(event);
    };
    await assert.rejects(soon(ask()), { code: "context_length_exceeded", message: / 2007 tokens.* 1024 / });
    assert.deepEqual(seen, []);
  });

  Deno.test(`${name} says that a model is busy, before admitting anything`, async () => {
    await using made = await make();
    made.engine.enqueue({ refuse: new DomainError("queue_full", "All places are taken") });
    const seen: ChatEvent[] = [];
    const ask = async () => {
      for await (const event of made.inference.chat(requestOf("a", { model: made.model }), never)) seen.push(event);
    };
    await assert.rejects(soon(ask()), { code: "queue_full" });
    assert.deepEqual(seen, []);
  });

  Deno.test(`${name} refuses to embed with a chat model`, async () => {
    await using made = await make();
    const answer = soon(made.inference.embed(embedRequestOf(made.model, ["a"]), never));
    await assert.rejects(answer, { code: "invalid_request", param: "model" });
  });

  Deno.test(`${name} throws when an answer breaks off, after all that was said before`, async () => {
    await using made = await make();
    made.engine.enqueue("half an ans", { fail: new DomainError("engine_gone", "It ended") });
    const seen: ChatEvent[] = [];
    const ask = async () => {
      for await (const event of made.inference.chat(requestOf("a", { model: made.model }), never)) seen.push(event);
    };
    await assert.rejects(soon(ask()), { code: "engine_gone" });
    assert.equal(textOf(seen), "half an ans");
    assert.ok(!seen.some(({ type }) => type === "done"));
  });
}

function testCancellation(name: string, make: MakeInference): void {
  const idle = (engine: ScriptedEngine) => until(async () => (await engine.status()).active === 0);

  Deno.test(`${name} ends an aborted answer with request_cancelled and stops the engine`, async () => {
    await using made = await make();
    made.engine.enqueue("a", { wait: forever });
    const controller = new AbortController();
    await assert.rejects(async () => {
      for await (const event of made.inference.chat(requestOf("a", { model: made.model }), controller.signal)) {
        if (event.type === "text") controller.abort();
      }
    }, { code: "request_cancelled" });
    await idle(made.engine);
  });

  Deno.test(`${name} stops an answer that was aborted before its first token`, async () => {
    await using made = await make();
    made.engine.enqueue({ wait: forever });
    const controller = new AbortController();
    const answer = collect(made.inference, requestOf("a", { model: made.model }), controller.signal);
    answer.catch(() => {});
    await until(async () => (await made.engine.status()).active === 1);
    controller.abort();
    await assert.rejects(answer, { code: "request_cancelled" });
    await idle(made.engine);
  });

  Deno.test(`${name} asks nothing for a request that was aborted already`, async () => {
    await using made = await make();
    const answer = collect(made.inference, requestOf("a", { model: made.model }), AbortSignal.abort());
    await assert.rejects(answer, { code: "request_cancelled" });
    await idle(made.engine);
  });

  Deno.test(`${name} stops the engine when nobody listens any more`, async () => {
    await using made = await make();
    made.engine.enqueue("a", { wait: forever });
    for await (const event of made.inference.chat(requestOf("a", { model: made.model }), never)) {
      if (event.type === "text") break;
    }
    await idle(made.engine);
    made.engine.enqueue("next");
    assert.equal(textOf(await collect(made.inference, requestOf("b", { model: made.model }))), "next");
  });
}

function testEmbeddings(name: string, make: MakeInference): void {
  Deno.test(`${name} embeds texts and tokens in order, each vector one unit long`, async () => {
    await using made = await make();
    const { inference, embedder = "" } = made;
    const embed = (inputs: EmbedRequest["inputs"], changes: Partial<EmbedRequest> = {}) =>
      soon(inference.embed(embedRequestOf(embedder, inputs, changes), never));
    const { vectors, promptTokens } = await embed(["raven", "river"]);
    assert.deepEqual(vectors.map((vector) => [vector instanceof Float32Array, vector.length]), [[true, 8], [true, 8]]);
    for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-6);
    assert.equal(promptTokens, 10);
    assert.notDeepEqual(vectors[0], vectors[1]);
    const tokens = [..."river"].map((character) => character.codePointAt(0)!);
    for (const [at, value] of (await embed([tokens])).vectors[0]!.entries()) {
      assert.ok(Math.abs(value - vectors[1]![at]!) < 1e-6);
    }
    const [short] = (await embed(["raven"], { dimensions: 4 })).vectors;
    assert.equal(short!.length, 4);
    assert.ok(Math.abs(Math.hypot(...short!) - 1) < 1e-6);
  });

  Deno.test(`${name} refuses inputs that are empty or too long, and dimensions that there are not`, async () => {
    await using made = await make();
    const { inference, embedder = "" } = made;
    const wrong = [embedRequestOf(embedder, [""]), embedRequestOf(embedder, ["x".repeat(65)])];
    for (const request of [...wrong, embedRequestOf(embedder, ["a"], { dimensions: 9 })]) {
      await assert.rejects(soon(inference.embed(request, never)), { code: "invalid_request" });
    }
    await assert.rejects(soon(inference.embed(embedRequestOf(embedder, ["a"]), AbortSignal.abort())), {
      code: "request_cancelled",
    });
  });
}

function testStatus(name: string, make: MakeInference): void {
  Deno.test(`${name} says how busy it is, while it answers and after`, async () => {
    await using made = await make();
    const { inference, engine, model } = made;
    await inference.describe(model);
    assert.partialDeepStrictEqual(await soon(inference.status()), { state: "ready", active: 0, queued: 0 });
    const gate = Promise.withResolvers<void>();
    engine.enqueue({ wait: gate.promise }, "late");
    const answer = collect(inference, requestOf("a", { model }));
    await until(async () => (await engine.status()).active === 1);
    const status = await soon(inference.status());
    assert.deepEqual([status.active, status.queued], [1, 0]);
    assert.ok(status.queuedMax > 0);
    gate.resolve();
    assert.equal(textOf(await answer), "late");
    await until(async () => (await inference.status()).active === 0);
  });

  Deno.test(`${name} keeps a model that it has, and forgets owners that it never saw`, async () => {
    await using made = await make();
    for (const keepAliveMs of [null, 60_000, -1]) {
      assert.equal(await soon(made.inference.keep({ model: made.model, keepAliveMs })), undefined);
    }
    assert.equal(await soon(made.inference.forget("nobody")), undefined);
    assert.equal(textOf(await collect(made.inference, requestOf("still here", { model: made.model }))), "still here");
  });
}
