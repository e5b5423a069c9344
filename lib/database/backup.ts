/**
 * Backups: one file that holds every row as text, and nothing of how a database stores it, so that one made of the
 * embedded database restores on a server and the other way round. It is gzip; below it every line is JSON: a head, then
 * for each table a line with its name and columns and one for each row, then sequences, then a foot with the SHA-256 of
 * all lines before it. Rows are arrays of text or null in the order of the columns.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { z } from "zod";
import { DomainError } from "../errors.ts";
import type { Database, Session } from "./database.ts";
import { type Blueprint, migrate, readDataVersion } from "./migrate.ts";

/** Rows that are read or written at a time, and the text that a write may hold in about that many characters. */
const BATCH = { rows: 500, characters: 4_000_000 };

const Head = z.object({
  rookery: z.literal("backup"),
  /** Of the file; another one is another program's. */
  format: z.literal(1),
  /** The last migration of the data. */
  version: z.string().regex(/^\d{14}$/),
  createdAt: z.iso.datetime(),
});

const Line = z.union([
  z.array(z.string().nullable()),
  z.strictObject({ table: z.string(), columns: z.array(z.string()) }),
  z.strictObject({ sequence: z.string(), value: z.string(), isCalled: z.boolean() }),
  z.strictObject({ rows: z.int(), sha256: z.string() }),
]);

type Line = z.infer<typeof Line>;

/** What is in a backup. */
export interface BackupSummary {
  /** The last migration of the data. */
  version: string;
  /** When it was made, in ISO 8601. */
  createdAt: string;
  tables: number;
  rows: number;
  /** Size of the file. */
  bytes: number;
}

/** Ours are all of these schemas; of Supabase's own only who has an account, with the password's hash. */
const TABLES = `
  select c.oid::int8 as oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r'
    and (n.nspname in ('public', 'app') or (n.nspname = 'auth' and c.relname = 'users'))
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by n.nspname = 'auth' desc, 2`;

const COLUMNS = `
  select quote_ident(attname) as name, format_type(atttypid, atttypmod) as type
  from pg_attribute
  where attrelid = $1::int8::oid and attnum > 0 and not attisdropped and attgenerated = ''
  order by attnum`;

const SEQUENCES = `
  select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'S' and n.nspname in ('public', 'app')
  order by 1`;

interface Column {
  name: string;
  type: string;
}

/**
 * Writes all data of a database, as it is at one moment, into a file that its owner alone may read. The file gets its
 * name when it is whole and on the disk. The embedded database serves nobody else meanwhile.
 *
 * @throws {DomainError} `data_incompatible` when the database has no migration.
 * @throws {DatabaseError} what keeps the data from being read.
 */
