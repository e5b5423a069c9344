/**
 * Measures a started Rookery over HTTP, and llama-server beside it when `LLAMA_SERVER` names its binary; prints Markdown
 * for the README. Both are started with their defaults, stay loaded, and work in turns, one at a time: A B, B A, A B, …
 * Embeddings are measured against Python's onnxruntime.
 *
 * Options: --decode-only, --rounds <n> (5), --model smollm2-135m | random-3b | all-minilm-l6-v2 (all).
 * With --database it measures conversations and log-ins instead, on the embedded database and on Postgres.
 */
import { parseArgs } from "node:util";
import { providePostgres } from "../runner/postgres.ts";
import { measureDatabases } from "./database.ts";
import { EMBEDDING_MODEL, measureEmbeddings } from "./embeddings.ts";
import { COMPARISON, measureServer } from "./measure.ts";
import { provideRandomModel } from "./random_model.ts";
import { takeTurns } from "./rounds.ts";
import {
  llamaServerFlags,
  readServedContext,
  type ServedContext,
  type ServedModel,
  type Server,
  startLlamaServer,
  startRookery,
} from "./servers.ts";
import { renderTable } from "./table.ts";

const STARTER = "smollm2-135m";
const RANDOM = "random-3b";

/** Major version of the server that the embedded database is compared with: its own. */
const POSTGRES = "18";

const root = Deno.cwd();
const folder = `${Deno.env.get("ROOKERY_DATA") || `${root}/data`}/bench`;
const config = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

async function run(path: string, args: string[], env: Record<string, string> = {}): Promise<string | null> {
  const { success, stdout, stderr } = await new Deno.Command(path, { args, cwd: root, env, stdin: "null" }).output();
  return success ? `${new TextDecoder().decode(stdout)}${new TextDecoder().decode(stderr)}`.trim() : null;
}

async function provideStarter(): Promise<string> {
  const models = Deno.env.get("ROOKERY_TEST_MODELS") || `${folder}/models`;
  const path = `${models}/${STARTER}.gguf`;
  if (await Deno.stat(path).then(() => true, () => false)) return path;
  const args = ["run", "--no-prompt", "-A", "cli/models/main.ts", "pull", STARTER];
  if (await run(Deno.execPath(), args, { ROOKERY_DATA: folder }) === null) throw new Error(`Cannot pull ${STARTER}`);
  return `${folder}/models/${STARTER}.gguf`;
}

/** How much is measured. */
interface BenchOptions {
  rounds: number;
  decodeOnly: boolean;
}

/** Measures one model in rounds. Each round begins with a question that nobody measures. */
async function measureModel(model: ServedModel, llamaServer: string | null, options: BenchOptions): Promise<void> {
  const { rounds: count, decodeOnly } = options;
  await using stack = new AsyncDisposableStack();
  const rookery = stack.use(await startRookery(model, folder));
  const context = await readServedContext(rookery);
  const other = llamaServer === null ? null : stack.use(await startLlamaServer(model, llamaServer, context));
  const measure = (server: Server) => (round: number) => measureServer(server, model.id, { round, decodeOnly });
  const rounds = await takeTurns(count, { own: measure(rookery), other: other === null ? null : measure(other) });
  print(`\n### ${model.id}\n`);
  print(describeServing(context, llamaServer !== null));
  print(`\n${renderTable(rounds, COMPARISON)}`);
}

function describeServing(context: ServedContext, isPaired: boolean): string {
  const { contextTokens, sequences } = context;
  const served = `${sequences} conversations of ${contextTokens.toLocaleString("en-US")} tokens`;
  return isPaired ? `${served}; llama-server has \`${llamaServerFlags(context).join(" ")}\`.` : `${served}.`;
}

/** The folder of a Postgres server's programs: fetched once, for tests too, unless `ROOKERY_TEST_POSTGRES` has them. */
async function provideServer(): Promise<string> {
  const given = (Deno.env.get("ROOKERY_TEST_POSTGRES") ?? "").replace(/\/$/, "");
  const servers = given === "" ? `${root}/data/test-postgres` : given;
  if (given === "") await providePostgres(servers);
  return `${servers}/${POSTGRES}`;
}

function nameVersion(dependency: string): string {
  return config.imports[dependency].replace("npm:", "");
}

async function describeEngines(llamaServer: string | null): Promise<string[]> {
  const engine = nameVersion("node-llama-cpp");
  if (llamaServer === null) return [engine];
  const version = /version: (.*)/.exec(await run(llamaServer, ["--version"]) ?? "")?.[1] ?? "unknown";
  return [engine, `llama-server ${version}`];
}

async function describeMachine(versions: string[]): Promise<string> {
  const processor = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  const memory = `${Math.round(Deno.systemMemoryInfo().total / 1e9)} GB`;
  const commit = await run("git", ["-c", "safe.directory=*", "rev-parse", "--short", "HEAD"]) ?? "unknown";
  const programs = [`Rookery at ${commit.slice(0, 12)}`, `Deno ${Deno.version.deno}`, ...versions];
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${processor}, ${navigator.hardwareConcurrency} cores, ${memory}`;
  return `${date}; ${machine}; ${programs.join(", ")}.`;
}

async function benchDatabases(rounds: number): Promise<void> {
  print(await describeMachine([nameVersion("@electric-sql/pglite")]));
  print(`Medians of \`deno task bench --database\`, rounds: ${rounds}; one Rookery works at a time.`);
  print(await measureDatabases({ modelPath: await provideStarter(), programs: await provideServer() }, { rounds }));
}

async function benchModels(ids: string[], options: BenchOptions): Promise<void> {
  const { rounds } = options;
  const llamaServer = Deno.env.get("LLAMA_SERVER") || null;
  print(await describeMachine(await describeEngines(llamaServer)));
  const command = llamaServer === null ? "deno task bench" : "LLAMA_SERVER=… deno task bench";
  print(`Medians of \`${command}\`, rounds: ${rounds}; one server works at a time.`);
  for (const id of ids) {
    if (id === EMBEDDING_MODEL) {
      print(`\n### ${id}\n\n${await measureEmbeddings(folder, rounds)}`);
      continue;
    }
    const starter = await provideStarter();
    const path = id === STARTER ? starter : await provideRandomModel(starter, folder);
    await measureModel({ id, path }, llamaServer, options);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      database: { type: "boolean", default: false },
      "decode-only": { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      model: { type: "string", multiple: true },
    },
  });
  const rounds = Number(values.rounds);
  const models = [STARTER, RANDOM, EMBEDDING_MODEL];
  const wanted = values.model ?? models;
  if (!Number.isInteger(rounds) || rounds < 1 || !wanted.every((id) => models.includes(id))) {
    throw new Error(
      `Usage: deno task bench --database [--rounds <n>], or deno task bench [--decode-only] [--rounds <n>] ${
        models.map((id) => `[--model ${id}]`).join(" ")
      }`,
    );
  }
  if (values.database) await benchDatabases(rounds);
  else await benchModels(wanted, { rounds, decodeOnly: values["decode-only"] });
}

if (import.meta.main) await main();
