import assert from "node:assert/strict";
import { commonPrefixLength, type Sequence, SequenceStore } from "./sequence_store.ts";

function hold(store: SequenceStore, owner: string, tokens: number[]): Sequence {
  const taken = store.take(owner, tokens);
  assert.ok(taken);
  taken.sequence.owner = owner;
  taken.sequence.tokens = tokens;
  store.release(taken.sequence);
  return taken.sequence;
}

Deno.test("commonPrefixLength() counts equal tokens from the beginning", () => {
  assert.equal(commonPrefixLength([1, 2, 3], [1, 2, 4]), 2);
  assert.equal(commonPrefixLength([], [1]), 0);
  assert.equal(commonPrefixLength([1, 2], [1, 2, 3]), 2);
});

Deno.test("SequenceStore gives the next turn of a conversation the sequence that holds it", () => {
  const store = new SequenceStore(3);
  hold(store, "ada", [9, 9]);
  const mine = hold(store, "ada", [1, 2, 3, 4]);
  const taken = store.take("ada", [1, 2, 3, 4, 5, 6]);
  assert.equal(taken?.sequence.index, mine.index);
  assert.equal(taken?.prefix, 4);
});

Deno.test("SequenceStore never counts another owner's tokens as a prefix", () => {
  const store = new SequenceStore(1);
  hold(store, "ada", [1, 2, 3]);
  const taken = store.take("bob", [1, 2, 3, 4]);
  assert.equal(taken?.prefix, 0);
});

Deno.test("SequenceStore takes an empty sequence before it overwrites a conversation with a short common beginning", () => {
  const store = new SequenceStore(2);
  const first = hold(store, "ada", [1, 2, 3, 4, 5, 6]);
  const taken = store.take("ada", [1, 2, 7, 8]);
  assert.notEqual(taken?.sequence.index, first.index);
});

Deno.test("SequenceStore overwrites what was left alone for longest and returns null when all are busy", () => {
  const store = new SequenceStore(2);
  const old = hold(store, "ada", [1]);
  hold(store, "bob", [2]);
  assert.equal(store.take("eve", [3])?.sequence.index, old.index);
  assert.ok(store.take("eve", [4]));
  assert.equal(store.take("eve", [5]), null);
  assert.equal(store.busy, 2);
});
