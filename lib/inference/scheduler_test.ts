import assert from "node:assert/strict";
import { CountingDecoder } from "../../tests/fixtures/counting_decoder.ts";
import type { ErrorCode } from "../contracts/error.ts";
import { Sampling } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import type { TokenVerdict } from "./job.ts";
import { PrefixCache } from "./prefix_cache.ts";
import { PREFILL_CHUNK_TOKENS, Scheduler } from "./scheduler.ts";

const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

function start(scheduler: Scheduler, decoder: CountingDecoder): void {
  scheduler.start(decoder, new PrefixCache(decoder, { memoryBytesMax: 0, files: null }));
}

interface Ask {
  owner?: string;
  prompt?: number[];
  max?: number;
  stopAt?: number;
  events?: string[];
  grammar?: string | null;
  /** What to answer to a token. */
  verdicts?: Record<number, TokenVerdict>;
}

/** Submits a job and resolves to its tokens, or to the code that it failed with. */
function ask(scheduler: Scheduler, options: Ask = {}): { result: Promise<number[] | ErrorCode>; cancel: () => void } {
  const { owner = "ada", prompt = [10], max = 3, stopAt = NaN, events = [], grammar = null, verdicts = {} } = options;
  const tokens: number[] = [];
  const { promise: result, resolve } = Promise.withResolvers<number[] | ErrorCode>();
  const cancel = scheduler.submit({
    owner,
    promptTokens: prompt,
    sampler: { sampling: Sampling.parse({}), logprobs: null },
    grammar,
    completionTokensMax: max,
    onStart: ({ cachedTokens }) => events.push(`start ${cachedTokens}`),
    onToken: ({ token }) => {
      tokens.push(token);
      return { ended: token === stopAt, ...verdicts[token] };
    },
    onDone: ({ finishReason, usage }) => {
      events.push(`${finishReason} ${usage.promptTokens}/${usage.cachedTokens}/${usage.completionTokens}`);
      resolve(tokens);
    },
    onError: (error) => resolve(error.code),
  });
  return { result, cancel: () => cancel(new DomainError("request_cancelled", "The client left")) };
}

Deno.test("Scheduler answers jobs side by side in shared batches", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  // Deno loads its timers at their first use and lets promises run meanwhile, which would part the two requests.
  await turn();
  start(scheduler, decoder);
  const [a, b] = await Promise.all([ask(scheduler).result, ask(scheduler, { prompt: [20, 30] }).result]);
  assert.deepEqual([a, b], [[11, 12, 13], [31, 32, 33]]);
  assert.deepEqual(decoder.batches.map((batch) => batch.length), [2, 2, 2]);
});

Deno.test("Scheduler ends an answer at its stop, at its limit and at an end token, and says which", async () => {
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, new CountingDecoder(1));
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { max: 9, stopAt: 12, events }).result, [11, 12]);
  assert.deepEqual(await ask(scheduler, { owner: "bob", max: 1, events }).result, [11]);
  assert.deepEqual(await ask(scheduler, { owner: "eve", prompt: [-2], max: 9, events }).result, [-1]);
  assert.deepEqual(events, ["start 0", "stop 1/0/2", "start 0", "length 1/0/1", "start 0", "stop 1/0/2"]);
});

Deno.test("Scheduler reads a long prompt in chunks while other answers go on", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const long = Array.from({ length: PREFILL_CHUNK_TOKENS * 3 + 5 }, (_, i) => i + 1);
  const short = ask(scheduler, { owner: "bob", max: 20 });
  while (decoder.batches.length === 0) await turn();
  const results = await Promise.all([short.result, ask(scheduler, { prompt: long, max: 1 }).result]);
  assert.deepEqual(results[1], [long.length + 1]);
  const chunks = decoder.batches.flat().filter((entry) => entry.tokens.length > 1).map((entry) => entry.tokens.length);
  assert.deepEqual(chunks, [64, 64, 64, 5]);
  const mixed = decoder.batches.filter((batch) => batch.some((entry) => entry.tokens.length > 1));
  assert.ok(mixed.every((batch) => batch.length === 2), "the running answer has a token in every batch");
});

Deno.test("Scheduler lets a short prompt overtake a long one", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const order: string[] = [];
  const long = ask(scheduler, { prompt: Array.from({ length: 640 }, (_, i) => i + 1), max: 1 });
  const short = ask(scheduler, { owner: "bob", prompt: [1, 2, 3], max: 1 });
  await Promise.all([long.result.then(() => order.push("long")), short.result.then(() => order.push("short"))]);
  assert.deepEqual(order, ["short", "long"]);
});

Deno.test("Scheduler reuses the common beginning of the owner's own conversation only", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  await ask(scheduler, { prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  await ask(scheduler, { owner: "bob", prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  assert.deepEqual(events, ["start 4", "length 5/4/1", "start 0", "length 5/0/1"]);
});

Deno.test("Scheduler decodes the last prompt token again when the whole prompt is cached", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 3], max: 1 }).result, [4]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [3]);
});

Deno.test("Scheduler reads the whole prompt again when the model has forgotten the beginning", async () => {
  const decoder = new CountingDecoder(1, { windowTokens: 2 });
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 4 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 7], max: 1, events }).result, [8]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [1, 2, 7]);
  assert.deepEqual(events, ["start 0", "length 3/0/1"]);
});

Deno.test("Scheduler refuses what its queue cannot hold and serves what it took", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 1 });
  start(scheduler, decoder);
  const running = ask(scheduler);
  await turn();
  const waiting = ask(scheduler);
  assert.throws(() => ask(scheduler), { code: "queue_full" });
  assert.deepEqual(await Promise.all([running.result, waiting.result]), [[11, 12, 13], [11, 12, 13]]);
});

