import assert from "node:assert/strict";
import { CountingDecoder } from "../../tests/fixtures/counting_decoder.ts";
import { ask, startScheduler, turn } from "../../tests/fixtures/scheduled_job.ts";
import { PREFILL_CHUNK_TOKENS, Scheduler } from "./scheduler.ts";

Deno.test("Scheduler answers jobs side by side in shared batches", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  // Deno loads its timers at their first use and lets promises run meanwhile, which would part the two requests.
  await turn();
  startScheduler(scheduler, decoder);
  const [a, b] = await Promise.all([ask(scheduler).result, ask(scheduler, { prompt: [20, 30] }).result]);
  assert.deepEqual([a, b], [[11, 12, 13], [31, 32, 33]]);
  assert.deepEqual(decoder.batches.map((batch) => batch.length), [2, 2, 2]);
});

Deno.test("Scheduler ends an answer at its stop, at its limit and at an end token, and says which", async () => {
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, new CountingDecoder(1));
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { max: 9, stopAt: 12, events }).result, [11, 12]);
  assert.deepEqual(await ask(scheduler, { owner: "bob", max: 1, events }).result, [11]);
  assert.deepEqual(await ask(scheduler, { owner: "eve", prompt: [-2], max: 9, events }).result, [-1]);
  assert.deepEqual(events, ["start 0", "stop 1/0/2", "start 0", "length 1/0/1", "start 0", "stop 1/0/2"]);
});

Deno.test("Scheduler reads a long prompt in chunks while other answers go on", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
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
  startScheduler(scheduler, decoder);
  const order: string[] = [];
  const long = ask(scheduler, { prompt: Array.from({ length: 640 }, (_, i) => i + 1), max: 1 });
  const short = ask(scheduler, { owner: "bob", prompt: [1, 2, 3], max: 1 });
  await Promise.all([long.result.then(() => order.push("long")), short.result.then(() => order.push("short"))]);
  assert.deepEqual(order, ["short", "long"]);
});

Deno.test("Scheduler reuses the common beginning of the owner's own conversation only", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  await ask(scheduler, { prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  await ask(scheduler, { owner: "bob", prompt: [1, 2, 3, 4, 9], max: 1, events }).result;
  assert.deepEqual(events, ["start 4", "length 5/4/1", "start 0", "length 5/0/1"]);
});

Deno.test("Scheduler decodes the last prompt token again when the whole prompt is cached", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
  await ask(scheduler, { prompt: [1, 2, 3], max: 2 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 3], max: 1 }).result, [4]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [3]);
});

Deno.test("Scheduler reads the whole prompt again when the model has forgotten the beginning", async () => {
  const decoder = new CountingDecoder(1, { windowTokens: 2 });
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
  const events: string[] = [];
  await ask(scheduler, { prompt: [1, 2, 3], max: 4 }).result;
  assert.deepEqual(await ask(scheduler, { prompt: [1, 2, 7], max: 1, events }).result, [8]);
  assert.deepEqual(decoder.batches.at(-1)?.[0]?.tokens, [1, 2, 7]);
  assert.deepEqual(events, ["start 0", "length 3/0/1"]);
});

Deno.test("Scheduler refuses what its queue cannot hold and serves what it took", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 1 });
  startScheduler(scheduler, decoder);
  const running = ask(scheduler);
  await turn();
  const waiting = ask(scheduler);
  assert.throws(() => ask(scheduler), { code: "queue_full" });
  assert.deepEqual(await Promise.all([running.result, waiting.result]), [[11, 12, 13], [11, 12, 13]]);
});

Deno.test("Scheduler frees the place of a cancelled job after the batch that is under way", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  startScheduler(scheduler, decoder);
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

Deno.test("Scheduler writes injected tokens in the place of drawn ones and goes on behind them", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
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
  startScheduler(scheduler, decoder);
  const verdicts = {
    11: { grammar: { gbnf: "second", accepted: [11] } },
    12: { grammar: { gbnf: null, accepted: [] } },
  };
  assert.deepEqual(await ask(scheduler, { grammar: "first", verdicts }).result, [11, 12, 13]);
  assert.deepEqual(decoder.grammars, [["first", []], ["second", [11]], [null, []]]);
});
