import assert from "node:assert/strict";
import { CountingDecoder } from "../../tests/fixtures/counting_decoder.ts";
import { Random } from "../../tests/fixtures/random.ts";
import { ask, count, startScheduler, turn } from "../../tests/fixtures/scheduled_job.ts";
import { DomainError } from "../errors.ts";
import { ComputeGate } from "./compute_gate.ts";
import { Scheduler } from "./scheduler.ts";

Deno.test("Scheduler ends jobs that wait or read for too long", async () => {
  const decoder = new CountingDecoder(1);
  const gate = Promise.withResolvers<void>();
  decoder.gate = gate.promise;
  await using scheduler = new Scheduler({ queuedMax: 4, queueTimeoutMs: 20, prefillTimeoutMs: 40 });
  startScheduler(scheduler, decoder);
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
  startScheduler(scheduler, decoder);
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
  startScheduler(scheduler, new CountingDecoder(1));
  assert.deepEqual(await early.result, [11, 12, 13]);
});

Deno.test("Scheduler ends the jobs of a failed batch and goes on with empty sequences", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  startScheduler(scheduler, decoder);
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
  startScheduler(scheduler, decoder);
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

Deno.test("Scheduler ends the one job for which nothing can be drawn, and knows what its sequence holds", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  startScheduler(scheduler, decoder);
  decoder.lastToken = 12;
  const stuck = ask(scheduler, { prompt: [10] });
  const sound = ask(scheduler, { owner: "bob", prompt: [20] });
  assert.deepEqual(await Promise.all([stuck.result, sound.result]), ["internal_error", [21, 22, 23]]);
  decoder.lastToken = null;
  const events: string[] = [];
  assert.deepEqual(await ask(scheduler, { prompt: [10, 11, 12, 13], max: 1, events }).result, [14]);
  assert.equal(events[0], "start 3");
  assert.deepEqual(decoder.misuses, []);
});

Deno.test("Scheduler ends the one job that fails to take what it is told", async () => {
  for (const throwsAt of ["start", "token", "done"] as const) {
    const decoder = new CountingDecoder(2);
    await using scheduler = new Scheduler({ queuedMax: 4 });
    startScheduler(scheduler, decoder);
    const broken = ask(scheduler, { throwsAt });
    const sound = ask(scheduler, { owner: "bob", prompt: [20] });
    assert.deepEqual(await Promise.all([broken.result, sound.result]), ["internal_error", [21, 22, 23]], throwsAt);
    await turn();
    assert.equal(scheduler.active, 0);
    assert.equal(decoder.samplers.made, decoder.samplers.disposed);
  }
});

Deno.test("Scheduler forgets an owner whose answer is under way, before, while and after it is begun", async () => {
  for (const batches of [0, 1, 3]) {
    const decoder = new CountingDecoder(2);
    await using scheduler = new Scheduler({ queuedMax: 4 });
    const cache = startScheduler(scheduler, decoder, 1e6);
    const prompt = count(1, 150);
    await ask(scheduler, { prompt, max: 1 }).result;
    await ask(scheduler, { prompt: count(900, 100), max: 1 }).result;
    const running = ask(scheduler, { prompt, max: 1_000 });
    const waiting = [ask(scheduler, { prompt, max: 1_000 }), ask(scheduler, { prompt })];
    const before = decoder.batches.length;
    while (decoder.batches.length < before + batches) await turn();
    await scheduler.forget("ada");
    assert.deepEqual(
      await Promise.all([running, ...waiting].map(({ result }) => result)),
      Array(3).fill("request_cancelled"),
    );
    assert.deepEqual([cache.memoryBytes, decoder.tokensOf(0), decoder.tokensOf(1)], [0, [], []]);
    const events: string[] = [];
    assert.deepEqual(await ask(scheduler, { prompt, max: 1, events }).result, [151]);
    assert.equal(events[0], "start 0");
    assert.deepEqual(decoder.misuses, []);
  }
});

Deno.test("Scheduler forgets two owners at once, though the second's answer runs while the first is erased", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  const cache = startScheduler(scheduler, decoder);
  await ask(scheduler, { owner: "bob", prompt: count(1, 100), max: 1 }).result;
  const running = ask(scheduler, { prompt: count(1, 100), max: 1_000 });
  while (decoder.batches.length < 5) await turn();
  const { forget } = cache;
  let second: Promise<void> | null = null;
  cache.forget = async (owner) => {
    if (owner === "bob") second = scheduler.forget("ada");
    await forget.call(cache, owner);
  };
  await scheduler.forget("bob");
  await second;
  assert.equal(await running.result, "request_cancelled");
  assert.deepEqual([decoder.tokensOf(0), decoder.tokensOf(1)], [[], []]);
});

Deno.test("Scheduler starts nothing for a job that left while its sequence was being made ready", async () => {
  const decoder = new CountingDecoder(1);
  await using scheduler = new Scheduler({ queuedMax: 4 });
  startScheduler(scheduler, decoder);
  const events: string[] = [];
  const left = ask(scheduler, { events });
  while (scheduler.active === 0) await Promise.resolve();
  left.cancel();
  assert.equal(await left.result, "request_cancelled");
  assert.deepEqual(await ask(scheduler).result, [11, 12, 13]);
  assert.deepEqual(events, []);
  await turn();
  assert.equal(decoder.samplers.made, decoder.samplers.disposed);
});

