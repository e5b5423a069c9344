/**
 * The invariants and the style of this project, as far as a text can show them. Each rule is proven able to fail in
 * `tests/tidy/*_rules_test.ts`.
 */
import assert from "node:assert/strict";
import { renderSettings } from "../lib/env.ts";
import { EXIT_CODES } from "../lib/runtime/exit_codes.ts";
import * as code from "./tidy/code_rules.ts";
import * as imports from "./tidy/import_rules.ts";
import { scanModule } from "./tidy/modules.ts";
import * as texts from "./tidy/text_rules.ts";
import { readTree } from "./tidy/tree.ts";

const INVARIANTS = 10;

const files = await readTree(new URL("..", import.meta.url).pathname);
const modules = files.filter(({ path }) => /\.tsx?$/.test(path)).map(scanModule);
const config = JSON.parse(files.find(({ path }) => path === "deno.json")?.text ?? "{}");

const RULES: Record<string, () => string[]> = {
  "1. Imports go down only: main, cli → functions, routes → lib/<domain> → lib/contracts": () =>
    imports.findUpwardImports(modules),
  "1. No file imports itself, however far around": () => imports.findImportCycles(modules),
  "2. Nothing in lib imports Hono or Preact, the worker's HTTP face and the pages apart": () =>
    imports.findFrameworkImports(modules),
  "2. Adapters of the engine port never import each other": () => imports.findAdapterImports(modules),
  "3. A function never imports another function, a route or an island": () => imports.findFunctionImports(modules),
  "4. Only index.ts and main.ts read the environment": () => imports.findEnvironmentReaders(modules),
  "5. Only the worker loads a model": () => imports.findModelLoaders(modules),
  "Contracts and client use nothing that a browser lacks": () => imports.findServerCodeForBrowsers(modules),
  "Every export is needed": () => imports.findDeadExports(modules),
  "No function is longer than 70 lines": () => code.findLongFunctions(modules),
  "No file is longer than 400 lines": () => code.findLongFiles(modules),
  "Every export of lib has a docstring": () => code.findUndocumentedExports(modules),
  "Nothing has the type any": () => code.findAny(modules),
  "No check is silenced without a reason": () => code.findUnexplainedIgnores(modules),
  "No test is switched off": () => code.findSwitchedOffTests(modules),
  "Every test asserts something": () => code.findTestsWithoutAssertion(modules),
  "No file names a package registry or a path of somebody's machine": () => texts.findForeignPlaces(files),
  "The lock file does not say where packages come from": () => texts.findLockedAddresses(files),
  "Files are named in the style of their folder": () => texts.findMisnamedFiles(files),
  "Documents explain every dependency and show no command that does not exist": () =>
    texts.findDocumentationGaps(files, config),
  "Every place pins the same Deno": () => texts.findDenoVersionsThatDiffer(files),
  "The README's settings are those of lib/env.ts": () => texts.findSettingsThatDiffer(files, renderSettings()),
  "The README's exit codes are those of lib/runtime": () => texts.findExitCodesThatDiffer(files, EXIT_CODES),
  "The README lists every model with its licence": () => texts.findUnlistedModels(files),
  "The README numbers the invariants": () => texts.findInvariantsThatAreMissing(files, INVARIANTS),
};

for (const [name, find] of Object.entries(RULES)) {
  Deno.test(name, () => {
    const complaints = find();
    assert.equal(complaints.length, 0, `\n  ${complaints.join("\n  ")}`);
  });
}

Deno.test("The rules read the whole project", () => {
  assert.ok(modules.some(({ path }) => path === "lib/errors.ts") && modules.length > 20);
});
