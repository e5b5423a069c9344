import assert from "node:assert/strict";
import { testInference } from "../../tests/contract/inference.ts";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { modelOf, PoolBench, settle } from "../../tests/fixtures/pool_bench.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { ModelPool } from "./model_pool.ts";

const never = new AbortController().signal;

function embedWith(model: string): EmbedRequest {
  return EmbedRequest.parse({ id: "r", owner: "local", model, inputs: ["a", "b"] });
}

/** Scripted models behind a pool, the chat model loaded. */
async function openScripted(part: Partial<ModelDescription> = {}) {
  const scripted = new ScriptedInference({ model: part });
  const { engine } = scripted;
  const descriptions = await scripted.list();
  const find = (id: string) => descriptions.find((model) => model.id === id)!;
  const pool = new ModelPool({
    models: descriptions.map(({ id, kind }) => modelOf(id, 10, { kind })),
    defaultModelId: "scripted",
    memoryBytesMax: 100,
    keepAliveMs: 300_000,
    queuedMax: 64,
    plan: ({ id }) => Promise.resolve({ description: find(id), memoryBytes: 10 }),
    inspect: () => Promise.resolve(),
    openChat: (_model, hooks) => {
      queueMicrotask(() => hooks.onReady());
      return engine;
    },
    openEmbedding: ({ id }, hooks) => {
      queueMicrotask(() => hooks.onReady());
      return {
        describe: () => Promise.resolve(find(id)),
        tokenize: (text) => engine.tokenize(text),
        status: () => Promise.resolve({ state: "ready", active: 0, queued: 0, queuedMax: 64, rssBytes: 1 }),
        embed: (request, signal) => scripted.embed(request, signal),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    },
  });
  await pool.keep({ model: "scripted", keepAliveMs: null });
  return { pool, engine };
}

testInference("A pool", async (part) => {
  const { pool, engine } = await openScripted(part);
  const dispose = () => pool[Symbol.asyncDispose]();
  return { inference: pool, engine, model: "scripted", embedder: "scripted-embedder", [Symbol.asyncDispose]: dispose };
});

Deno.test("ModelPool lists every model without loading one, the default first", async () => {
  const bench = new PoolBench([modelOf("b", 10), modelOf("a", 10), modelOf("c", 10)], { defaultModelId: "a" });
  assert.deepEqual((await bench.pool.list()).map(({ id }) => id), ["a", "b", "c"]);
  assert.equal((await bench.pool.describe("c")).contextTokensMax, 1_024);
  assert.deepEqual(bench.steps, []);
  assert.equal(bench.planned, 3, "a plan is kept");
  assert.equal((await bench.pool.status()).state, "loading");
});

Deno.test("ModelPool loads what is asked for, once, and answers with it", async () => {
  const bench = new PoolBench([modelOf("a", 40), modelOf("b", 40)]);
  const answers = await Promise.all([bench.ask("a"), bench.ask("b"), bench.ask("a"), bench.ask("b")]);
  assert.deepEqual(answers, ["hello", "hello", "hello", "hello"]);
  assert.deepEqual(bench.steps, ["+a", "+b"]);
  const { state, models, memoryBytesMax } = await bench.pool.status();
  assert.deepEqual([state, memoryBytesMax], ["ready", 100]);
  assert.deepEqual(models, [
    { id: "a", state: "ready", active: 0, queued: 0, memoryBytes: 40, expiresAtMs: null },
    { id: "b", state: "ready", active: 0, queued: 0, memoryBytes: 40, expiresAtMs: 1_300 },
  ]);
});

Deno.test("ModelPool names the models there are to one who asks for another", async () => {
  const { pool } = new PoolBench([modelOf("a", 40), modelOf("b", 40)]);
  const refusal = { code: "model_not_found", message: 'Unknown model "c"; there is "a", "b"' };
  await assert.rejects(pool.describe("c"), refusal);
  await assert.rejects(Array.fromAsync(pool.chat(requestOf("x", { model: "c" }), never)), refusal);
  await assert.rejects(pool.keep({ model: "c", keepAliveMs: null }), refusal);
});

Deno.test("ModelPool embeds with embedding models and chats with the others", async () => {
  const { pool, steps } = new PoolBench([modelOf("a", 40), modelOf("e", 40, { kind: "embedding" })]);
  assert.deepEqual(await pool.embed(embedWith("e"), never), {
    vectors: [Float32Array.of(1), Float32Array.of(1)],
    promptTokens: 7,
  });
  await assert.rejects(pool.embed(embedWith("a"), never), { code: "invalid_request", message: /"a" does not embed/ });
  const chat = Array.fromAsync(pool.chat(requestOf("x", { model: "e" }), never));
  await assert.rejects(chat, { code: "invalid_request", param: "model", message: /"e" only embeds/ });
  assert.deepEqual(steps, ["+e"]);
});

Deno.test("ModelPool makes room by unloading the least recently used, those kept for ever last", async () => {
  const bench = new PoolBench([
    modelOf("a", 30),
    modelOf("b", 30),
    modelOf("c", 30),
    modelOf("d", 30),
    modelOf("e", 80),
  ]);
  for (const id of ["a", "b", "c", "b"]) {
    bench.nowMs++;
    await bench.ask(id);
  }
  await bench.ask("d");
  assert.deepEqual(bench.steps, ["+a", "+b", "+c", "-c", "+d"]);
  await bench.ask("e");
  assert.deepEqual(bench.steps.slice(5), ["-b", "-d", "-a", "+e"]);
});

Deno.test("ModelPool loads nothing before the memory of what went is free", async () => {
  const bench = new PoolBench([modelOf("a", 60), modelOf("b", 60)]);
  await bench.ask("a");
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.unloading = promise;
  const answer = bench.ask("b");
  await settle();
  assert.deepEqual(bench.steps, ["+a"]);
  resolve();
  assert.equal(await answer, "hello");
  assert.deepEqual(bench.steps, ["+a", "-a", "+b"]);
});

Deno.test("ModelPool never unloads a model in use, and refuses with the numbers what does not fit beside it", async () => {
  const bench = new PoolBench([modelOf("a", 50e9), modelOf("b", 30e9), modelOf("c", 60e9)], {
    memoryBytesMax: 100e9,
    plan: (model) => Promise.resolve({ description: { ...model } as never, memoryBytes: model.sizeBytes }),
  });
  const leave = await bench.occupy("a");
  await bench.ask("b");
  await assert.rejects(bench.ask("c"), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "not_enough_memory");
    assert.deepEqual(error.details, { neededBytes: 60e9, heldBytes: 50e9, availableBytes: 100e9 });
    assert.match(error.message, /"c" now: it needs 60\.0 GB of the 100\.0 GB .*in use "a" holds 50\.0 GB;/);
    return true;
  });
  assert.deepEqual(bench.steps, ["+a", "+b"], "what would not have been enough is not unloaded");
  await leave();
  assert.equal(await bench.ask("c"), "hello");
  assert.deepEqual(bench.steps, ["+a", "+b", "-b", "-a", "+c"]);
});

