import assert from "node:assert/strict";
import { scanModule } from "../tidy/modules.ts";
import { planTests } from "./plan.ts";

const modules = Object.entries({
  "lib/a.ts": "new Deno.Command(path);",
  "lib/a_test.ts": 'import { a } from "./a.ts"; // new Deno.Command(\nconst text = "testModel(";',
  "lib/b_test.ts": "new Deno.Command(path);",
  "lib/c_test.ts": 'import { start } from "../tests/fixtures/server.ts";',
  "library/d_test.ts": 'import { skipUnless, testModel } from "../tests/prerequisites.ts"; testModel("x");',
  "servers/e_test.ts": 'import { testPostgres } from "../tests/prerequisites.ts"; testPostgres("16");',
  "servers/f_test.ts": 'import { testStudio } from "../tests/prerequisites.ts"; testStudio();',
  "tests/fixtures/server.ts": 'import { more } from "./more.ts";',
  "tests/fixtures/more.ts": 'import "./server.ts"; new Deno.Command(path);',
  "tests/prerequisites.ts": "new Deno.Command(name); export function testModel(id) {}",
}).map(([path, text]) => scanModule({ path, text }));

Deno.test("planTests() takes for slow what starts processes or loads models, also through helpers", () => {
  assert.deepEqual(planTests(modules, []), {
    quick: ["lib/a_test.ts"],
    slow: ["lib/b_test.ts", "lib/c_test.ts", "library/d_test.ts", "servers/e_test.ts", "servers/f_test.ts"],
    needsModels: true,
    needsPostgres: true,
    needsStudio: true,
  });
});

Deno.test("planTests() keeps to the folders and files that are named", () => {
  assert.deepEqual(planTests(modules, ["lib"]), {
    quick: ["lib/a_test.ts"],
    slow: ["lib/b_test.ts", "lib/c_test.ts"],
    needsModels: false,
    needsPostgres: false,
    needsStudio: false,
  });
  assert.deepEqual(planTests(modules, ["lib/c_test.ts"]).slow, ["lib/c_test.ts"]);
});

Deno.test("planTests() says of models and each server whether a test asks for them", () => {
  const needs = ["lib", "library", "servers/e_test.ts", "servers/f_test.ts"].map((path) => {
    const { needsModels, needsPostgres, needsStudio } = planTests(modules, [path]);
    return [needsModels, needsPostgres, needsStudio];
  });
  assert.deepEqual(needs, [[false, false, false], [true, false, false], [false, true, false], [false, false, true]]);
});
