import assert from "node:assert/strict";
import { commonPrefixLength, type Sequence, SequenceStore } from "./sequence_store.ts";

function hold(store: SequenceStore, tokens: number[]): Sequence {
  const sequence = store.findSpare()!;
  store.take(sequence);
  sequence.tokens = tokens;
  store.release(sequence);
  return sequence;
}

Deno.test("commonPrefixLength() counts equal tokens from the beginning", () => {
  assert.equal(commonPrefixLength([1, 2, 3], [1, 2, 4]), 2);
  assert.equal(commonPrefixLength([], [1]), 0);
  assert.equal(commonPrefixLength([1, 2], [1, 2, 3]), 2);
});

Deno.test("SequenceStore spares an empty sequence first, then the one that was left alone for longest", () => {
  const store = new SequenceStore(2);
  const first = hold(store, [1]);
  const second = hold(store, [2]);
  assert.notEqual(second.index, first.index);
  assert.equal(store.findSpare()?.index, first.index);
  store.take(first);
  store.release(first);
  assert.equal(store.findSpare()?.index, second.index);
});

Deno.test("SequenceStore has no sequence to spare when all are busy", () => {
  const store = new SequenceStore(2);
  for (const sequence of store.sequences) store.take(sequence);
  assert.equal(store.findSpare(), null);
  assert.equal(store.busy, 2);
});
