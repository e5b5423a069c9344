import { findFunctions } from "./functions.ts";
import type { Complaints } from "./import_rules.ts";
import type { Module } from "./modules.ts";
import { pairBrackets, type Token } from "./tokens.ts";

const FUNCTION_LINES_MAX = 70;
const FILE_LINES_MAX = 400;

/** Functions that no longer fit on a screen. */
export function findLongFunctions(modules: Module[]): Complaints {
  return modules.flatMap(({ path, code }) =>
    findFunctions(code).filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(({ name, line, lines }) => `${path}:${line} ${name} has ${lines} lines of at most ${FUNCTION_LINES_MAX}`)
  );
}

/** Files that hold more than one concept. */
export function findLongFiles(modules: Module[]): Complaints {
  return modules.map(({ path, text }) => ({ path, lines: text.trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => `${path} has ${lines} lines of at most ${FILE_LINES_MAX}`);
}

/** Exports of lib without a docstring. A type that shares its name with a documented value, as schemas do, has one. */
export function findUndocumentedExports(modules: Module[]): Complaints {
  return modules.filter(({ path }) => path.startsWith("lib/") && !path.endsWith("_test.ts")).flatMap((module) =>
    module.exports.filter(({ name }) => !module.exports.some((other) => other.name === name && other.documented))
      .map(({ name, line }) => `${module.path}:${line} ${name} has no docstring`)
  );
}

/** `any` as a type; a property or a method may have that name. */
export function findAny(modules: Module[]): Complaints {
  return modules.flatMap(({ path, code }) =>
    code.filter(({ kind, text }, at) => {
      const [before, after] = [code[at - 1]?.text ?? "", code[at + 1]?.text ?? ""];
      return kind === "word" && text === "any" && before !== "." && !/^[:(]$/.test(after);
    }).map(({ line }) => `${path}:${line} uses the type any`)
  );
}

/** Comments that silence a check and do not say why. */
export function findUnexplainedIgnores(modules: Module[]): Complaints {
  return modules.flatMap(({ path, tokens }) =>
    tokens.filter(({ kind, text }) => {
      if (kind !== "comment" && kind !== "doc") return false;
      const directive =
        /(?:deno-(?:lint|fmt)-ignore|deno-coverage-ignore|@ts-(?:ignore|expect-error|nocheck))\S*([^]*)/;
      const rest = directive.exec(text)?.[1];
      return rest !== undefined && !/(--|:)\s*\w+\s+\w+/.test(rest);
    }).map(({ line }) => `${path}:${line} silences a check without "-- reason"`)
  );
}

/** Calls of `Deno.test` and `Deno.test.only|ignore`: where each begins, ends and what it is. */
function findTests(code: Token[]): { at: number; end: number; modifier: string | null; name: string }[] {
  const pairs = pairBrackets(code);
  const tests = [];
  for (const [at, { text }] of code.entries()) {
    if (text !== "Deno" || code[at + 2]?.text !== "test") continue;
    const modifier = code[at + 3]?.text === "." ? code[at + 4]?.text ?? null : null;
    // What all tests of a file share is none itself.
    if (modifier !== null && /^(before|after)(All|Each)$/.test(modifier)) continue;
    const open = modifier === null ? at + 3 : at + 5;
    const end = pairs.get(open);
    const name = code.slice(open).find(({ kind }) => kind === "string" || kind === "template");
    if (end !== undefined) tests.push({ at, end, modifier, name: name?.text ?? "" });
  }
  return tests;
}

/**
 * Tests that someone switched off, or that switch off all others. `tests/prerequisites.ts` alone may skip, and a test of
 * what one operating system does may be left out on another.
 */
export function findSwitchedOffTests(modules: Module[]): Complaints {
  return modules.filter(({ path }) => path !== "tests/prerequisites.ts").flatMap(({ path, code }) =>
    findTests(code).filter(({ at, end, modifier }) => {
      const option = code.slice(at, end).some(({ kind, text }, index) => {
        const isOption = kind === "word" && /^(only|ignore)$/.test(text) && code[at + index + 1]?.text === ":";
        const value = code.slice(at + index + 2, at + index + 7).map((token) => token.text).join("");
        return isOption && value !== "Deno.build.os";
      });
      return option || modifier === "only" || modifier === "ignore";
    }).map(({ at, name }) => `${path}:${code[at]?.line} switches off tests: ${name}`)
  );
}

const ASSERTION = /^(assert|expect|check)/;

/** Tests in which nothing can fail: no assertion, no `throw`, and no helper of the same file that holds one. */
export function findTestsWithoutAssertion(modules: Module[]): Complaints {
  return modules.filter(({ path }) => path !== "tests/prerequisites.ts").flatMap(({ path, code }) => {
    const asserting = findAssertingHelpers(code);
    return findTests(code).filter(({ at, end }) => !asserts(code.slice(at, end), asserting))
      .map(({ at, name }) => `${path}:${code[at]?.line} asserts nothing: ${name}`);
  });
}

function asserts(code: Token[], helpers: Set<string>): boolean {
  return code.some(({ kind, text }) => {
    return kind === "word" && (ASSERTION.test(text) || text === "throw" || helpers.has(text));
  });
}

function findAssertingHelpers(code: Token[]): Set<string> {
  const helpers = new Set<string>();
  const functions = findFunctions(code);
  for (let before = -1; before !== helpers.size;) {
    before = helpers.size;
    for (const { name, firstToken, lastToken } of functions) {
      if (/^[a-z]\w*$/i.test(name) && asserts(code.slice(firstToken + 1, lastToken), helpers)) helpers.add(name);
    }
  }
  return helpers;
}