Deno.test("Scheduler frees the place of a cancelled job after the batch that is under way", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  start(scheduler, decoder);
  const endless = ask(scheduler, { max: 1_000_000 });
  const waiting = ask(scheduler, { owner: "bob" });
  const leaving = ask(scheduler, { owner: "eve" });
  await turn();
  leaving.cancel();
  endless.cancel();
  assert.equal(await endless.result, "request_cancelled");
  assert.equal(await leaving.result, "request_cancelled");
  assert.deepEqual(await waiting.result, [11, 12, 13]);
  assert.ok(decoder.batches.length <= 6, `${decoder.batches.length} batches`);
});

Deno.test("Scheduler ends jobs that wait or read for too long", async () => {
  const decoder = new CountingDecoder(1);
  const gate = Promise.withResolvers<void>();
  decoder.gate = gate.promise;
  await using scheduler = new Scheduler({ queuedMax: 4, queueTimeoutMs: 20, prefillTimeoutMs: 40 });
  start(scheduler, decoder);
  const reading = ask(scheduler);
  const waiting = ask(scheduler, { owner: "bob" });
  assert.equal(await waiting.result, "queue_timeout");
  assert.equal(await reading.result, "prefill_timeout");
  gate.resolve();
  decoder.gate = Promise.resolve();
  assert.deepEqual(await ask(scheduler).result, [11, 12, 13]);
});

Deno.test("Scheduler says that a batch does not end, and goes on if it does after all", async () => {
  const decoder = new CountingDecoder(1);
  const gate = Promise.withResolvers<void>();
  decoder.gate = gate.promise;
  let hung = 0;
  await using scheduler = new Scheduler({ queuedMax: 4, stepTimeoutMs: 20, onHung: () => hung++ });
  start(scheduler, decoder);
  const waiting = ask(scheduler);
  while (hung === 0) await turn();
  gate.resolve();
  assert.deepEqual(await waiting.result, [11, 12, 13]);
  assert.equal(hung, 1);
});

Deno.test("Scheduler keeps jobs that come before the model and ends them when they wait for too long", async () => {
  await using scheduler = new Scheduler({ queuedMax: 4, queueTimeoutMs: 30 });
  assert.equal(await ask(scheduler).result, "queue_timeout");
  const early = ask(scheduler);
  start(scheduler, new CountingDecoder(1));
  assert.deepEqual(await early.result, [11, 12, 13]);
});

Deno.test("Scheduler ends the jobs of a failed batch and goes on with empty sequences", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  start(scheduler, decoder);
  await ask(scheduler, { prompt: [1, 2, 3] }).result;
  decoder.failing = true;
  assert.equal(await ask(scheduler, { prompt: [1, 2, 3, 4] }).result, "internal_error");
  decoder.failing = false;
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 3, 4], max: 1, events }).result, [5]);
  assert.equal(events[0], "start 0");
});

Deno.test("Scheduler ends a job that cannot be begun, alone, and decodes nothing for it", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  start(scheduler, decoder);
  decoder.samplerFails = true;
  assert.equal(await ask(scheduler).result, "internal_error");
  await turn();
  assert.deepEqual(decoder.batches, []);
  decoder.samplerFails = false;
  const running = ask(scheduler, { max: 20 });
  while (decoder.batches.length === 0) await turn();
  decoder.samplerFails = true;
  assert.equal(await ask(scheduler, { owner: "bob" }).result, "internal_error");
  assert.equal((await running.result as number[]).length, 20);
  await turn();
  assert.equal(scheduler.active, 0);
});

Deno.test("Scheduler frees every sampler and ends every job when it is disposed of", async () => {
  const decoder = new CountingDecoder(1);
  const scheduler = new Scheduler({ queuedMax: 4 });
  start(scheduler, decoder);
  const running = ask(scheduler, { max: 1_000_000 });
  const waiting = ask(scheduler);
  await turn();
  await scheduler[Symbol.asyncDispose]();
  assert.deepEqual([await running.result, await waiting.result], ["engine_gone", "engine_gone"]);
  assert.equal(decoder.samplers.made, decoder.samplers.disposed);
  assert.throws(() => ask(scheduler), { code: "engine_gone" });
});

Deno.test("Scheduler writes injected tokens in the place of drawn ones and goes on behind them", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const verdicts = { 11: { inject: [50, 60] } };
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { max: 5, verdicts, events }).result, [11, 50, 60, 61, 62]);
  assert.deepEqual(decoder.batches.map(([entry]) => [entry!.tokens[0], entry!.sampler !== null]), [
    [10, true],
    [11, false],
    [50, false],
    [60, true],
    [61, true],
  ]);
  assert.equal(events.at(-1), "length 1/0/5", "they count as the answer's");
});

Deno.test("Scheduler sets a job's grammar before its first token and a new one before the next", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const verdicts = {
    11: { grammar: { gbnf: "second", accepted: [11] } },
    12: { grammar: { gbnf: null, accepted: [] } },
  };
  assert.deepEqual(await ask(scheduler, { grammar: "first", verdicts }).result, [11, 12, 13]);
  assert.deepEqual(decoder.grammars, [["first", []], ["second", [11]], [null, []]]);
});

Deno.test("Scheduler fails the one job whose grammar cannot be set", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  start(scheduler, decoder);
  const broken = ask(scheduler, { grammar: "broken" });
  const sound = ask(scheduler, { prompt: [20] });
  assert.deepEqual(await Promise.all([broken.result, sound.result]), ["internal_error", [21, 22, 23]]);
});
