import assert from "node:assert/strict";
import { type BatchSpeed, calibrate, threadCandidates, threadsFor } from "./calibrate.ts";

const alone = (batchMs: number, threads: number): Promise<BatchSpeed> =>
  Promise.resolve({ batchMs, busyCores: threads });

Deno.test("threadCandidates() tries powers of two, all cores, and all but one", () => {
  assert.deepEqual(threadCandidates(1), [1]);
  assert.deepEqual(threadCandidates(2), [1, 2]);
  assert.deepEqual(threadCandidates(12), [1, 2, 4, 8, 11, 12]);
});

Deno.test("calibrate() takes the fastest thread count for each kind of batch", async () => {
  const ms: Record<number, Record<number, number>> = {
    1: { 1: 6, 2: 18 },
    4: { 1: 25, 2: 20 },
    32: { 1: 200, 2: 110 },
  };
  assert.deepEqual(await calibrate(2, (tokens, threads) => alone(ms[tokens]![threads]!, threads)), {
    threads: { decodeOne: 1, decodeMany: 2, prefill: 2 },
    undisturbed: true,
  });
});

Deno.test("calibrate() is not misled by one disturbed measurement", async () => {
  let calls = 0;
  const { threads } = await calibrate(2, (_, threads) => alone(++calls % 6 === 2 ? 90 : 10 / threads, threads));
  assert.deepEqual(threads, { decodeOne: 2, decodeMany: 2, prefill: 2 });
});

Deno.test("calibrate() prefers fewer threads when more bring next to nothing", async () => {
  const { threads } = await calibrate(4, (_, threads) => alone(100 - threads, threads));
  assert.deepEqual(threads, { decodeOne: 1, decodeMany: 1, prefill: 1 });
});

Deno.test("calibrate() measures no candidate again that clearly lost", async () => {
  const measured: number[] = [];
  const { threads } = await calibrate(4, (_, threads) => {
    measured.push(threads);
    return alone(threads === 1 ? 400 : 100, threads);
  });
  assert.deepEqual(threads, { decodeOne: 2, decodeMany: 2, prefill: 2 });
  assert.equal(measured.filter((threads) => threads === 1).length, 3, "once for each kind of batch");
});

Deno.test("calibrate() says when other programs took cores all the while", async () => {
  const shared = () => Promise.resolve({ batchMs: 100, busyCores: 1.2 });
  assert.equal((await calibrate(2, shared)).undisturbed, false);
  let calls = 0;
  const onceAlone = (_: number, threads: number) => alone(100, ++calls === 16 ? threads : 1);
  assert.equal((await calibrate(2, onceAlone)).undisturbed, true);
});

Deno.test("threadsFor() goes by the size of the batch", () => {
  const plan = { decodeOne: 1, decodeMany: 2, prefill: 3 };
  assert.deepEqual([1, 2, 15, 16, 68].map((tokens) => threadsFor(plan, tokens)), [1, 2, 2, 3, 3]);
});
