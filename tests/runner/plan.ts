import type { Module } from "../tidy/modules.ts";

/** The test files of a run: quick ones share one parallel run, slow ones have the machine to themselves, one by one. */
export interface TestPlan {
  quick: string[];
  slow: string[];
  /** Whether any of them asks for a model. */
  needsModels: boolean;
  /** Whether any of them asks for a Postgres server. */
  needsPostgres: boolean;
  /** Whether any of them asks for Studio's back end. */
  needsStudio: boolean;
}

/** What makes a test slow when it, or a test helper that it imports, does it: starting a process, loading a model. */
const SLOW = /Deno\.Command\(|testModel\(|testPostgres\(|testStudio\(|startSupervisor\(/;

/** Sorts the test files among `modules` that are, or lie below, one of `paths`; all of them when there is none. */
export function planTests(modules: Module[], paths: string[]): TestPlan {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const plan: TestPlan = { quick: [], slow: [], needsModels: false, needsPostgres: false, needsStudio: false };
  for (const { path } of modules) {
    const isWanted = paths.length === 0 || paths.some((wanted) => path === wanted || path.startsWith(`${wanted}/`));
    if (!path.endsWith("_test.ts") || !isWanted) continue;
    const sources = readWithHelpers(byPath, path);
    (sources.some((text) => SLOW.test(text)) ? plan.slow : plan.quick).push(path);
    plan.needsModels ||= sources.some((text) => text.includes("testModel("));
    plan.needsPostgres ||= sources.some((text) => text.includes("testPostgres("));
    plan.needsStudio ||= sources.some((text) => text.includes("testStudio("));
  }
  return plan;
}

/** The code of a test file and of the files of `tests/` behind it, without strings and comments. */
function readWithHelpers(byPath: Map<string, Module>, path: string, seen = new Set<string>()): string[] {
  const module = byPath.get(path);
  if (module === undefined || seen.has(path)) return [];
  seen.add(path);
  const code = module.code.map(({ kind, text }) => kind === "word" || kind === "punctuator" ? text : '""').join("");
  // Only the calls of tests/prerequisites.ts count, not that they are defined there.
  const helpers = module.imports.map(({ target }) => target ?? "").filter((target) => {
    return target.startsWith("tests/") && target !== "tests/prerequisites.ts";
  });
  return [code, ...helpers.flatMap((helper) => readWithHelpers(byPath, helper, seen))];
}
