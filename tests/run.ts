/**
 * Runs the tests of the whole project, or of the paths that are named; every other argument goes to `deno test`.
 * Quick tests run in parallel; those that start processes or load models run alone, one file after the other, because
 * they would starve each other on a small machine. The last line is `N passed, N failed`, with `, N skipped` behind it
 * when a machine lacks something.
 */
import { countTests, sumCounts, summarise, type TestCounts } from "./runner/junit.ts";
import { measureCoverage } from "./runner/coverage.ts";
import { listRunFiles } from "./runner/output.ts";
import { planTests } from "./runner/plan.ts";
import { providePostgres } from "./runner/postgres.ts";
import { provideStudio } from "./runner/studio.ts";
import { isContinuousIntegration } from "./prerequisites.ts";
import { scanModule } from "./tidy/modules.ts";
import { readTree } from "./tidy/tree.ts";

const COVERED_PERCENT_MIN = 90;

/** A run of `deno test` that takes longer hangs; it is ended and counts as failed. */
const RUN_LIMIT_MS = 15 * 60_000;

/** How long what a run has printed may come after its end: a process that it left behind keeps its output open. */
const LAST_OUTPUT_MS = 2_000;

const MODELS = ["smollm2-135m", "gemma-3-270m", "all-minilm-l6-v2"];

/** `deno task` begins in the folder of deno.json. */
const root = Deno.cwd();
const coverageFolder = `${root}/coverage`;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Fetches the models of model tests, once, unless `ROOKERY_TEST_MODELS` says where they are; returns their folder. */
async function provideModels(): Promise<string> {
  const given = Deno.env.get("ROOKERY_TEST_MODELS") ?? "";
  if (given !== "") return given;
  const data = `${root}/data/test-models`;
  for (const id of MODELS) {
    if (exists(`${data}/models/${id}.gguf`) || exists(`${data}/models/${id}/config.json`)) continue;
    const args = ["run", "--no-prompt", "-A", "cli/models/main.ts", "pull", id];
    const env = { ROOKERY_DATA: data };
    const { success } = await new Deno.Command(Deno.execPath(), { args, env, cwd: root, stdin: "null" }).output();
    if (!success) print(`Cannot fetch ${id}: the tests that need it are skipped, or fail in CI`);
  }
  return `${data}/models`;
}

/** What tests need beside models, and how it is fetched. */
interface Supply {
  name: string;
  /** Names the folder with it, for the tests; who sets it has it already. */
  variable: string;
  /** Where it is kept otherwise. */
  folder: string;
  fetch(folder: string): Promise<void>;
}

const POSTGRES: Supply = {
  name: "Postgres",
  variable: "ROOKERY_TEST_POSTGRES",
  folder: "data/test-postgres",
  fetch: providePostgres,
};

const STUDIO: Supply = {
  name: "the back end of Supabase's Studio",
  variable: "ROOKERY_TEST_STUDIO",
  folder: "data/test-studio",
  fetch: provideStudio,
};

/** Fetches `supply`, once, unless its variable says where it is; returns its folder. */
async function provide({ name, variable, folder, fetch }: Supply): Promise<string> {
  const given = Deno.env.get(variable) ?? "";
  if (given !== "") return given;
  await fetch(`${root}/${folder}`).catch((error) => {
    print(`Cannot fetch ${name}: ${error.message}; the tests that need it are skipped, or fail in CI`);
  });
  return `${root}/${folder}`;
}

interface RunOptions {
  args: string[];
  env: Record<string, string>;
  /** Where the JUnit report goes. */
  report: string;
}

/** Prints `output` as it comes; resolves with all of it, or with what there was some time after `ended`. */
async function passOn(output: ReadableStream<Uint8Array>, ended: Promise<unknown>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  const all = (async () => {
    for await (const chunk of output) {
      Deno.stdout.writeSync(chunk);
      text += decoder.decode(chunk, { stream: true });
    }
  })();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = ended.then(() => new Promise((resolve) => timer = setTimeout(resolve, LAST_OUTPUT_MS)));
  await Promise.race([all, late]);
  clearTimeout(timer);
  return text;
}

/**
 * Runs `deno test` on `files`. A file without a result and a run that fails without a test to blame count as failed:
 * the file did not load or holds no test, an error came between tests, or the process died.
 */
