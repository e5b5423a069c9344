import assert from "node:assert/strict";
import {
  createProgressPrinter,
  formatBytes,
  formatProgress,
  formatProgressBar,
  formatSeconds,
  type Progress,
  ProgressMeter,
} from "./progress.ts";

const HALFWAY: Progress = {
  file: "x.gguf",
  sha256: null,
  receivedBytes: 50_000_000,
  totalBytes: 100_000_000,
  bytesPerSecond: 10_000_000,
  secondsLeft: 5,
};

Deno.test("a meter tells rate and time left from what came, not from what was there before", () => {
  let nowMs = 0;
  const seen: Progress[] = [];
  const meter = new ProgressMeter("x.gguf", { report: (progress) => seen.push(progress), now: () => nowMs });
  meter.totalBytes = 10_000;
  meter.restartAt(4_000);
  nowMs = 1_000;
  meter.add(1_000);
  assert.deepEqual(seen, [
    { file: "x.gguf", sha256: null, receivedBytes: 5_000, totalBytes: 10_000, bytesPerSecond: 1_000, secondsLeft: 5 },
  ]);
});

Deno.test("a meter follows a change of rate and reports ten times a second at most", () => {
  let nowMs = 0;
  const seen: Progress[] = [];
  const meter = new ProgressMeter("x.gguf", { report: (progress) => seen.push(progress), now: () => nowMs });
  meter.restartAt(0);
  for (; nowMs < 10_000; nowMs += 10) meter.add(1_000);
  for (; nowMs < 20_000; nowMs += 10) meter.add(10);
  assert.ok(seen.length <= 200, `${seen.length} reports`);
  assert.ok(Math.abs(seen.at(-1)!.bytesPerSecond - 1_000) < 50, `${seen.at(-1)!.bytesPerSecond}`);
  assert.equal(seen.at(-1)!.secondsLeft, null);
});

Deno.test("sizes and times are written for people", () => {
  assert.deepEqual([0, 999, 1_000, 98_362_432, 999_600, 2_019_377_696, 5e15].map(formatBytes), [
    "0 B",
    "999 B",
    "1.0 kB",
    "98.4 MB",
    "1.0 MB",
    "2.0 GB",
    "5.0 PB",
  ]);
  assert.deepEqual([0, 0.2, 59, 60, 185, 7_800].map(formatSeconds), [
    "0 s",
    "1 s",
    "59 s",
    "1 min 00 s",
    "3 min 05 s",
    "2 h 10 min",
  ]);
});

Deno.test("a line of progress says how much, how fast and how long", () => {
  assert.equal(formatProgress(HALFWAY), "x.gguf 50 % (50.0 MB of 100 MB), 10.0 MB/s, 5 s left");
  assert.equal(formatProgress({ ...HALFWAY, totalBytes: null, secondsLeft: null }), "x.gguf 50.0 MB, 10.0 MB/s");
});

Deno.test("a bar of progress never needs more than one line", () => {
  assert.equal(formatProgressBar(HALFWAY, 80).startsWith(`[${"#".repeat(12)}${"-".repeat(12)}] x.gguf`), true);
  for (let columns = 10; columns < 120; columns++) assert.ok(formatProgressBar(HALFWAY, columns).length < columns);
});

Deno.test("a terminal gets one line that is drawn anew, anything else a line for each tenth", () => {
  const drawn: string[] = [];
  const bar = createProgressPrinter((text) => drawn.push(text), { terminal: true, columns: () => 100 });
  bar.show(HALFWAY);
  bar.show({ ...HALFWAY, receivedBytes: 100_000_000 });
  bar.end();
  bar.end();
  assert.equal(drawn.length, 3);
  assert.ok(drawn[0]!.startsWith("\r[") && drawn[1]!.startsWith("\r[") && drawn[2] === "\n");
  assert.ok(drawn[1]!.length >= drawn[0]!.length, "what the shorter line leaves of the longer one is cleared");

  const lines: string[] = [];
  const plain = createProgressPrinter((text) => lines.push(text), { terminal: false });
  for (let percent = 0; percent <= 100; percent++) plain.show({ ...HALFWAY, receivedBytes: percent * 1_000_000 });
  plain.end();
  assert.equal(lines.length, 11);
  assert.ok(lines.every((line) => line.endsWith("\n") && !line.includes("\r")));
});
