import assert from "node:assert/strict";
import { calibrate, threadCandidates, threadsFor } from "./calibrate.ts";

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
  assert.deepEqual(await calibrate(2, (tokens, threads) => Promise.resolve(ms[tokens]![threads]!)), {
    decodeOne: 1,
    decodeMany: 2,
    prefill: 2,
  });
});

Deno.test("calibrate() is not misled by one disturbed measurement", async () => {
  let calls = 0;
  const plan = await calibrate(2, (_, threads) => Promise.resolve(++calls % 6 === 2 ? 900 : 100 / threads));
  assert.deepEqual(plan, { decodeOne: 2, decodeMany: 2, prefill: 2 });
});

Deno.test("calibrate() prefers fewer threads when more bring next to nothing", async () => {
  const plan = await calibrate(4, (_, threads) => Promise.resolve(100 - threads));
  assert.deepEqual(plan, { decodeOne: 1, decodeMany: 1, prefill: 1 });
});

Deno.test("threadsFor() goes by the size of the batch", () => {
  const plan = { decodeOne: 1, decodeMany: 2, prefill: 3 };
  assert.deepEqual([1, 2, 15, 16, 68].map((tokens) => threadsFor(plan, tokens)), [1, 2, 2, 3, 3]);
});
