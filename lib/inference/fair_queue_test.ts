import assert from "node:assert/strict";
import { FairQueue } from "./fair_queue.ts";

Deno.test("FairQueue takes owners in turn and each owner's items in order", () => {
  const queue = new FairQueue<{ owner: string; n: number }>();
  for (const [owner, n] of [["a", 1], ["a", 2], ["a", 3], ["b", 4], ["c", 5], ["b", 6]] as const) {
    assert.equal(queue.push({ owner, n }, 10), true);
  }
  const order = Array.from({ length: 6 }, () => queue.shift()?.n);
  assert.deepEqual(order, [1, 4, 5, 2, 6, 3]);
  assert.equal(queue.shift(), null);
});

Deno.test("FairQueue refuses an item beyond its bound and takes one again after a removal", () => {
  const queue = new FairQueue<{ owner: string }>();
  const first = { owner: "a" };
  queue.push(first, 2);
  queue.push({ owner: "b" }, 2);
  assert.equal(queue.push({ owner: "c" }, 2), false);
  assert.equal(queue.size, 2);
  assert.equal(queue.remove(first), true);
  assert.equal(queue.remove(first), false);
  assert.equal(queue.push({ owner: "c" }, 2), true);
  assert.deepEqual([queue.shift()?.owner, queue.shift()?.owner, queue.size], ["b", "c", 0]);
});
