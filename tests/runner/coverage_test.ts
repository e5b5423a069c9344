import assert from "node:assert/strict";
import { scanModule } from "../tidy/modules.ts";
import { isCounted, measureCoverage } from "./coverage.ts";

Deno.test("measureCoverage() adds up the project's own lines", () => {
  const record = (path: string, lines: number, hit: number) => `SF:/p/${path}\nLF:${lines}\nLH:${hit}\nend_of_record\n`;
  const lcov = record("lib/a.ts", 10, 9) + record("main.ts", 30, 11) + record("tests/run.ts", 100, 0);
  assert.deepEqual(measureCoverage(lcov, [], "/p"), { lines: 40, covered: 20, neverLoaded: [] });
});

Deno.test("measureCoverage() counts every line of a file that no test loads, types apart", () => {
  const modules = Object.entries({
    "lib/a.ts": "// Nothing.\nexport function a() {\n\n  return 1;\n}\n",
    "lib/types.ts": 'import type { A } from "./a.ts";\nexport interface B {\n  c(): A;\n}\ntype D = B;\n',
    "lib/a_test.ts": "Deno.test(f);",
  }).map(([path, text]) => scanModule({ path, text }));
  assert.deepEqual(measureCoverage("", modules, "/p"), { lines: 3, covered: 0, neverLoaded: ["lib/a.ts"] });
});

Deno.test("isCounted() leaves out tests and what serves them", () => {
  assert.deepEqual(["main.ts", "lib/a.ts", "cli/chat/main.ts"].filter(isCounted).length, 3);
  assert.deepEqual(["tests/run.ts", "lib/a_test.ts", "library/a.ts"].filter(isCounted), []);
});
