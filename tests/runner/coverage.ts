import type { Module } from "../tidy/modules.ts";

/** Lines of the project's own code, and how many of them some test ran. */
export interface LineCoverage {
  lines: number;
  covered: number;
  /** Files that no test loaded; all of their lines count as not covered. */
  neverLoaded: string[];
}

/** Whether a file's coverage counts: not tests, their helpers or the benchmark. */
export function isCounted(path: string): boolean {
  return /^(main\.ts|(lib|functions|cli|routes|islands)\/)/.test(path) && !path.endsWith("_test.ts");
}

/** Adds up an lcov report of the counted files among `modules`, whose paths are relative to `root`. */
export function measureCoverage(lcov: string, modules: Module[], root: string): LineCoverage {
  const coverage: LineCoverage = { lines: 0, covered: 0, neverLoaded: [] };
  const loaded = new Set<string>();
  for (const record of lcov.split("end_of_record")) {
    const path = /^SF:(.*)$/m.exec(record)?.[1]?.replace(`${root}/`, "");
    if (path === undefined || !isCounted(path)) continue;
    loaded.add(path);
    coverage.lines += Number(/^LF:(\d+)$/m.exec(record)?.[1] ?? 0);
    coverage.covered += Number(/^LH:(\d+)$/m.exec(record)?.[1] ?? 0);
  }
  for (const module of modules) {
    if (!isCounted(module.path) || loaded.has(module.path) || !holdsCode(module)) continue;
    coverage.neverLoaded.push(module.path);
    coverage.lines += new Set(module.code.map(({ line }) => line)).size;
  }
  return coverage;
}

/** Whether a file does anything when it is loaded; one that declares types alone never shows in a coverage report. */
function holdsCode({ code, exports }: Module): boolean {
  if (exports.some(({ kind }) => kind === "value")) return true;
  return code.some(({ text }) => /^(const|let|function|class|await|Deno)$/.test(text));
}