Deno.test("ModelPool refuses what can never fit, and offers it to nobody", async () => {
  const bench = new PoolBench([modelOf("a", 10), modelOf("huge", 101)]);
  await assert.rejects(bench.ask("huge"), { code: "not_enough_memory", message: "huge needs 101 of 100" });
  assert.deepEqual((await bench.pool.list()).map(({ id }) => id), ["a"]);
  assert.deepEqual(bench.steps, []);
});

Deno.test("ModelPool unloads a model that nobody asked for as long as it is kept, and the default never", async () => {
  const bench = new PoolBench([modelOf("a", 10), modelOf("b", 10)]);
  await bench.ask("a");
  const leave = await bench.occupy("b");
  await bench.pass(1_000);
  assert.deepEqual(await bench.loaded(), ["a", "b"], "an answer under way keeps it");
  await leave();
  await bench.pass(299);
  await bench.ask("b");
  await bench.pass(299);
  assert.deepEqual(await bench.loaded(), ["a", "b"]);
  await bench.pass(1);
  assert.deepEqual(await bench.loaded(), ["a"]);
  assert.deepEqual(bench.steps, ["+a", "+b", "-b"]);
});

Deno.test("ModelPool keeps a model as long as the last request says", async () => {
  const bench = new PoolBench([modelOf("a", 10), modelOf("b", 10)]);
  const expiry = async (id: string) => (await bench.pool.status()).models.find((model) => model.id === id)?.expiresAtMs;
  await bench.ask("b", { keepAliveMs: 50 });
  assert.equal(await expiry("b"), 1_050);
  await bench.ask("b", { keepAliveMs: -1 });
  assert.equal(await expiry("b"), null);
  await bench.pool.tokenize({ model: "b", text: "x" });
  assert.equal(await expiry("b"), null, "counting tokens changes nothing");
  await bench.pass(1e9);
  await bench.ask("b", { keepAliveMs: 0 });
  await bench.ask("a", { keepAliveMs: 60 * 86_400_000 });
  assert.deepEqual(await bench.loaded(), ["a"]);
  for (const _ of [1, 2]) await bench.pass(25 * 86_400_000);
  assert.deepEqual(await bench.loaded(), ["a"], "a timer of the runtime holds 24 days");
  await bench.pass(11 * 86_400_000);
  assert.deepEqual(await bench.loaded(), []);
});

