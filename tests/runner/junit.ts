/** What one run of `deno test` came to. A step counts as part of its test. */
export interface TestCounts {
  passed: number;
  failed: number;
  /** Names of the tests that were skipped; each holds its reason. */
  skipped: string[];
}

const SUITE = /<testsuite [^>]*>([^]*?)<\/testsuite>/g;
const CASE = /<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g;

/** Counts the tests of the JUnit report that `deno test --junit-path` writes. */
export function countTests(xml: string): TestCounts {
  const counts: TestCounts = { passed: 0, failed: 0, skipped: [] };
  for (const [, cases = ""] of xml.matchAll(SUITE)) {
    const results = [...cases.matchAll(CASE)].map(([, name = "", result = ""]) => ({ name: unescape(name), result }));
    const names = new Set(results.map(({ name }) => name));
    for (const { name, result } of results) {
      if (isStep(name, names)) continue;
      if (/<(failure|error)\b/.test(result)) counts.failed++;
      else if (/<skipped\b/.test(result)) counts.skipped.push(name);
      else counts.passed++;
    }
  }
  return counts;
}

/** Whether `name` reads `test > step` for one of the tests; a failed step has failed its test already. */
function isStep(name: string, names: Set<string>): boolean {
  const parts = name.split(" > ");
  return parts.some((_, index) => index > 0 && names.has(parts.slice(0, index).join(" > ")));
}

/** Adds up the counts of several runs. */
export function sumCounts(all: TestCounts[]): TestCounts {
  return {
    passed: all.reduce((sum, { passed }) => sum + passed, 0),
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
    skipped: all.flatMap(({ skipped }) => skipped),
  };
}

/** The last line of a run, in the form that people and machines look for. */
export function summarise({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed` + (skipped.length === 0 ? "" : `, ${skipped.length} skipped`);
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescape(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => ENTITIES[name] ?? "");
}
