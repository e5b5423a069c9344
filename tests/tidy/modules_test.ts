import assert from "node:assert/strict";
import { scanModule } from "./modules.ts";

const importsOf = (text: string) =>
  scanModule({ path: "lib/a/b.ts", text }).imports.map(({ specifier, target, names }) => [specifier, target, names]);

Deno.test("scanModule() reads every form of import", () => {
  assert.deepEqual(importsOf('import d, { a as b, type C } from "../c.ts";'), [
    ["../c.ts", "lib/c.ts", ["default", "a", "C"]],
  ]);
  assert.deepEqual(importsOf('import * as n from "./d.ts";'), [["./d.ts", "lib/a/d.ts", null]]);
  assert.deepEqual(importsOf('import type { T } from "zod";'), [["zod", null, ["T"]]]);
  assert.deepEqual(importsOf('import "../../main.ts";'), [["../../main.ts", "main.ts", []]]);
  assert.deepEqual(importsOf('function f() {\n  return import("./e.ts");\n}'), [["./e.ts", "lib/a/e.ts", null]]);
  assert.deepEqual(importsOf('export { x as y } from "./f.ts";'), [["./f.ts", "lib/a/f.ts", ["x"]]]);
  assert.deepEqual(importsOf('export * from "./g.ts";'), [["./g.ts", "lib/a/g.ts", null]]);
});

Deno.test("scanModule() takes no string or comment for an import", () => {
  assert.deepEqual(importsOf('const a = `import "./b.ts";`; // import "./c.ts";\nexport const from = "d";'), []);
});

Deno.test("scanModule() reads names, kinds and docstrings of exports", () => {
  const text = "/** One. */\nexport async function one(): Promise<void> {}\nexport interface Two {}\n// Three.\n" +
    "export const three = 3;\nconst four = 4, five = 5;\nexport { four, five as six };\nexport default class Seven {}";
  const { exports } = scanModule({ path: "a.ts", text });
  assert.deepEqual(exports.map(({ name, kind, line, documented }) => `${name} ${kind} ${line} ${documented}`), [
    "one value 2 true",
    "Two type 3 false",
    "three value 5 false",
    "four value 7 true",
    "six value 7 true",
    "default value 8 false",
  ]);
});

Deno.test("scanModule() names the file that it cannot scan", () => {
  assert.throws(() => scanModule({ path: "a.ts", text: "f(" }), /a\.ts: Bracket of line 1 is never closed/);
});
