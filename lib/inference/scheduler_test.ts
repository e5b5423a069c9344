import assert from "node:assert/strict";
import type { ErrorCode } from "../contracts/error.ts";
import { Sampling } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { type BatchDecoder, type BatchEntry, PREFILL_CHUNK_TOKENS, Scheduler } from "./scheduler.ts";

const END = 0;
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** Counts upwards from the last token of the prompt; remembers each batch; fails when calls overlap. */
class CountingDecoder implements BatchDecoder {
  readonly batches: BatchEntry[][] = [];
  readonly samplers = { made: 0, disposed: 0 };
  readonly kept: [sequence: number, length: number][] = [];
  failing = false;
  samplerFails = false;
  slidingWindow = false;
  gate: Promise<void> = Promise.resolve();
  #isDecoding = false;

  constructor(readonly sequences: number) {}

  createSampler(): { dispose(): void } {
    assert.equal(this.#isDecoding, false, "a sampler is made while a batch is decoded");
    if (this.samplerFails) throw new Error("no sampler");
    this.samplers.made++;
    return {
      dispose: () => {
        assert.equal(this.#isDecoding, false, "a sampler is freed while a batch is decoded");
        this.samplers.disposed++;
      },
    };
  }

  keep(sequence: number, length: number): number {
    assert.equal(this.#isDecoding, false, "a sequence is cut while a batch is decoded");
    this.kept.push([sequence, length]);
    return this.slidingWindow ? 0 : length;
  }

  async decode(entries: readonly BatchEntry[]): Promise<number[]> {
    assert.equal(this.#isDecoding, false, "two batches at once");
    this.#isDecoding = true;
    this.batches.push([...entries]);
    await this.gate;
    await turn();
    this.#isDecoding = false;
    if (this.failing) throw new Error("broken");
    return entries.filter((entry) => entry.sampler !== null).map((entry) => entry.tokens.at(-1)! + 1);
  }

  isEndToken(token: number): boolean {
    return token === END;
  }
}

interface Ask {
  owner?: string;
  prompt?: number[];
  max?: number;
  stopAt?: number;
  events?: string[];
}

/** Submits a job and resolves to its tokens, or to the code that it failed with. */
function ask(scheduler: Scheduler, options: Ask = {}): { result: Promise<number[] | ErrorCode>; cancel: () => void } {
  const { owner = "ada", prompt = [10], max = 3, stopAt = NaN, events = [] } = options;
  const tokens: number[] = [];
  const { promise: result, resolve } = Promise.withResolvers<number[] | ErrorCode>();
  const cancel = scheduler.submit({
    owner,
    promptTokens: prompt,
    sampling: Sampling.parse({}),
    completionTokensMax: max,
    onStart: ({ cachedTokens }) => events.push(`start ${cachedTokens}`),
    onToken: (token) => tokens.push(token) > 0 && token === stopAt,
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
  scheduler.start(decoder);
  const [a, b] = await Promise.all([ask(scheduler).result, ask(scheduler, { prompt: [20, 30] }).result]);
  assert.deepEqual([a, b], [[11, 12, 13], [31, 32, 33]]);
  assert.deepEqual(decoder.batches.map((batch) => batch.length), [2, 2, 2]);
});

Deno.test("Scheduler ends an answer at its stop, at its limit and at an end token, and says which", async () => {
  await using scheduler = new Scheduler({ queuedMax: 8 });
  scheduler.start(new CountingDecoder(1));
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { max: 9, stopAt: 12, events }).result, [11, 12]);
  assert.deepEqual(await ask(scheduler, { owner: "bob", max: 1, events }).result, [11]);
  assert.deepEqual(await ask(scheduler, { owner: "eve", prompt: [-2], max: 9, events }).result, [-1]);
  assert.deepEqual(events, ["start 0", "stop 1/0/2", "start 0", "length 1/0/1", "start 0", "stop 1/0/2"]);
});

Deno.test("Scheduler reads a long prompt in chunks while other answers go on", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  scheduler.start(decoder);
  const long = Array.from({ length: PREFILL_CHUNK_TOKENS * 3 + 5 }, (_, i) => i + 1);
  const short = ask(scheduler, { owner: "bob", max: 20 });
  await turn();
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
  scheduler.start(decoder);
  const order: string[] = [];
  const long = ask(scheduler, { prompt: Array.from({ length: 640 }, (_, i) => i + 1), max: 1 });
  const short = ask(scheduler, { owner: "bob", prompt: [1, 2, 3], max: 1 });
  await Promise.all([long.result.then(() => order.push("long")), short.result.then(() => order.push("short"))]);
  assert.deepEqual(order, ["short", "long"]);
});

Deno.test("Scheduler reuses the common beginning of the owner's own conversation only", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  scheduler.start(decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  await ask(scheduler, { prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  await ask(scheduler, { owner: "bob", prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  assert.deepEqual(events, ["start 4", "length 5/4/1", "start 0", "length 5/0/1"]);
  assert.deepEqual(decoder.kept.at(-1), [0, 0]);
});

Deno.test("Scheduler decodes the last prompt token again when the whole prompt is cached", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  scheduler.start(decoder);
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 3], max: 1 }).result, [4]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [3]);
});

Deno.test("Scheduler reads the whole prompt again when the model cannot keep the beginning", async () => {
  const decoder = new CountingDecoder(1);
  decoder.slidingWindow = true;
  await using scheduler = new Scheduler({ queuedMax: 8 });
  scheduler.start(decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 3, 4], max: 1, events }).result, [5]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [1, 2, 3, 4]);
  assert.deepEqual(events, ["start 0", "length 4/0/1"]);
});

Deno.test("Scheduler refuses what its queue cannot hold and serves what it took", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 1 });
  scheduler.start(decoder);
  const running = ask(scheduler);
  await turn();
  const waiting = ask(scheduler);
  assert.throws(() => ask(scheduler), { code: "queue_full" });
  assert.deepEqual(await Promise.all([running.result, waiting.result]), [[11, 12, 13], [11, 12, 13]]);
});

Deno.test("Scheduler frees the place of a cancelled job after the batch that is under way", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  scheduler.start(decoder);
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
  scheduler.start(decoder);
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
  scheduler.start(decoder);
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
  scheduler.start(new CountingDecoder(1));
  assert.deepEqual(await early.result, [11, 12, 13]);
});

Deno.test("Scheduler ends the jobs of a failed batch and goes on with empty sequences", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  scheduler.start(decoder);
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
  scheduler.start(decoder);
  decoder.samplerFails = true;
  assert.equal(await ask(scheduler).result, "internal_error");
  await turn();
  assert.deepEqual(decoder.batches, []);
  decoder.samplerFails = false;
  const running = ask(scheduler, { max: 20 });
  await turn();
  decoder.samplerFails = true;
  assert.equal(await ask(scheduler, { owner: "bob" }).result, "internal_error");
  assert.equal((await running.result as number[]).length, 20);
  await turn();
  assert.equal(scheduler.active, 0);
});

Deno.test("Scheduler frees every sampler and ends every job when it is disposed of", async () => {
  const decoder = new CountingDecoder(1);
  const scheduler = new Scheduler({ queuedMax: 4 });
  scheduler.start(decoder);
  const running = ask(scheduler, { max: 1_000_000 });
  const waiting = ask(scheduler);
  await turn();
  await scheduler[Symbol.asyncDispose]();
  assert.deepEqual([await running.result, await waiting.result], ["engine_gone", "engine_gone"]);
  assert.equal(decoder.samplers.made, decoder.samplers.disposed);
  assert.throws(() => ask(scheduler), { code: "engine_gone" });
});
