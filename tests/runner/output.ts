import { stripVTControlCharacters } from "node:util";

/** What `deno test` prints before the tests of a file, when it runs one file after the other. */
const START = /^running [1-9]\d* tests? from (?:\.\/)?(.+)$/gm;

/** What it prints of each test, when it runs several files at the same time. */
const RESULT = /^(?:\.\/)?(.+?) => .+ \.\.\. /gm;

/**
 * The test files, relative to the project, that ran at least one test, as `deno test` says while it runs. Its report
 * names the module that registers a test instead, which is another one where files share tests.
 */
export function listRunFiles(output: string): Set<string> {
  const text = stripVTControlCharacters(output);
  const found = [START, RESULT].flatMap((pattern) => [...text.matchAll(pattern)]);
  return new Set(found.map(([, path = ""]) => path.trimEnd()));
}
