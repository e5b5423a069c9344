import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { ModelManifest } from "../../lib/contracts/manifest.ts";
import { type Catalog, type CatalogEntry, openCatalog } from "../../lib/catalog/catalog.ts";
import { createProgressPrinter, formatBytes } from "../../lib/catalog/progress.ts";
import { PURPOSE_NAMES, recommend } from "../../lib/catalog/recommend.ts";
import { readSettings } from "../../lib/env.ts";
import { DomainError } from "../../lib/errors.ts";
import { measureFreeMemory, measureTotalMemory } from "../../lib/free_memory.ts";
import { renderRecommendations } from "./recommendations.ts";
import { formatTable } from "./table.ts";

const HELP = `Usage: deno task models <command>

  list                          what is here and what can be had
  recommend [--for copilot]     what fits the memory of this machine, the best first; --json for programs
  pull <id>                     fetch a model; goes on where an earlier pull stopped
  pull hf.co/<owner>/<repo>     fetch a GGUF model of the hub; :Q8_0 behind it chooses a quantization
  import <file.gguf> [--id x]   copy a GGUF file in; --force replaces a model of that id
  verify [id]                   read a model, or all, and compare checksums
  remove <id>                   delete a model, or what an unfinished pull left

Models are in $ROOKERY_DATA/models (./data/models). Any GGUF file put there is found as well, and any folder with an
ONNX model.
Serve one with ROOKERY_MODEL=<id>. Exit codes: 0 done, 1 failed, 2 not understood, 130 stopped.
`;

const print = (text: string): void => void Deno.stdout.writeSync(new TextEncoder().encode(text));
const complain = (text: string): void => void Deno.stderr.writeSync(new TextEncoder().encode(text));

/** A command line that says nothing that can be done. */
class UsageError extends Error {}

/** What a command works with. */
interface Session {
  catalog: Catalog;
  modelsDir: string;
  signal: AbortSignal;
}

/** A pull, import or verification with its progress on the screen. */
function followProgress(session: Session) {
  const terminal = Deno.stdout.isTerminal();
  const columns = (): number => terminal ? Deno.consoleSize().columns : 80;
  const printer = createProgressPrinter(print, { terminal, columns });
  const onNotice = (message: string): void => {
    printer.end();
    complain(`${message}\n`);
  };
  return { printer, options: { signal: session.signal, onProgress: printer.show, onNotice } };
}

async function listModels({ catalog, modelsDir }: Session): Promise<number> {
  const entries = await catalog.list();
  const rows = entries.map((entry) => [entry.id, describeState(entry), describeSize(entry), describeKind(entry)]);
  print(formatTable([["ID", "STATE", "SIZE", "WHAT"], ...rows]));
  for (const entry of entries) if (entry.state === "broken") complain(`${entry.id}: ${entry.problem}\n`);
  print(`\nModels are in ${modelsDir}; get one with: deno task models pull <id>\n`);
  return 0;
}

function describeState(entry: CatalogEntry): string {
  return entry.state === "available" && entry.partialBytes > 0 ? "unfinished" : entry.state;
}

function describeSize({ sizeBytes }: CatalogEntry): string {
  return sizeBytes === null ? "?" : formatBytes(sizeBytes);
}

function describeKind(entry: CatalogEntry): string {
  if (entry.state === "installed") {
    const { name, kind, quantization, contextTokensTrained, licence } = entry.model;
    const kindShown = kind === "chat" ? null : kind;
    return [name, kindShown, quantization, `${contextTokensTrained} tokens`, licence, describeOrigin(entry.source)]
      .filter((part) => part !== null).join(", ");
  }
  if (entry.manifest === null) return entry.name;
  const { name, kind, contextTokens, memoryBytes, licence } = entry.manifest;
  return [
    name,
    kind === "chat" ? null : kind,
    contextTokens === null ? null : `${contextTokens} tokens`,
    memoryBytes === null ? null : `about ${formatBytes(memoryBytes)} of memory`,
    licence?.name ?? "licence unknown",
  ].filter((part) => part !== null).join(", ");
}

/** Where a model came from, unless a package did: its name would say nothing. */
function describeOrigin(source: string | null): string | null {
  if (source?.startsWith("file://")) return `from ${source.slice("file://".length)}`;
  const repository = /^hf:([^/]+\/[^/@]+)/.exec(source ?? "")?.[1];
  return repository === undefined ? null : `from hf.co/${repository}`;
}

async function recommendModels(
  { catalog }: Session,
  { purpose, json }: { purpose: string; json: boolean },
): Promise<number> {
  const known = PURPOSE_NAMES.find((name) => name === purpose);
  if (known === undefined) throw new UsageError(`--for takes ${PURPOSE_NAMES.join(" or ")}`);
  const entries = await catalog.list();
  const manifests = entries.flatMap(({ manifest }) => manifest ?? []);
  const memory = { totalBytes: measureTotalMemory(), freeBytes: measureFreeMemory() };
  const recommendations = recommend({ manifests, memoryBytes: memory.totalBytes, purpose: known });
  const installed = new Set(entries.filter(({ state }) => state === "installed").map(({ id }) => id));
  print(renderRecommendations(recommendations, { memory, purpose: known, installed, json }));
  return 0;
}