Deno.test("Scheduler ends all jobs, and those that come, once it is told that nothing computes any more", async () => {
  const decoder = new CountingDecoder(1);
  const gate = Promise.withResolvers<void>();
  decoder.gate = gate.promise;
  const scheduler = new Scheduler({ queuedMax: 4 });
  const cache = startScheduler(scheduler, decoder);
  const running = ask(scheduler);
  const waiting = ask(scheduler);
  while (decoder.batches.length === 0) await turn();
  scheduler.abandon(new DomainError("engine_gone", "The thread has died"));
  assert.deepEqual([await running.result, await waiting.result], ["engine_gone", "engine_gone"]);
  assert.throws(() => ask(scheduler), { code: "engine_gone", message: "The thread has died" });
  // So it is when a thread dies: whatever it was asked rejects, from then on.
  decoder.dead = true;
  cache.persist = () => Promise.reject(new Error("the thread was ended"));
  gate.reject(new Error("the thread was ended"));
  await scheduler.forget("ada").catch(() => {});
  await scheduler[Symbol.asyncDispose]();
  assert.equal(scheduler.active, 0);
});

Deno.test("Scheduler says so when a sequence is not made ready", async () => {
  const decoder = new CountingDecoder(1);
  const { cut } = decoder;
  const gate = Promise.withResolvers<void>();
  decoder.cut = async (...parts) => {
    await gate.promise;
    return await cut.apply(decoder, parts);
  };
  let hung = 0;
  await using scheduler = new Scheduler({ queuedMax: 4, stepTimeoutMs: 20, onHung: () => hung++ });
  startScheduler(scheduler, decoder);
  const waiting = ask(scheduler);
  while (hung === 0) await turn();
  gate.resolve();
  assert.deepEqual(await waiting.result, [11, 12, 13]);
});

Deno.test("Scheduler takes the wait for its turn among other models for no hung batch", async () => {
  const gate = new ComputeGate();
  const other = Promise.withResolvers<void>();
  const computing = gate.run("interactive", () => other.promise);
  let hung = 0;
  await using scheduler = new Scheduler({ queuedMax: 4, stepTimeoutMs: 20, onHung: () => hung++, gate });
  startScheduler(scheduler, new CountingDecoder(1));
  const waiting = ask(scheduler);
  await new Promise((resolve) => setTimeout(resolve, 60));
  other.resolve();
  await computing;
  assert.deepEqual(await waiting.result, [11, 12, 13]);
  assert.equal(hung, 0);
});

Deno.test("Scheduler gives every job its own answer through cancellations, failures and forgotten owners", async () => {
  const random = new Random(5);
  const decoder = new CountingDecoder(3);
  const scheduler = new Scheduler({ queuedMax: 100 });
  const cache = startScheduler(scheduler, decoder, 2_000);
  const asked: Promise<void>[] = [];
  let answered = 0;
  for (let i = 0; i < 120; i++) {
    const owner = random.pick(["ada", "bob", "eve"]);
    const prompt = [...count(1, random.between(0, 150)), random.between(1_000, 9_000)];
    const job = ask(scheduler, { owner, prompt, max: random.between(1, 6) });
    asked.push(job.result.then((result) => {
      if (!Array.isArray(result)) return assert.ok(["request_cancelled", "internal_error"].includes(result), result);
      answered++;
      assert.deepEqual(result, count(prompt.at(-1)! + 1, result.length));
    }));
    for (let turns = random.between(0, 12); turns > 0; turns--) await turn();
    if (random.once(6)) job.cancel();
    if (random.once(15)) await scheduler.forget(random.pick(["ada", "bob"]));
    decoder.failing = random.once(30);
  }
  decoder.failing = false;
  await Promise.all(asked);
  assert.ok(answered > 60, `${answered} were answered`);
  for (const owner of ["ada", "bob", "eve"]) await scheduler.forget(owner);
  assert.deepEqual([cache.memoryBytes, decoder.states.size, cache.busy], [0, 0, 0]);
  await scheduler[Symbol.asyncDispose]();
  assert.equal(decoder.samplers.made, decoder.samplers.disposed);
  assert.deepEqual(decoder.misuses, []);
});

Deno.test("Scheduler frees every sampler and ends every job when it is disposed of", async () => {
  const decoder = new CountingDecoder(1);
  const scheduler = new Scheduler({ queuedMax: 4 });
  startScheduler(scheduler, decoder);
  const running = ask(scheduler, { max: 1_000_000 });
  const waiting = ask(scheduler);
  await turn();
  await scheduler[Symbol.asyncDispose]();
  assert.deepEqual([await running.result, await waiting.result], ["engine_gone", "engine_gone"]);
  assert.equal(decoder.samplers.made, decoder.samplers.disposed);
  assert.throws(() => ask(scheduler), { code: "engine_gone" });
});

Deno.test("Scheduler fails the one job whose grammar cannot be set", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
  const broken = ask(scheduler, { grammar: "broken" });
  const sound = ask(scheduler, { prompt: [20] });
  assert.deepEqual(await Promise.all([broken.result, sound.result]), ["internal_error", [21, 22, 23]]);
});

Deno.test("Scheduler gives a new request nothing of what is being forgotten, also while another one is let in", async () => {
  const decoder = new CountingDecoder(2);
  await using scheduler = new Scheduler({ queuedMax: 8 });
  startScheduler(scheduler, decoder);
  await ask(scheduler, { owner: "ada", prompt: count(1, 20), max: 1 }).result;
  const first = ask(scheduler, { owner: "bob", prompt: count(500, 20), max: 1 });
  // Until the first one waits for its sequence, which takes the decoder a turn.
  for (let step = 0; step < 20; step++) await Promise.resolve();
  const forgotten = scheduler.forget("ada");
  const events: string[] = [];
  const again = ask(scheduler, { owner: "ada", prompt: count(1, 21), max: 1, events });
  await Promise.all([first.result, forgotten, again.result]);
  assert.equal(events[0], "start 0");
});
