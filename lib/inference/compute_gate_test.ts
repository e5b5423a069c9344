import assert from "node:assert/strict";
import { ComputeGate, type ComputePriority } from "./compute_gate.ts";

/** A gate whose clock stands still unless work takes time, and a record of what was done. */
class Bench {
  nowMs = 0;
  readonly done: string[] = [];
  readonly gate = new ComputeGate({ now: () => this.nowMs });

  run(priority: ComputePriority, name: string, tookMs = 10): Promise<void> {
    return this.gate.run(priority, async () => {
      await Promise.resolve();
      this.nowMs += tookMs;
      this.done.push(name);
    });
  }

  /** So many batches one after another, as the scheduler of one model asks for them. */
  async runMany(priority: ComputePriority, { name, count, tookMs }: { name: string; count: number; tookMs?: number }) {
    for (let number = 1; number <= count; number++) await this.run(priority, `${name}${number}`, tookMs);
  }
}

Deno.test("ComputeGate.run() lets one batch compute at a time and returns what it returned", async () => {
  const gate = new ComputeGate();
  let computing = 0;
  const batch = async (result: number) => {
    assert.equal(++computing, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    computing--;
    return result;
  };
  const results = [1, 2, 3, 4].map((result) =>
    gate.run(result % 2 ? "interactive" : "background", () => batch(result))
  );
  assert.deepEqual(await Promise.all(results), [1, 2, 3, 4]);
});

Deno.test("ComputeGate.run() passes on what failed and lets the next one compute", async () => {
  const { gate } = new Bench();
  const failing = gate.run("interactive", () => Promise.reject(new Error("broken")));
  const next = gate.run("interactive", () => Promise.resolve("fine"));
  await assert.rejects(failing, /broken/);
  assert.equal(await next, "fine");
});

Deno.test("ComputeGate gives two models turn and turn about", async () => {
  const bench = new Bench();
  await Promise.all([
    bench.runMany("interactive", { name: "a", count: 3 }),
    bench.runMany("interactive", { name: "b", count: 3 }),
  ]);
  assert.deepEqual(bench.done, ["a1", "b1", "a2", "b2", "a3", "b3"]);
});

Deno.test("ComputeGate gives background work a quarter of the time beside two busy models", async () => {
  const bench = new Bench();
  await Promise.all([
    bench.runMany("background", { name: "*", count: 3, tookMs: 20 }),
    bench.runMany("interactive", { name: "a", count: 9 }),
    bench.runMany("interactive", { name: "b", count: 9 }),
  ]);
  // 60 ms of answers for 20 ms of background work.
  const between = bench.done.join(" ").split(/\*\d/).map((part) => part.trim()).map((part) =>
    part === "" ? 0 : part.split(" ").length
  );
  assert.deepEqual(between, [0, 6, 6, 6], bench.done.join(" "));
});

Deno.test("ComputeGate keeps background work back between two batches of one answer, and lets it go on after it", async () => {
  const bench = new Bench();
  await bench.run("background", "*1", 100);
  await bench.run("interactive", "a1");
  const background = bench.run("background", "*2");
  // A token is being drawn: nobody waits, but somebody will.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await bench.run("interactive", "a2");
  assert.deepEqual(bench.done, ["*1", "a1", "a2"]);
  bench.nowMs += 1_000;
  await background;
  assert.deepEqual(bench.done, ["*1", "a1", "a2", "*2"]);
});