function describeLicence({ name, licence }: ModelManifest): string {
  return `${name}, licence: ${licence === null ? "unknown" : `${licence.name}, ${licence.url}`}\n`;
}

async function pullModel(session: Session, id: string): Promise<number> {
  const { printer, options } = followProgress(session);
  const manifest = (await session.catalog.list()).find((entry) => entry.id === id)?.manifest;
  if (manifest) print(describeLicence(manifest));
  try {
    const model = await session.catalog.pull(id, options);
    printer.end();
    if (!manifest && model.licence !== null) print(`${model.name}, licence: ${model.licence}\n`);
    print(`"${model.id}" is here: ${model.path}\n`);
    return 0;
  } finally {
    printer.end();
  }
}

async function importFile(session: Session, path: string, flags: { id?: string; force: boolean }): Promise<number> {
  const { printer, options } = followProgress(session);
  try {
    const model = await session.catalog.importFile(path, { ...options, id: flags.id ?? null, force: flags.force });
    printer.end();
    print(`"${model.id}" is here: ${model.path}\n`);
    return 0;
  } finally {
    printer.end();
  }
}

async function verifyModels(session: Session, id: string | undefined): Promise<number> {
  const present = (await session.catalog.list()).filter((entry) => entry.state !== "available");
  const ids = id === undefined ? present.map((entry) => entry.id) : [id];
  if (ids.length === 0) print("There is no model to verify\n");
  let failures = 0;
  for (const each of ids) if (!await verifyModel(session, each)) failures++;
  return failures === 0 ? 0 : 1;
}

async function verifyModel(session: Session, id: string): Promise<boolean> {
  const { printer, options } = followProgress(session);
  try {
    const { sha256, expectedSha256, intact, changedFiles } = await session.catalog.verify(id, options);
    printer.end();
    if (!intact) {
      complain(
        `${id}: changed (${changedFiles.join(", ")}). Its SHA-256 is ${sha256} and should be ${expectedSha256}\n`,
      );
    } else print(`${id}: ${expectedSha256 === null ? "recorded" : "intact"}, SHA-256 ${sha256}\n`);
    return intact;
  } catch (error) {
    printer.end();
    if (!(error instanceof DomainError) || error.code === "request_cancelled") throw error;
    complain(`${error.message}\n`);
    return false;
  }
}

async function removeModel({ catalog }: Session, id: string): Promise<number> {
  print(`Removed "${id}": ${formatBytes(await catalog.remove(id))} are free again\n`);
  return 0;
}

/** The command that a command line asks for. */
function readCommand(args: string[]): (session: Session) => Promise<number> {
  const { positionals: [name, operand, ...rest], values } = parseCommandLine(args);
  const needed = (what: string): string => {
    if (operand === undefined) throw new UsageError(`${name} needs ${what}`);
    return operand;
  };
  const { id, force = false, json = false, for: purpose } = values;
  if (rest.length > 0) throw new UsageError(`too much: ${rest.join(" ")}`);
  if (name !== "import" && (id !== undefined || force)) throw new UsageError("--id and --force belong to import");
  if (name !== "recommend" && (json || purpose !== undefined)) {
    throw new UsageError("--for and --json belong to recommend");
  }
  switch (name) {
    case "recommend":
      if (operand !== undefined) throw new UsageError(`too much: ${operand}`);
      return (session) => recommendModels(session, { purpose: purpose ?? "chat", json });
    case "list":
      if (operand !== undefined) throw new UsageError(`too much: ${operand}`);
      return listModels;
    case "pull": {
      const model = needed("the id of a model, or hf.co/<owner>/<repo>");
      return (session) => pullModel(session, model);
    }
    case "import": {
      const file = needed("a GGUF file");
      return (session) => importFile(session, file, { force, ...(id === undefined ? {} : { id }) });
    }
    case "verify":
      return (session) => verifyModels(session, operand);
    case "remove": {
      const model = needed("the id of a model");
      return (session) => removeModel(session, model);
    }
    default:
      throw new UsageError(name === undefined ? "a command is missing" : `there is no command "${name}"`);
  }
}

function parseCommandLine(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        id: { type: "string" },
        force: { type: "boolean" },
        for: { type: "string" },
        json: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function openSession(): Session {
  const settings = readSettings(Deno.env.toObject());
  const modelsDir = resolve(settings.dataDir, "models");
  const manifestsDir = join(import.meta.dirname!, "../../models");
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
    Deno.addSignalListener(signal, () => stop.abort());
  }
  return { catalog: openCatalog({ manifestsDir, modelsDir, env: settings }), modelsDir, signal: stop.signal };
}

async function main(args: string[]): Promise<number> {
  if (args.length === 0 || args.includes("--help") || args.includes("-h") || args[0] === "help") {
    print(HELP);
    return args.length === 0 ? 2 : 0;
  }
  try {
    return await readCommand(args)(openSession());
  } catch (error) {
    if (error instanceof UsageError) complain(`${error.message}\n\n${HELP}`);
    else if (error instanceof DomainError) complain(`${error.message}\n`);
    else throw error;
    if (error instanceof UsageError) return 2;
    return error.code === "request_cancelled" ? 130 : 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