Deno.test("ModelPool.keep() waits for the weights, and with 0 unloads once nobody uses the model", async () => {
  const bench = new PoolBench([modelOf("a", 10), modelOf("b", 10)]);
  bench.loadsAtOnce = false;
  let kept = false;
  const keeping = bench.pool.keep({ model: "b", keepAliveMs: null }).then(() => kept = true);
  await settle();
  assert.equal((await bench.pool.status()).models[0]!.state, "loading");
  assert.equal(kept, false);
  bench.opened[0]!.hooks.onReady();
  await keeping;
  const leave = await bench.occupy("b");
  await bench.pool.keep({ model: "b", keepAliveMs: 0 });
  assert.deepEqual(await bench.loaded(), ["b"]);
  await leave();
  assert.deepEqual(bench.steps, ["+b", "-b"]);
  await bench.pool.keep({ model: "a", keepAliveMs: 0 });
  assert.deepEqual(bench.steps, ["+b", "-b"], "what is not loaded is not loaded to be unloaded");
});

Deno.test("ModelPool lets so many wait for a model that is being loaded, and those go who leave", async () => {
  const bench = new PoolBench([modelOf("a", 60), modelOf("b", 60)], { queuedMax: 2 });
  await bench.ask("a");
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.unloading = promise;
  const leaving = new AbortController();
  const left = Array.fromAsync(bench.pool.chat(requestOf("hello", { model: "b" }), leaving.signal));
  const waiting = [bench.ask("b"), bench.ask("b")];
  await settle();
  await assert.rejects(bench.ask("b"), { code: "queue_full" });
  assert.equal((await bench.pool.status()).queued, 3);
  leaving.abort();
  await assert.rejects(left, { code: "request_cancelled" });
  waiting.push(bench.ask("b"));
  resolve();
  assert.deepEqual(await Promise.all(waiting), ["hello", "hello", "hello"]);
  assert.deepEqual(bench.steps, ["+a", "-a", "+b"]);
});

Deno.test("ModelPool tells everybody why a model cannot be loaded, frees its room, and tries again for the next", async () => {
  const bench = new PoolBench([modelOf("a", 60), modelOf("b", 60)]);
  bench.loadsAtOnce = false;
  const keeping = bench.pool.keep({ model: "b", keepAliveMs: null });
  await settle();
  const broken = new DomainError("engine_unavailable", "It is damaged");
  bench.opened[0]!.engine.state = "gone";
  bench.opened[0]!.hooks.onFatal(broken);
  await assert.rejects(keeping, broken);
  await settle();
  assert.deepEqual(bench.steps, ["+b", "-b"]);
  bench.loadsAtOnce = true;
  assert.equal(await bench.ask("b"), "hello");
  assert.deepEqual(bench.steps, ["+b", "-b", "+b"]);
});

