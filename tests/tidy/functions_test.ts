import assert from "node:assert/strict";
import { findFunctions } from "./functions.ts";
import { scanTokens, withoutComments } from "./tokens.ts";

const find = (source: string) =>
  findFunctions(withoutComments(scanTokens(source))).map(({ name, line, lines }) => `${name} ${line}+${lines}`);

Deno.test("findFunctions() measures declarations, methods and accessors", () => {
  const source =
    "export async function* f<T>(a: T) {\n\n}\nclass C {\n  get x() {\n    return 1;\n  }\n  #y(): void {}\n}";
  assert.deepEqual(find(source), ["f 1+3", "x 5+3", "#y 8+1"]);
});

Deno.test("findFunctions() measures arrow functions with blocks and with expressions", () => {
  assert.deepEqual(find("const f = async (a) => {\n};\nconst g = () =>\n  h(1,\n    2);"), ["f 1+2", "g 3+3"]);
});

Deno.test("findFunctions() takes no control structure for a function", () => {
  const source = "if (a) {\n}\nfor (const b of c) {}\nfor await (const d of e) {}\nwhile (f) {}\nswitch (g) {}\n" +
    "try {} catch (h) {}";
  assert.deepEqual(find(source), []);
});

Deno.test("findFunctions() looks past return types, whatever they hold", () => {
  for (
    const type of [
      "Promise<{ a: string }>",
      "{ a: string }[] | null",
      "(a: number) => { b: string }",
      "asserts a is Error",
      "A extends B ? { c: 1 } : keyof typeof d",
      "`x-${string}`",
      "A.B<C, D>['e']",
    ]
  ) assert.deepEqual(find(`function f(a): ${type} {\n\n}\nlater({});`), ["f 1+3"], type);
});

Deno.test("findFunctions() takes no call and no object of a conditional for a function", () => {
  assert.deepEqual(find("const a = b ? f(c) : { d: 1 };\nnew E({ g: 1 });"), []);
});

Deno.test("findFunctions() names a test's body by its title", () => {
  assert.deepEqual(find('Deno.test("does it", async () => {\n});'), ['"does it" 1+2']);
});
