import assert from "node:assert/strict";
import type { Measurement } from "./measure.ts";
import { median, renderTable } from "./table.ts";

function measurementOf(decodeOne: number): Measurement {
  return {
    decodeOne,
    decodeTwo: 100,
    decodeFour: 100,
    decodeSixteen: 100,
    decodeSchema: 100,
    prefill: 500,
    firstTokenColdMs: 2000,
    firstTokenSecondTurnMs: 100,
    firstTokenSiblingMs: 100,
    firstTokenAfterOthersMs: 100,
    firstTokenAfterRestartMs: 100,
    memoryBytes: 600e6,
  };
}

Deno.test("median() takes the middle, and of an even number the mean of the middle two", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([1, 9, 5, 6]), 5.5);
  assert.throws(() => median([]), RangeError);
});

Deno.test("renderTable() compares within rounds, not the medians of both", () => {
  const rounds = [[100, 50], [100, 100], [10, 100]].map(([own, other]) => ({
    rookery: measurementOf(own ?? 0),
    other: measurementOf(other ?? 0),
  }));
  const lines = renderTable(rounds).split("\n");
  const [header, decode, prefill, memory] = [0, 2, 7, 13].map((index) => lines[index]);
  assert.equal(header, "|  | Rookery | llama-server | Rookery / llama-server | from – to |");
  assert.equal(decode, "| decode, 1 stream | 100.0 tok/s | 100.0 tok/s | 1.00 | 0.10 – 2.00 |");
  assert.equal(prefill, "| prefill, 1,500 tokens | 500 tok/s | 500 tok/s | 1.00 | 1.00 – 1.00 |");
  assert.equal(memory, "| resident memory | 600 MB | 600 MB | 1.00 | 1.00 – 1.00 |");
});

Deno.test("renderTable() shows Rookery's own numbers when nothing is beside it", () => {
  const lines = renderTable([80, 100, 90].map((own) => ({ rookery: measurementOf(own), other: null }))).split("\n");
  assert.equal(lines[0], "|  | Rookery | from – to |");
  assert.equal(lines[2], "| decode, 1 stream | 90.0 tok/s | 80.0 tok/s – 100.0 tok/s |");
});