export async function writeBackup(database: Database, path: string): Promise<BackupSummary> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.part`;
  const file = await Deno.open(draft, { write: true, create: true, truncate: true, mode: 0o600 });
  try {
    const zip = new CompressionStream("gzip");
    const stored = store(zip.readable, file);
    // What keeps the file from being written is told where the lines are.
    stored.catch(() => {});
    const writer = new LineWriter(zip.writable);
    const counts = await database.asOwner((session) => writeData(session, writer));
    await writer.close();
    await stored;
    await file.sync();
    const { size } = await file.stat();
    await Deno.rename(draft, path);
    return { ...counts, bytes: size };
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw error;
  } finally {
    file.close();
  }
}

/** Not `pipeTo(file.writable)`, which in Deno 2.9.6 loses what a compression yields. */
async function store(chunks: ReadableStream<Uint8Array>, file: Deno.FsFile): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  }
}

async function writeData(session: Session, writer: LineWriter): Promise<Omit<BackupSummary, "bytes">> {
  // Rows that a policy hides are an error then, not left out.
  await session.query("set transaction isolation level repeatable read, read only; set local row_security = off");
  const version = await readDataVersion(session);
  if (version === null) {
    throw new DomainError("data_incompatible", "Cannot back up: the database holds no data of Rookery");
  }
  const createdAt = new Date().toISOString();
  await writer.write({ rookery: "backup", format: 1, version, createdAt });
  const tables = await session.query<{ oid: number; name: string }>(TABLES);
  let rows = 0;
  for (const { oid, name } of tables) {
    const columns = await session.query<Column>(COLUMNS, [oid]);
    await writer.write({ table: name, columns: columns.map((column) => column.name) });
    const texts = columns.map((column) => `${column.name}::text`).join(", ");
    await session.query(`declare backup no scroll cursor for select array[${texts}] as row from ${name}`);
    for (;;) {
      const batch = await session.query<{ row: (string | null)[] }>(`fetch ${BATCH.rows} from backup`);
      for (const { row } of batch) await writer.write(row);
      rows += batch.length;
      if (batch.length < BATCH.rows) break;
    }
    await session.query("close backup");
  }
  for (const { name } of await session.query<{ name: string }>(SEQUENCES)) {
    const read = `select last_value::text as value, is_called as "isCalled" from ${name}`;
    const [state] = await session.query<{ value: string; isCalled: boolean }>(read);
    await writer.write({ sequence: name, ...state! });
  }
  await writer.write({ rows, sha256: writer.sha256() });
  return { version, createdAt, tables: tables.length, rows };
}

/** Writes lines of JSON, and knows the checksum of those that it wrote. */
class LineWriter {
  readonly #hash = createHash("sha256");
  readonly #writer: WritableStreamDefaultWriter<BufferSource>;
  readonly #encoder = new TextEncoder();

  constructor(stream: WritableStream<BufferSource>) {
    this.#writer = stream.getWriter();
  }

  async write(line: object): Promise<void> {
    const bytes = this.#encoder.encode(JSON.stringify(line) + "\n");
    this.#hash.update(bytes);
    await this.#writer.write(bytes);
  }

  sha256(): string {
    return this.#hash.copy().digest("hex");
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}

/** How {@linkcode restoreBackup} restores. */
export interface RestoreOptions {
  blueprint: Blueprint;
  /** Whether data that is there may be deleted; otherwise it is an error. */
  replace: boolean;
}

/**
 * Fills a database with the data of a backup: migrates as far as the data goes, stores the rows, and migrates on. The
 * data is all there or, after an error, none of it.
 *
 * @throws {DomainError} `data_incompatible` for a file that is no backup, is damaged or was made by a newer Rookery, and
 *   when the database is newer than the backup or holds data that may not be replaced.
 * @throws {DatabaseError} what keeps the rows from being stored; a user without the right to `session_replication_role`
 *   cannot restore.
 */
export async function restoreBackup(
  database: Database,
  path: string,
  { blueprint, replace }: RestoreOptions,
): Promise<BackupSummary> {
  // All of it is read before anything is changed.
  const summary = await verifyBackup(path);
  const { version } = summary;
  const { migrations } = blueprint;
  if (!migrations.some((migration) => migration.version === version)) {
    throw damagedError(path, `it was made by another Rookery, with the migration ${version}; restore it with that one`);
  }
  const present = await database.asOwner(readDataVersion);
  if (present !== null && present > version) {
    throw damagedError(
      path,
      `its data (${version}) is older than the database (${present}); restore it into an empty one`,
    );
  }
  await migrate(database, { ...blueprint, migrations: migrations.filter((migration) => migration.version <= version) });
  await database.asOwner((session) => storeData(session, path, replace));
  await migrate(database, blueprint);
  return summary;
}

/**
 * Reads a backup to its end.
 *
 * @throws {DomainError} `data_incompatible` when it is none, or damaged.
 */
export async function verifyBackup(path: string): Promise<BackupSummary> {
  const { size: bytes } = await Deno.stat(path);
  const summary = { version: "", createdAt: "", tables: 0, rows: 0, bytes };
  for await (const line of readBackup(path)) {
    if ("version" in line) Object.assign(summary, { version: line.version, createdAt: line.createdAt });
    else if ("table" in line) summary.tables++;
    else if ("sha256" in line) summary.rows = line.rows;
  }
  return summary;
}

/** Yields the lines of a backup, and throws when they are not those that were written. */
async function* readBackup(path: string): AsyncGenerator<Line | z.infer<typeof Head>> {
  const hash = createHash("sha256");
  let rows = 0;
  let isFirst = true;
  let isComplete = false;
  try {
    for await (const text of readLines(path)) {
      if (isComplete) throw new TypeError("there is something behind its end");
      const line = isFirst ? Head.parse(JSON.parse(text)) : Line.parse(JSON.parse(text));
      isFirst = false;
      if ("sha256" in line) {
        isComplete = true;
        if (line.sha256 !== hash.copy().digest("hex") || line.rows !== rows) {
          throw new TypeError("its checksum is wrong");
        }
      }
      if (Array.isArray(line)) rows++;
      hash.update(text + "\n");
      yield line;
    }
  } catch (cause) {
    if (cause instanceof z.ZodError || cause instanceof SyntaxError) throw damagedError(path, "it is no backup", cause);
    if (cause instanceof TypeError) throw damagedError(path, cause.message, cause);
    throw cause;
  }
  if (!isComplete) throw damagedError(path, "its end is missing");
}

async function* readLines(path: string): AsyncGenerator<string> {
  const file = await Deno.open(path);
  const texts = file.readable.pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const text of texts) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}

async function storeData(session: Session, path: string, replace: boolean): Promise<void> {
  // Triggers and foreign keys would take each row for one that is being written now.
  await session.query("set local session_replication_role = replica; set local row_security = off");
  const names = (await session.query<{ name: string }>(TABLES)).map(({ name }) => name);
  const filled = [];
  for (const name of names) {
    if ((await session.query(`select from ${name} limit 1`)).length > 0) filled.push(name);
  }
  // Migrations themselves may store what every installation begins with.
  if (filled.includes("auth.users") && !replace) {
    throw damagedError(
      path,
      "the database holds accounts already; restore into an empty one, or replace what is there",
    );
  }
  for (const name of filled) await session.query(`delete from ${name}`);
  let table: TableWriter | null = null;
  for await (const line of readBackup(path)) {
    if (Array.isArray(line)) await table?.add(line);
    else await table?.flush();
    if ("table" in line) {
      // Only names that the database itself tells get into a statement.
      if (!names.includes(line.table)) throw damagedError(path, `there is no table ${line.table}`);
      table = await TableWriter.open(session, line);
    }
    if ("sequence" in line) {
      const { sequence, value, isCalled } = line;
      await session.query("select setval($1::text::regclass, $2::text::int8, $3)", [sequence, value, isCalled]);
    }
  }
}

/** Stores the rows of one table, many at a time. */
class TableWriter {
  #rows: (string | null)[][] = [];
  #characters = 0;

  private constructor(private readonly session: Session, private readonly statement: string) {}

  static async open(session: Session, { table, columns }: { table: string; columns: string[] }): Promise<TableWriter> {
    const [found] = await session.query<{ oid: number }>("select $1::text::regclass::oid::int8 as oid", [table]);
    const types = new Map((await session.query<Column>(COLUMNS, [found!.oid])).map(({ name, type }) => [name, type]));
    // Supabase's table of users may have other columns here than there; ours are the same, since the version is.
    const kept = columns.map((name, at) => ({ name, at, type: types.get(name) })).filter(({ type }) =>
      type !== undefined
    );
    const values = kept.map(({ at, type }) => `(row ->> ${at})::${type}`).join(", ");
    const names = kept.map(({ name }) => name).join(", ");
    const statement = `insert into ${table} (${names}) overriding system value select ${values} ` +
      "from jsonb_array_elements($1::jsonb) with ordinality as rows (row, at) order by at";
    return new TableWriter(session, statement);
  }

  async add(row: (string | null)[]): Promise<void> {
    this.#rows.push(row);
    this.#characters += row.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    if (this.#rows.length >= BATCH.rows || this.#characters >= BATCH.characters) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#rows.length > 0) await this.session.query(this.statement, [this.#rows]);
    this.#rows = [];
    this.#characters = 0;
  }
}

function damagedError(path: string, reason: string, cause?: unknown): DomainError {
  return new DomainError("data_incompatible", `Cannot restore ${path}: ${reason}`, { cause });
}
