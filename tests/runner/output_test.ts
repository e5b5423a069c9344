import assert from "node:assert/strict";
import { listRunFiles } from "./output.ts";

Deno.test("listRunFiles() names the files that ran a test, one after the other or at the same time", () => {
  const output = [
    "Check lib/a_test.ts",
    "running 2 tests from ./lib/a_test.ts",
    "  running 9 tests from nowhere ... ok (1ms)",
    "running 0 tests from ./lib/empty_test.ts",
    "\x1b[38;5;245mrunning 1 test from ./b c_test.ts\x1b[0m",
    "\x1b[38;5;245m./lib/d_test.ts => \x1b[0mit => works ... \x1b[32mok\x1b[0m",
    "it fails => ./lib/e_test.ts:3:6",
    "ok | 3 passed",
  ].join("\n");
  assert.deepEqual(listRunFiles(output), new Set(["lib/a_test.ts", "b c_test.ts", "lib/d_test.ts"]));
});