Deno.test("ModelPool says so when the file of a model is gone, and opens no engine", async () => {
  const missing = new DomainError("model_not_found", 'Cannot load model "a": its file is missing');
  const bench = new PoolBench([modelOf("a", 60)], { inspect: () => Promise.reject(missing) });
  await assert.rejects(bench.ask("a"), missing);
  await assert.rejects(bench.pool.keep({ model: "a", keepAliveMs: null }), missing);
  assert.deepEqual(bench.steps, []);
  assert.deepEqual(await bench.loaded(), []);
});

Deno.test("ModelPool.setModels() serves new models and unloads those that changed or went, when nobody uses them", async () => {
  const bench = new PoolBench([modelOf("a", 30), modelOf("b", 30), modelOf("c", 30)]);
  await bench.ask("b");
  const leave = await bench.occupy("c");
  bench.pool.setModels([modelOf("a", 30), modelOf("c", 30, { modifiedAtMs: 2 }), modelOf("d", 30)]);
  await settle();
  assert.deepEqual(bench.steps, ["+b", "+c", "-b"]);
  await assert.rejects(bench.ask("b"), { code: "model_not_found", message: /there is "a", "c", "d"$/ });
  assert.equal(await bench.ask("d"), "hello");
  assert.equal(await bench.ask("c"), "hello");
  assert.deepEqual(bench.steps.slice(3), ["+d", "+c"], "the new file is asked while the old one still answers");
  await leave();
  assert.deepEqual(bench.steps.slice(5), ["-c"]);
});

Deno.test("ModelPool.setModels() keeps a model loaded of which only the name is another", async () => {
  const bench = new PoolBench([modelOf("a", 30)]);
  await bench.ask("a");
  bench.pool.setModels([modelOf("a", 30, { name: "Another name" })]);
  assert.equal((await bench.pool.describe("a")).name, "Another name");
  await bench.ask("a");
  assert.deepEqual(bench.steps, ["+a"]);
});

Deno.test("ModelPool.forget() reaches what is loaded and what is stored", async () => {
  const forgotten: string[] = [];
  const bench = new PoolBench([modelOf("a", 30), modelOf("e", 30, { kind: "embedding" })], {
    forgetStored: (owner) => Promise.resolve(void forgotten.push(`stored ${owner}`)),
  });
  await bench.ask("a");
  await bench.pool.embed(embedWith("e"), never);
  bench.opened[0]!.engine.forget = (owner) => Promise.resolve(void forgotten.push(`a ${owner}`));
  await bench.pool.forget("ada");
  assert.deepEqual(forgotten, ["a ada", "stored ada"]);
});

Deno.test("ModelPool ends what is under way and unloads everything when it is disposed of", async () => {
  const bench = new PoolBench([modelOf("a", 30), modelOf("b", 30)]);
  await bench.ask("a");
  let closing: Promise<void> | null = null;
  const answering = (async () => {
    for await (const event of bench.pool.chat(requestOf("hello", { model: "b" }), never)) {
      if (event.type === "started") closing = bench.pool[Symbol.asyncDispose]();
    }
  })();
  await assert.rejects(answering, { code: "engine_gone" });
  await closing;
  assert.deepEqual(bench.steps.toSorted(), ["+a", "+b", "-a", "-b"]);
  assert.deepEqual(bench.alarms, []);
  await assert.rejects(bench.ask("a"), { code: "engine_gone" });
});

Deno.test("ModelPool.forget() erases what a model stores that is just being unloaded", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const steps: string[] = [];
  const bench = new PoolBench([modelOf("a", 30)], {
    forgetStored: (owner) => Promise.resolve(void steps.push(`stored ${owner}`)),
  });
  await bench.ask("a");
  bench.unloading = promise.then(() => void steps.push("unloaded"));
  const unloaded = bench.pool.keep({ model: "a", keepAliveMs: 0 });
  const forgotten = bench.pool.forget("ada");
  await settle();
  resolve();
  await Promise.all([unloaded, forgotten]);
  assert.deepEqual(steps, ["unloaded", "stored ada"]);
});
