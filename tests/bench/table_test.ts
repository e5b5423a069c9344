import assert from "node:assert/strict";
import { type Comparison, renderTable } from "./table.ts";

const COMPARISON: Comparison<"speed" | "memoryBytes"> = {
  own: "Rookery",
  other: "llama-server",
  rows: [
    { label: "decode, 1 stream", key: "speed", unit: "tok/s", divisor: 1, digits: 1 },
    { label: "resident memory", key: "memoryBytes", unit: "MB", divisor: 1e6, digits: 0 },
  ],
};

Deno.test("renderTable() compares within rounds, not the medians of both", () => {
  const rounds = [[100, 50], [100, 100], [10, 100]].map(([own, other]) => ({
    own: { speed: own!, memoryBytes: 1600e6 },
    other: { speed: other!, memoryBytes: 800e6 },
  }));
  assert.deepEqual(renderTable(rounds, COMPARISON).split("\n"), [
    "|  | Rookery | llama-server | Rookery / llama-server | from – to |",
    "| --- | ---: | ---: | ---: | ---: |",
    "| decode, 1 stream | 100.0 tok/s | 100.0 tok/s | 1.00 | 0.10 – 2.00 |",
    "| resident memory | 1,600 MB | 800 MB | 2.00 | 2.00 – 2.00 |",
  ]);
});

Deno.test("renderTable() shows one's own numbers when nothing is beside it", () => {
  const rounds = [80, 100, 90].map((speed) => ({ own: { speed, memoryBytes: 1e6 }, other: null }));
  const lines = renderTable(rounds, COMPARISON).split("\n");
  assert.equal(lines[0], "|  | Rookery | from – to |");
  assert.equal(lines[2], "| decode, 1 stream | 90.0 tok/s | 80.0 tok/s – 100.0 tok/s |");
});

Deno.test("renderTable() takes its headings from what is compared, and leaves out what was not measured", () => {
  const rounds = [{ own: { memoryBytes: 3e6 }, other: { memoryBytes: 2e6 } }];
  const lines = renderTable(rounds, { ...COMPARISON, own: "embedded", other: "Postgres" }).split("\n");
  assert.equal(lines[0], "|  | embedded | Postgres | embedded / Postgres | from – to |");
  assert.deepEqual(lines.slice(2), ["| resident memory | 3 MB | 2 MB | 1.50 | 1.50 – 1.50 |"]);
});
