/** Runs the pgTAP files of `supabase/tests` on a database, whatever driver it has. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../supabase/tests", import.meta.url));

/** The file that the others stand on; it runs first. */
export const SETUP_FILE = "000_setup.sql";

/** Runs a script of many statements on one connection, and returns the texts of all their rows, in order. */
export type RunScript = (text: string) => Promise<string[]>;

/** What one file reported. */
export interface TapReport {
  /** How many assertions it announced; null when it said nothing of it. */
  planned: number | null;
  passed: number;
  /** What failed, with pgTAP's explanation below each. */
  failures: string[];
}

/** The names of the files, in order, without {@linkcode SETUP_FILE}. */
export function listTapFiles(): string[] {
  return Array.from(Deno.readDirSync(FOLDER), ({ name }) => name)
    .filter((name) => name.endsWith(".sql") && name !== SETUP_FILE).toSorted();
}

/** Runs one file. What it did is rolled back; so is everything when a statement of it fails, and that is thrown. */
export async function runTapFile(name: string, run: RunScript): Promise<TapReport> {
  const rows = await run(await Deno.readTextFile(join(FOLDER, name)));
  return readTap(rows);
}

/** Reads the lines of the Test Anything Protocol: https://testanything.org/tap-specification.html */
export function readTap(rows: readonly string[]): TapReport {
  const report: TapReport = { planned: null, passed: 0, failures: [] };
  for (const line of rows.flatMap((row) => row.split("\n"))) {
    const plan = /^1\.\.(\d+)$/.exec(line);
    if (plan !== null) report.planned = Number(plan[1]);
    else if (line.startsWith("ok ")) report.passed++;
    else if (/^(not ok |# )/.test(line)) report.failures.push(line);
  }
  return report;
}

/** Fails unless all that was planned was run and passed. */
export function assertPassed(report: TapReport): void {
  assert.deepEqual(report.failures, []);
  assert.ok(report.planned !== null && report.planned > 0, "the file plans no assertions");
  assert.equal(report.passed, report.planned);
}

/** The script of pgTAP for a Postgres that has no such extension: it makes its functions in the schema `extensions`. */
export async function readPgtapScript(): Promise<string> {
  const require = createRequire(import.meta.url);
  const archive = join(dirname(require.resolve("@electric-sql/pglite-pgtap")), "pgtap.tar.gz");
  const stream = new Blob([await Deno.readFile(archive)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = findInTar(new Uint8Array(await new Response(stream).arrayBuffer()), /\/pgtap--\d+\.\d+\.\d+\.sql$/);
  // Commands of psql are for psql.
  return `set search_path = extensions, public;\n${script.replaceAll(/^\\.*$/gm, "")};\nreset search_path;`;
}

/** The first file of the archive whose path matches: https://www.gnu.org/software/tar/manual/html_node/Standard.html */
function findInTar(bytes: Uint8Array, path: RegExp): string {
  const decoder = new TextDecoder();
  const readField = (from: number, length: number) =>
    decoder.decode(bytes.subarray(from, from + length)).split("\0")[0]!;
  for (let at = 0; at + 512 <= bytes.length;) {
    const size = parseInt(readField(at + 124, 12), 8) || 0;
    if (path.test(readField(at, 100))) return decoder.decode(bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new TypeError(`There is no ${path} in the archive`);
}
