/**
 * The thread of the embedded database, a Deno Worker: PGlite computes in the thread that asks, and its one session is
 * that of Postgres' single-user mode. It serves {@linkcode PgliteRequest}s one after the other.
 */
import { type Extensions, PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { amcheck } from "@electric-sql/pglite/contrib/amcheck";
import { citext } from "@electric-sql/pglite/contrib/citext";
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { unaccent } from "@electric-sql/pglite/contrib/unaccent";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import { vector } from "@electric-sql/pglite-pgvector";
import { dataDir as readEmptyArchive } from "@electric-sql/pglite-prepopulatedfs";
// As a whole: a test puts other operations into it.
import fs from "node:fs";
import { dirname } from "node:path";
import { Script } from "node:vm";
import { DatabaseError } from "./database.ts";
import type { PglitePlace, PgliteRefusal, PgliteReply, PgliteRequest } from "./pglite_protocol.ts";
import { COLUMN_READERS, JSON_OIDS, Parameter } from "./values.ts";

/** The part of a worker's global scope that is used; the types of windows are in force here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<PgliteRequest>) => void) | null;
  postMessage(reply: PgliteReply): void;
}

/** The parts of Emscripten's file systems that are used: https://emscripten.org/docs/api_reference/Filesystem-API.html */
interface FileSystems {
  ErrnoError: new (errno: number) => Error;
  filesystems: { NODEFS: { stream_ops: { fsync?: (stream: { nfd: number }) => number } } };
}

/** WASI's number for an input or output error. */
const EIO = 29;

/** PGlite's own, but with a disk that is waited for. `fdatasync`, the usual method, does nothing in PGlite. */
const START_PARAMS = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== "-F"),
  ...["-c", "fsync=on", "-c", "wal_sync_method=fsync", "-c", "timezone=UTC", "-c", "log_timezone=UTC"],
];

const EXTENSIONS: Extensions = { amcheck, citext, pg_trgm, unaccent, vector };

/**
 * PGlite's file system on the disk, with the operation that it lacks: without it every `fsync` of Postgres succeeds and
 * does nothing. It is there before Postgres starts, since recovery from a crash relies on it too.
 */
class DurableFS extends NodeFS {
  override async init(pg: PGlite, options: Parameters<NodeFS["init"]>[1]): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(pg, options);
    const giveSync = ({ FS }: { FS: unknown }) => {
      const { filesystems, ErrnoError } = FS as FileSystems;
      filesystems.NODEFS.stream_ops.fsync = ({ nfd }) => {
        try {
          fs.fsyncSync(nfd);
        } catch {
          throw new ErrnoError(EIO);
        }
        return 0;
      };
    };
    const preRun = [...(emscriptenOpts.preRun as ((module: { FS: unknown }) => void)[]), giveSync];
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }
}

/** Postgres' code for a statement that was cancelled. */
const DEADLINE = "57014";

/** First bytes of the messages that may take long: Bind, which plans, Execute and Query. */
const LONG_MESSAGES: readonly number[] = [..."BEQ"].map((letter) => letter.charCodeAt(0));

/** When the statement that runs must be done, on the clock of `performance.now`. */
let deadline = Infinity;

const scope = globalThis as unknown as WorkerScope;

let opened: { database: PGlite; lock: Deno.FsFile | null } | null = null;
let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      scope.postMessage(await answer(data));
    } catch (error) {
      const refusal = describe(error);
      if (refusal.isFatal) abandon();
      scope.postMessage({ type: "refused", id: data.id, error: refusal });
    }
  });
};

/** Postgres is as after a crash. Nothing may touch its files any more, so that another thread can open them. */
function abandon(): void {
  opened?.lock?.close();
  opened = null;
}

async function answer(request: PgliteRequest): Promise<PgliteReply> {
  const { id } = request;
  if (request.type === "open") {
    await open(request.place);
    return { type: "done", id, rows: [] };
  }
  if (opened === null) throw new Error("The database is not open");
  const { database, lock } = opened;
  switch (request.type) {
    case "query": {
      const { text, values } = request;
      deadline = performance.now() + request.deadlineMs;
      const parameters = values?.map((value) => value === null ? null : new Parameter(value));
      const results = parameters === undefined ? await database.exec(text) : [await database.query(text, parameters)];
      return {
        type: "done",
        id,
        rows: results.findLast(givesRows)?.rows as object[] | undefined ?? [],
      };
    }
    case "dump": {
      const archive = await database.dumpDataDir("gzip");
      return { type: "dumped", id, archive: new Uint8Array(await archive.arrayBuffer()) };
    }
    case "close":
      opened = null;
      await database.close();
      lock?.close();
      return { type: "done", id, rows: [] };
  }
}

