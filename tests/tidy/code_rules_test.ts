import assert from "node:assert/strict";
import * as rules from "./code_rules.ts";
import { scanModule } from "./modules.ts";

type Rule = (typeof rules)[keyof typeof rules];

const complain = (rule: Rule, text: string, path = "lib/a.ts") => rule([scanModule({ path, text })]);

Deno.test("findLongFunctions() counts from the name to the closing brace", () => {
  const functionOf = (lines: number) => `\nfunction f() {${"\n".repeat(lines - 1)}}`;
  assert.deepEqual(complain(rules.findLongFunctions, functionOf(70)), []);
  assert.deepEqual(complain(rules.findLongFunctions, functionOf(71)), ["lib/a.ts:2 f has 71 lines of at most 70"]);
  const nested = `Deno.test("t", () => {${functionOf(70)}\n});`;
  assert.deepEqual(complain(rules.findLongFunctions, nested), ['lib/a.ts:1 "t" has 72 lines of at most 70']);
});

Deno.test("findLongFiles() counts lines without the last line's end", () => {
  assert.deepEqual(complain(rules.findLongFiles, "a;\n".repeat(400)), []);
  assert.deepEqual(complain(rules.findLongFiles, "a;\n".repeat(401)), ["lib/a.ts has 401 lines of at most 400"]);
});

Deno.test("findUndocumentedExports() takes no plain comment for a docstring", () => {
  const text = "// A.\nexport const a = 1;\n/** B. */\nexport const b = 1;\nexport type b = number;\nexport class C {}";
  assert.deepEqual(complain(rules.findUndocumentedExports, text), [
    "lib/a.ts:2 a has no docstring",
    "lib/a.ts:6 C has no docstring",
  ]);
  assert.deepEqual(complain(rules.findUndocumentedExports, text, "functions/models/app.ts"), []);
});

Deno.test("findAny() finds the type and lets the word be", () => {
  for (const bad of ["let a: any;", "f<any>();", "a as any;", "type A = any[] | null;", "(...a: Array<any>) => 1"]) {
    assert.deepEqual(complain(rules.findAny, bad), ["lib/a.ts:1 uses the type any"], bad);
  }
  assert.deepEqual(complain(rules.findAny, '// any\nPromise.any([]); const s = "any"; const o = { any: 1 };'), []);
});

Deno.test("findUnexplainedIgnores() wants a reason behind every silenced check", () => {
  const directives = [
    "deno-lint-ignore no-console",
    "deno-lint-ignore-file",
    "@ts-ignore",
    "deno-fmt-ignore",
    "@ts-nocheck",
  ];
  for (const directive of directives) {
    assert.equal(complain(rules.findUnexplainedIgnores, `// ${directive}\na;`).length, 1, directive);
    assert.deepEqual(complain(rules.findUnexplainedIgnores, `// ${directive} -- the table is wider\na;`), []);
  }
});

Deno.test("findSwitchedOffTests() finds methods and options", () => {
  const bad = [
    'Deno.test.only("a", f);',
    'Deno.test.ignore("a", f);',
    'Deno.test({ name: "a", ignore: true, fn });',
    'Deno.test("a", { only: b }, f);',
  ];
  for (const text of bad) {
    assert.match(complain(rules.findSwitchedOffTests, text).join(), /^lib\/a\.ts:1 switches off tests: "a"$/, text);
  }
  const good = [
    'Deno.test("only: ignore: true", () => {});',
    'Deno.test({ name: "a", ignore: Deno.build.os === "windows", fn });',
  ];
  for (const text of good) assert.deepEqual(complain(rules.findSwitchedOffTests, text), [], text);
});

Deno.test("findTestsWithoutAssertion() looks into the helpers of the file", () => {
  const helpers =
    "function verify(x) {\n  assert.ok(x);\n}\nconst twice = (x) => {\n  verify(x);\n};\nconst idle = () => {};\n";
  for (const body of ["assert.ok(x)", "verify(x)", "twice(x)", "expectRefusal(x)", "throw x"]) {
    assert.deepEqual(
      complain(rules.findTestsWithoutAssertion, `${helpers}Deno.test("a", () => {\n  ${body};\n});`),
      [],
    );
  }
  for (const body of ["", "idle(x);", '// assert.ok(x)\n"assert";']) {
    const complaints = complain(rules.findTestsWithoutAssertion, `${helpers}Deno.test("a", () => {\n  ${body}\n});`);
    assert.deepEqual(complaints, ['lib/a.ts:8 asserts nothing: "a"'], body);
  }
});
