import assert from "node:assert/strict";
import { type Chunk, ChunkWriter, type PieceEvent, toEvent, toPiece } from "./chunk_writer.ts";

const text = (piece: string): PieceEvent => ({ type: "text", text: piece });

/** A store whose every call waits until the test lets it go on. */
function createSlowStore() {
  const stored: { chunks: Chunk[]; firstSeq: number }[] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const store = async (chunks: Chunk[], firstSeq: number) => {
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    stored.push({ chunks, firstSeq });
  };
  return { store, stored, gates };
}

function createWriter(store: (chunks: Chunk[], firstSeq: number) => Promise<void>, onFailure = (_: unknown) => {}) {
  return new ChunkWriter({ store, intervalMs: 0, onFailure });
}

Deno.test("Pieces that come while others are being stored make one batch, in order and numbered", async () => {
  const { store, stored, gates } = createSlowStore();
  const writer = createWriter(store);
  writer.push(text("a"));
  for (const piece of ["b", "c"]) writer.push(text(piece));
  writer.push({ type: "reasoning", text: "hm" });
  writer.push(text("d"));
  const end = writer.end();
  gates[0]!.resolve();
  while (gates.length < 2) await new Promise((resolve) => setTimeout(resolve));
  gates[1]!.resolve();
  await end;
  assert.deepEqual(stored, [
    { chunks: [{ kind: "text", body: "a" }], firstSeq: 1 },
    {
      chunks: [{ kind: "text", body: "bc" }, { kind: "reasoning", body: "hm" }, { kind: "text", body: "d" }],
      firstSeq: 2,
    },
  ]);
});

Deno.test("A call's arguments join its beginning, and another call does not", async () => {
  const { store, stored, gates } = createSlowStore();
  const writer = createWriter(store);
  writer.push(text("first"));
  writer.push({ type: "tool_call", index: 0, id: "a", name: "f", arguments: "" });
  for (const piece of ["{", "}"]) writer.push({ type: "tool_call", index: 0, arguments: piece });
  writer.push({ type: "tool_call", index: 1, id: "b", name: "f", arguments: "" });
  const end = writer.end();
  gates[0]!.resolve();
  while (gates.length < 2) await new Promise((resolve) => setTimeout(resolve));
  gates[1]!.resolve();
  await end;
  assert.deepEqual(stored[1]!.chunks.map(toEvent), [
    { type: "tool_call", index: 0, id: "a", name: "f", arguments: "{}" },
    { type: "tool_call", index: 1, id: "b", name: "f", arguments: "" },
  ]);
});

Deno.test("A character whose halves come one after the other is stored whole, and half of one only at the end", async () => {
  const [high, low] = ["\ud83d", "\ude00"];
  const begin = { type: "tool_call" as const, index: 0, id: "c", name: "f", arguments: `"${high}` };
  const cases: [pieces: PieceEvent[], stored: PieceEvent[]][] = [
    [[text(`a${high}`), text(`${low}b`)], [text("a"), text("😀b")]],
    [[text(high), text(low)], [text("😀")]],
    [[begin, { type: "tool_call", index: 0, arguments: `${low}"` }], [{ ...begin, arguments: '"' }, {
      type: "tool_call",
      index: 0,
      arguments: '😀"',
    }]],
    [[text(high)], [text(high)]],
    [[text(high), { type: "reasoning", text: "hm" }], [text(high), { type: "reasoning", text: "hm" }]],
  ];
  for (const [pieces, expected] of cases) {
    const stored: Chunk[] = [];
    const writer = createWriter((chunks) => {
      assert.ok(chunks.length > 0);
      stored.push(...chunks);
      return Promise.resolve();
    });
    // The first piece is stored at once, without those that follow.
    for (const piece of pieces) writer.push(piece);
    await writer.end();
    assert.deepEqual(stored.map(toEvent), expected);
  }
});

Deno.test("A character that is whole again is stored without waiting for the end", async () => {
  const stored = Promise.withResolvers<Chunk[]>();
  const writer = createWriter((chunks) => Promise.resolve(stored.resolve(chunks)));
  writer.push(text("\ud83d"));
  await new Promise((resolve) => setTimeout(resolve));
  writer.push(text("\ude00"));
  assert.deepEqual(await stored.promise, [{ kind: "text", body: "😀" }]);
  await writer.end();
});

Deno.test("Nothing is stored behind a batch that could not be, and who writes is told once", async () => {
  const failures: unknown[] = [];
  let calls = 0;
  const writer = createWriter(() => {
    calls++;
    return Promise.reject(new Error("full"));
  }, (error) => failures.push(error));
  writer.push(text("a"));
  await writer.end();
  writer.push(text("b"));
  await writer.end();
  assert.equal(calls, 1);
  assert.equal(failures.length, 1);
});

Deno.test("The character NUL, which Postgres takes nowhere, becomes the sign for what cannot be shown", () => {
  assert.deepEqual(toPiece({ type: "text", text: "a\0b" }), { type: "text", text: "a\ufffdb" });
  assert.equal(toPiece({ type: "admitted", promptTokens: 1 }), null);
});