/** Whether a result is that of a statement that gives rows; a row may have no columns. */
function givesRows({ fields, rows }: { fields: readonly unknown[]; rows: readonly unknown[] }): boolean {
  return fields.length > 0 || rows.length > 0;
}

async function open({ folder, template }: PglitePlace): Promise<void> {
  if (folder === null) {
    opened = { database: await start({ loadDataDir: await toArchive(template) }), lock: null };
    return;
  }
  // Its predecessor may have been ended in the middle of a write: the system frees the lock when it is really gone.
  const lock = await Deno.open(`${folder}.thread.lock`, { read: true, write: true, create: true, mode: 0o600 });
  await lock.lock(true);
  if (!exists(`${folder}/PG_VERSION`)) await create(folder, { loadDataDir: await toArchive(template) });
  opened = { database: await start({ fs: new DurableFS(folder) }), lock };
}

/** What a new database begins with: without a template, what PGlite's makers had `initdb` write, which takes seconds. */
async function toArchive(template: PglitePlace["template"]): Promise<Blob | File> {
  return template === null ? await readEmptyArchive() : new Blob([template], { type: "application/x-gzip" });
}

async function start(options: PGliteOptions): Promise<PGlite> {
  const database = await PGlite.create({ ...options, startParams: START_PARAMS, extensions: EXTENSIONS });
  database.parsers = Object.fromEntries(COLUMN_READERS);
  database.serializers = Object.fromEntries(JSON_OIDS.map((oid) => [oid, (value: Parameter) => value.toJsonText()]));
  guard(database);
  database.onNotification((channel, payload) => scope.postMessage({ type: "notified", channel, payload }));
  return database;
}

/**
 * Gives statements a deadline. Postgres' own needs signals, which there are none of, and a worker that computes cannot be
 * ended from outside (denoland/deno#35657 is about that). What V8 runs under a time limit it does stop, WebAssembly too,
 * between any two instructions: as a power cut would, so that Postgres must be opened again then.
 */
function guard(database: PGlite): void {
  const run = database.execProtocolRawSync.bind(database);
  const shared = globalThis as unknown as { runMessage: () => Uint8Array };
  const script = new Script("runMessage()");
  database.execProtocolRawSync = (message) => {
    if (!LONG_MESSAGES.includes(message[0]!)) return run(message);
    shared.runMessage = () => run(message);
    const timeout = Math.max(1, Math.ceil(deadline - performance.now()));
    try {
      return script.runInThisContext({ timeout });
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
      throw new DatabaseError("The statement took longer than it may", { sqlState: DEADLINE });
    }
  };
}

/** A folder that is there is a whole one: it gets its name when all of it is on the disk. */
async function create(folder: string, options: PGliteOptions): Promise<void> {
  const draft = `${folder}.part`;
  if (exists(draft)) await Deno.remove(draft, { recursive: true });
  await Deno.mkdir(draft, { mode: 0o700 });
  const database = await PGlite.create({
    ...options,
    dataDir: draft,
    startParams: START_PARAMS,
    extensions: EXTENSIONS,
  });
  await database.exec("checkpoint");
  await database.close();
  syncTree(draft);
  await Deno.rename(draft, folder);
  sync(dirname(folder));
}

function syncTree(folder: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) syncTree(path);
    else sync(path);
  }
  sync(folder);
}

function sync(path: string): void {
  // Windows opens no folders, and has nothing to be told about them.
  if (Deno.build.os === "windows" && Deno.statSync(path).isDirectory) return;
  const file = fs.openSync(path, "r");
  try {
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function describe(error: unknown): PgliteRefusal {
  const { message, constraint, detail, ...rest } = error as Record<string, unknown>;
  const code = error instanceof DatabaseError ? error.sqlState : rest["code"];
  const text = (value: unknown) => typeof value === "string" ? value : null;
  const isPostgres = typeof code === "string" && /^[0-9A-Z]{5}$/.test(code);
  return {
    message: text(message) ?? String(error),
    sqlState: isPostgres ? code : null,
    constraint: text(constraint),
    detail: text(detail),
    // Emscripten's ExitStatus is what a fatal error of Postgres ends in, a trap what a panic does.
    isFatal: code === DEADLINE || error instanceof WebAssembly.RuntimeError || (error as Error)?.name === "ExitStatus",
  };
}
