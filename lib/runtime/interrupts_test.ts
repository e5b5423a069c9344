import assert from "node:assert/strict";
import { ignoreEchoes } from "./interrupts.ts";

Deno.test("a Ctrl-C that arrives several times at once is one press, a later one is the next", () => {
  let presses = 0;
  let nowMs = 0;
  const interrupt = ignoreEchoes(() => presses++, () => nowMs);
  interrupt();
  nowMs = 3;
  interrupt();
  interrupt();
  assert.equal(presses, 1);
  nowMs = 1_500;
  interrupt();
  nowMs = 1_501;
  interrupt();
  assert.equal(presses, 2);
});
