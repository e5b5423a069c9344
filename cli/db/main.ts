import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { formatBytes } from "../../lib/catalog/progress.ts";
import { type BackupSummary, restoreBackup, writeBackup } from "../../lib/database/backup.ts";
import { backUpInto, type StoredBackup } from "../../lib/database/backup_folder.ts";
import type { Database } from "../../lib/database/database.ts";
import { migrate, type MigrationReport, readBlueprint } from "../../lib/database/migrate.ts";
import { openPglite } from "../../lib/database/pglite.ts";
import { openPostgres } from "../../lib/database/postgres.ts";
import { replaceEmbedded, restoreEmbedded } from "../../lib/database/replace_embedded.ts";
import { readSettings } from "../../lib/env.ts";
import { DomainError } from "../../lib/errors.ts";
import { createLogger, type Logger } from "../../lib/log.ts";
import { askOperator } from "../../lib/runtime/ask_operator.ts";
import { type DataFolder, makeDataFolder, nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { type InstanceLock, lockDataFolder } from "../../lib/runtime/instance_lock.ts";
import { type OperatorNote, readOperator } from "../../lib/runtime/operator.ts";
import { printTo } from "../../lib/terminal.ts";

const HELP = `Usage: deno task db <command>

  backup [file]               write everything into a file; also while Rookery runs
  restore <file> [--replace]  fill the database from a backup; --replace puts away what is there
  migrate                     bring the data to this version of Rookery, with a backup before
  seed                        store the examples of supabase/seed.sql
  reset --yes                 put away everything in the embedded database, and begin anew

It is about the database of DATABASE_URL, or else the embedded one in $ROOKERY_DATA. A backup of either restores into the
other. Backups hold passwords' hashes: keep them to yourself. Exit codes: 0 done, 1 failed, 2 not understood.
`;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** How long a running Rookery may take for a backup, in milliseconds. */
const BACKUP_MS = 600_000;

const print = (text: string): void => printTo(Deno.stdout, text);

/** A command line that says nothing that can be done. */
class UsageError extends Error {}

/** What a command works with. */
interface Place {
  /** The address of a server, or null for the embedded database. */
  url: string | null;
  folder: DataFolder;
  log: Logger;
}

/** Opens the database for `work` alone; the embedded one only while no Rookery runs on it. */
async function withDatabase<T>({ url, folder, log }: Place, work: (database: Database) => Promise<T>): Promise<T> {
  if (url !== null) {
    await using database = await openPostgres({ url, log });
    return await work(database);
  }
  await makeDataFolder(folder);
  using _lock = await lockFolder(folder);
  await using database = await openPglite({ folder: folder.database, upkeepMs: null, log });
  return await work(database);
}

async function lockFolder(folder: DataFolder): Promise<InstanceLock> {
  try {
    return await lockDataFolder(folder);
  } catch (cause) {
    if (!(cause instanceof DomainError) || cause.code !== "already_running") throw cause;
    throw new DomainError("already_running", `Rookery runs on ${folder.root}: stop it, then try again`, { cause });
  }
}

async function backUp(place: Place, file: string | null): Promise<number> {
  const path = file === null ? null : resolve(file);
  const work = async (database: Database) =>
    path === null ? await backUpInto(database, place.folder.backups) : { ...await writeBackup(database, path), path };
  const operator = place.url === null ? await readOperator(place.folder) : null;
  const stored = operator === null ? null : await askRunning(operator);
  const done = stored ?? await withDatabase(place, work);
  if (stored !== null && path !== null) {
    await Deno.copyFile(stored.path, path);
    await Deno.remove(stored.path);
    done.path = path;
  }
  print(`${describe(done)} in ${done.path}\n`);
  return 0;
}

/** Asks the running Rookery for a backup; null when none listens at that address any more. */
async function askRunning(operator: OperatorNote): Promise<StoredBackup | null> {
  const question = { method: "POST", path: "/api/admin/database/backups", timeoutMs: BACKUP_MS };
  const answer = await askOperator(operator, question).catch((cause) => {
    if (cause.code === "ECONNREFUSED") return null;
    const message =
      `Cannot ask the Rookery that runs at ${operator.url} for a backup: ${cause.message}; stop it, then ` +
      "try again";
    throw new DomainError("internal_error", message, { cause });
  });
  if (answer === null) return null;
  const body = parseJson(answer.text);
  if (answer.status === 201) return body;
  const reason = body?.error?.message ?? body?.error ?? `it answers ${answer.status}`;
  throw new DomainError("internal_error", `The running Rookery cannot make a backup: ${reason}`);
}

function parseJson(text: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function restore(place: Place, { file, replace }: { file: string; replace: boolean }): Promise<number> {
  const path = resolve(file);
  const blueprint = await readBlueprint(join(ROOT, "supabase"));
  if (place.url !== null) {
    const work = (database: Database) => restoreBackup(database, path, { blueprint, replace });
    print(`${describe(await withDatabase(place, work))} restored\n`);
    return 0;
  }
  await makeDataFolder(place.folder);
  using _lock = await lockFolder(place.folder);
  const { database: folder } = place.folder;
  const { summary, putAway } = await restoreEmbedded(folder, { file: path, blueprint, replace, log: place.log });
  print(`${describe(summary)} restored${putAway === null ? "" : `; what was there is in ${putAway}`}\n`);
  return 0;
}

/** Brings a database up to date, with a backup before where there is something to lose. */
async function bringUpToDate(database: Database, { folder }: Place): Promise<MigrationReport> {
  const blueprint = await readBlueprint(join(ROOT, "supabase"));
  const onBeforeChange = async () => {
    const { path } = await backUpInto(database, folder.backups);
    print(`A backup of what was there is in ${path}\n`);
  };
  return await migrate(database, blueprint, { onBeforeChange });
}

async function migrateData(place: Place): Promise<number> {
  const { applied, version } = await withDatabase(place, (database) => bringUpToDate(database, place));
  print(
    `${applied.length === 0 ? "Nothing to do" : `Applied ${applied.join(", ")}`}; the data has version ${version}\n`,
  );
  return 0;
}

async function seed(place: Place): Promise<number> {
  const path = join(ROOT, "supabase", "seed.sql");
  const text = await Deno.readTextFile(path);
  await withDatabase(place, async (database) => {
    await bringUpToDate(database, place);
    await database.asOwner((session) => session.query(text));
  });
  print(`Stored what is in ${path}\n`);
  return 0;
}

async function reset(place: Place): Promise<number> {
  if (place.url !== null) {
    const message =
      "Cannot reset the database of DATABASE_URL: only its owner knows what else is in it; drop and create " +
      "it, or use `supabase db reset`";
    throw new DomainError("invalid_config", message);
  }
  await makeDataFolder(place.folder);
  using _lock = await lockFolder(place.folder);
  const blueprint = await readBlueprint(join(ROOT, "supabase"));
  const { database: folder } = place.folder;
  const putAway = await replaceEmbedded(folder, { log: place.log, fill: (database) => migrate(database, blueprint) });
  print(`The database is empty${putAway === null ? "" : `; what was there is in ${putAway} until you delete it`}\n`);
  return 0;
}

function describe({ tables, rows, bytes, version, createdAt }: BackupSummary): string {
  return `${rows} rows of ${tables} tables (${formatBytes(bytes)}, version ${version}, ${createdAt})`;
}

/** The command that a command line asks for. */
function readCommand(args: string[]): (place: Place) => Promise<number> {
  const { positionals: [name, operand, ...rest], values: { replace, yes } } = parseCommandLine(args);
  const extra = name === "backup" || name === "restore"
    ? rest
    : [operand, ...rest].filter((part) => part !== undefined);
  if (extra.length > 0) throw new UsageError(`too much: ${extra.join(" ")}`);
  if (replace && name !== "restore") throw new UsageError("--replace belongs to restore");
  if (yes && name !== "reset") throw new UsageError("--yes belongs to reset");
  switch (name) {
    case "backup":
      return (place) => backUp(place, operand ?? null);
    case "restore":
      if (operand === undefined) throw new UsageError("restore needs the file of a backup");
      return (place) => restore(place, { file: operand, replace });
    case "migrate":
      return migrateData;
    case "seed":
      return seed;
    case "reset":
      if (!yes) throw new UsageError("reset takes everything out of the database; say --yes if you mean it");
      return reset;
    default:
      throw new UsageError(name === undefined ? "which command?" : `unknown command "${name}"`);
  }
}

function parseCommandLine(args: string[]) {
  try {
    const flag = { type: "boolean", default: false } as const;
    return parseArgs({ args, allowPositionals: true, options: { replace: flag, yes: flag } });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function main(args: string[]): Promise<number> {
  if (args.some((argument) => ["help", "--help", "-h"].includes(argument))) {
    print(HELP);
    return 0;
  }
  try {
    const command = readCommand(args);
    const { databaseUrl, dataDir } = readSettings(Deno.env.toObject());
    const log = createLogger({ level: "error", write: (line) => printTo(Deno.stderr, line) });
    return await command({ url: databaseUrl, folder: nameDataFolder(resolve(dataDir)), log });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    printTo(Deno.stderr, error instanceof UsageError ? `${message}\n\n${HELP}` : `${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
