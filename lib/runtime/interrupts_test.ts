import assert from "node:assert/strict";
import { createInterruptCounter } from "./interrupts.ts";

Deno.test("a Ctrl-C that arrives twice at once counts as one, a later one as the second", () => {
  const heard: string[] = [];
  let nowMs = 0;
  const interrupt = createInterruptCounter({
    onFirst: () => heard.push("first"),
    onSecond: () => heard.push("second"),
    now: () => nowMs,
  });
  interrupt();
  nowMs = 3;
  interrupt();
  interrupt();
  assert.deepEqual(heard, ["first"]);
  nowMs = 1_500;
  interrupt();
  assert.deepEqual(heard, ["first", "second"]);
});