async function runFiles(files: string[], { args, env, report }: RunOptions): Promise<TestCounts> {
  const command = ["test", "--no-prompt", "-A", `--junit-path=${report}`, ...args, ...files];
  const settings = { args: command, env, cwd: root, stdin: "null", stdout: "piped" } as const;
  const child = new Deno.Command(Deno.execPath(), settings).spawn();
  const timer = setTimeout(() => {
    print(`Ended after ${RUN_LIMIT_MS / 60_000} minutes: ${files.join(", ")}`);
    child.kill("SIGKILL");
  }, RUN_LIMIT_MS);
  const [{ success }, output] = await Promise.all([child.status, passOn(child.stdout, child.status)]);
  clearTimeout(timer);
  const counts = countTests(exists(report) ? await Deno.readTextFile(report) : "");
  await Deno.remove(report).catch(() => {});
  const isFiltered = args.some((argument) => argument.startsWith("--filter"));
  // Deno reports what a filter left out as skipped, too.
  if (isFiltered) counts.skipped = counts.skipped.filter((name) => name.includes("(skipped: "));
  const ran = listRunFiles(output);
  for (const path of isFiltered || ran.size === 0 ? [] : files) {
    if (ran.has(path)) continue;
    print(`No test ran in ${path}`);
    counts.failed++;
  }
  if (counts.failed === 0 && (!success || (ran.size === 0 && !isFiltered))) counts.failed = 1;
  return counts;
}

/** Prints the coverage of a full run; returns whether it is enough. */
async function reportCoverage(modules: Parameters<typeof measureCoverage>[1]): Promise<boolean> {
  const lcovPath = `${coverageFolder}/lcov.info`;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["coverage", "--lcov", `--output=${lcovPath}`, coverageFolder],
    cwd: root,
    stdout: "null",
  }).output();
  if (!success) {
    print("Cannot read the coverage of this run");
    return false;
  }
  const { lines, covered, neverLoaded } = measureCoverage(await Deno.readTextFile(lcovPath), modules, root);
  const percent = 100 * covered / Math.max(lines, 1);
  for (const path of neverLoaded) print(`No test loads ${path}`);
  print(`Coverage: ${percent.toFixed(1)} % of ${lines} lines, at least ${COVERED_PERCENT_MIN} % are asked for`);
  return percent >= COVERED_PERCENT_MIN;
}

async function main(): Promise<number> {
  const modules = (await readTree(root)).filter(({ path }) => /\.tsx?$/.test(path)).map(scanModule);
  const paths = Deno.args.filter((argument) => exists(`${root}/${argument}`));
  const args = Deno.args.filter((argument) => !paths.includes(argument));
  const plan = planTests(modules, paths.map((path) => path.replace(/^\.\/|\/$/g, "")));
  const isFullRun = Deno.args.length === 0;
  const reports = await Deno.makeTempDir();
  if (isFullRun) {
    await Deno.remove(coverageFolder, { recursive: true }).catch(() => {});
    args.push(`--coverage=${coverageFolder}`, "--coverage-raw-data-only");
  }
  try {
    const env: Record<string, string> = {};
    if (plan.needsModels) env["ROOKERY_TEST_MODELS"] = await provideModels();
    if (plan.needsPostgres) env[POSTGRES.variable] = await provide(POSTGRES);
    if (plan.needsStudio) env[STUDIO.variable] = await provide(STUDIO);
    const report = `${reports}/junit.xml`;
    const runs: TestCounts[] = [];
    if (plan.quick.length > 0) runs.push(await runFiles(plan.quick, { args: ["--parallel", ...args], env, report }));
    for (const file of plan.slow) runs.push(await runFiles([file], { args, env, report }));
    const counts = sumCounts(runs);
    for (const name of counts.skipped) print(`Skipped: ${name}`);
    if (isFullRun && !(await reportCoverage(modules)) && isContinuousIntegration()) counts.failed++;
    const isEmpty = counts.passed + counts.failed + counts.skipped.length === 0;
    if (isEmpty) print(`No test matches ${Deno.args.join(" ")}`);
    print(summarise(counts));
    return counts.failed > 0 || isEmpty ? 1 : 0;
  } finally {
    await Deno.remove(reports, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main());
