/**
 * Brings a database to what this Rookery works with. Migrations go forward only. Each is recorded where Supabase's own
 * `supabase db push` looks, so that either may go first.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DomainError } from "../errors.ts";
import { type Database, DatabaseError, type Session } from "./database.ts";

/** One file of `supabase/migrations`: `<version>_<name>.sql`. */
export interface Migration {
  /** When it was written, as digits; the order of migrations. */
  version: string;
  name: string;
  text: string;
  /** SHA-256 of the text, in hexadecimal. */
  sha256: string;
}

/** What a database is made of. */
export interface Blueprint {
  /** Statements that bring what Supabase has and another Postgres lacks; each can run again. */
  stubs: string[];
  /** In their order. */
  migrations: Migration[];
}

/** What {@linkcode migrate} did. */
export interface MigrationReport {
  /** The versions that were applied now. */
  applied: string[];
  /** The version that the data has now; null without any migration. */
  version: string | null;
}

/** What {@linkcode migrate} may be told. */
export interface MigrateOptions {
  /** Called before the first change to a database that holds data already; what it throws ends the migration. */
  onBeforeChange?: (versions: { from: string; to: string }) => Promise<void>;
}

/** Key of the advisory lock: `rookery` in ASCII, as a number. */
const LOCK_KEY = 0x726f6f6b657279n;

/** As Supabase's command line makes it, and beside it what it has no place for. */
const BOOKS = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
  alter table supabase_migrations.schema_migrations add column if not exists statements text[];
  alter table supabase_migrations.schema_migrations add column if not exists name text;
  create table if not exists supabase_migrations.rookery_checksums (
    version text not null primary key,
    sha256 text not null,
    applied_at timestamptz not null default now()
  );
  alter table supabase_migrations.rookery_checksums enable row level security`;

/** Where Supabase is not, there is no `auth.uid()`, or it is the one that the stubs made. */
const NEEDS_STUBS = `
  select to_regprocedure('auth.uid()') is null
    or coalesce(obj_description(to_regclass('auth.users'), 'pg_class'), '') like 'Rookery%' as yes`;

/**
 * Reads `migrations/` and `embedded/` of the folder `supabase`.
 *
 * @throws {TypeError} for a file with another name than `<version>_<name>.sql`.
 */
export async function readBlueprint(folder: string): Promise<Blueprint> {
  const stubs = await readFolder(join(folder, "embedded"));
  const files = await readFolder(join(folder, "migrations"));
  const migrations = files.map(({ file, text }) => {
    const match = /^(\d{14})_([a-z0-9_]+)\.sql$/.exec(file);
    if (match === null) throw new TypeError(`The migration "${file}" must be named <14 digits>_<name>.sql`);
    const sha256 = createHash("sha256").update(text).digest("hex");
    return { version: match[1]!, name: match[2]!, text, sha256 };
  });
  return { stubs: stubs.map(({ text }) => text), migrations };
}

async function readFolder(folder: string): Promise<{ file: string; text: string }[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const files = entries.map(({ name }) => name).filter((name) => name.endsWith(".sql")).toSorted();
  return await Promise.all(files.map(async (file) => ({ file, text: await Deno.readTextFile(join(folder, file)) })));
}

/**
 * Applies the migrations that a database lacks, each in a transaction of its own. Several runtimes may do so at once:
 * one applies, the others wait and find it done.
 *
 * @throws {DomainError} `data_incompatible` when the data was written by a newer Rookery, when a migration was changed
 *   after it was applied, or when one would be applied after a later one.
 * @throws {DatabaseError} of a migration, with its name; what came before it stays applied.
 */
export async function migrate(
  database: Database,
  { stubs, migrations }: Blueprint,
  { onBeforeChange }: MigrateOptions = {},
): Promise<MigrationReport> {
  const pending = await inLock(database, async (session) => {
    await session.query(BOOKS);
    const [answer] = await session.query<{ yes: boolean }>(NEEDS_STUBS);
    if (answer?.yes) { for (const stub of stubs) await session.query(stub); }
    return await findPending(session, migrations);
  });
  const last = migrations.at(-1)?.version ?? null;
  const from = migrations.findLast(({ version }) => !pending.some((other) => other.version === version))?.version;
  if (pending.length > 0 && from !== undefined && last !== null) await onBeforeChange?.({ from, to: last });
  const applied: string[] = [];
  for (const migration of pending) {
    if (await inLock(database, (session) => apply(session, migration))) applied.push(migration.version);
  }
  return { applied, version: last };
}

/**
 * Refuses a database that is not what this Rookery needs, and changes nothing in it.
 *
 * @throws {DomainError} `data_incompatible` when a migration is missing, or when a newer Rookery wrote the data.
 */
export async function requireMigrated(database: Database, { migrations }: Blueprint): Promise<void> {
  const last = migrations.at(-1)?.version ?? null;
  const version = await database.asOwner(readDataVersion);
  if (version === last) return;
  if (version !== null && (last === null || version > last)) throw newerError(version);
  const message = `Cannot use this data: the migration ${last} is not applied to it; apply it with ` +
    "`deno task db migrate`, or start Rookery on it once";
  throw new DomainError("data_incompatible", message, { details: { version } });
}

/** The last migration that a database has, or null; `session` is the owner's. */
export async function readDataVersion(session: Session): Promise<string | null> {
  const books = "select to_regclass('supabase_migrations.rookery_checksums') is not null as yes";
  const [answer] = await session.query<{ yes: boolean }>(books);
  if (!answer?.yes) return null;
  const last = "select max(version) as version from supabase_migrations.rookery_checksums";
  const [row] = await session.query<{ version: string | null }>(last);
  return row?.version ?? null;
}

function inLock<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  return database.asOwner(async (session) => {
    await session.query("select pg_advisory_xact_lock($1::int8)", [LOCK_KEY]);
    return await work(session);
  });
}

async function findPending(session: Session, migrations: Migration[]): Promise<Migration[]> {
  const rows = await session.query<{ version: string; sha256: string | null }>(`
    select coalesce(m.version, c.version) as version, c.sha256
    from supabase_migrations.schema_migrations m
    full join supabase_migrations.rookery_checksums c using (version)
    order by 1`);
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  for (const { version, sha256 } of rows) {
    const migration = known.get(version);
    if (migration === undefined) {
      // Without a checksum it is the operator's own, of the same Supabase project.
      if (sha256 !== null) throw newerError(version);
    } else if (sha256 === null) {
      await recordChecksum(session, migration);
    } else if (sha256 !== migration.sha256) {
      throw changedError(migration);
    }
  }
  const applied = new Set(rows.map(({ version }) => version));
  const pending = migrations.filter(({ version }) => !applied.has(version));
  const latest = migrations.findLast(({ version }) => applied.has(version));
  const [first] = pending;
  if (latest !== undefined && first !== undefined && first.version < latest.version) throw lateError(first, latest);
  return pending;
}

async function apply(session: Session, migration: Migration): Promise<boolean> {
  const { version, name, text } = migration;
  const done = await session.query("select from supabase_migrations.schema_migrations where version = $1", [version]);
  if (done.length > 0) return false;
  try {
    await session.query(text);
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { message, sqlState, constraint, detail } = error;
    throw new DatabaseError(`Cannot apply the migration ${version}_${name}: ${message}`, {
      sqlState,
      constraint,
      detail,
      cause: error,
    });
  }
  await session.query(
    "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, array[$3])",
    [version, name, text],
  );
  await recordChecksum(session, migration);
  return true;
}

async function recordChecksum(session: Session, { version, sha256 }: Migration): Promise<void> {
  const text = "insert into supabase_migrations.rookery_checksums (version, sha256) values ($1, $2)";
  await session.query(text, [version, sha256]);
}

function newerError(version: string): DomainError {
  const message =
    `Cannot use this data: it was written by a newer Rookery (migration ${version}); start that one, or ` +
    "restore a backup that this one made";
  return new DomainError("data_incompatible", message, { details: { version } });
}

function changedError({ version, name }: Migration): DomainError {
  const message = `Cannot use this data: the migration ${version}_${name} is not the one that was applied to it; put ` +
    "the file back as it was, and write a new migration for what shall change";
  return new DomainError("data_incompatible", message, { details: { version } });
}

function lateError(late: Migration, latest: Migration): DomainError {
  const message = `Cannot apply the migration ${late.version}_${late.name}: the later one ${latest.version}_` +
    `${latest.name} is applied already; give it a later version`;
  return new DomainError("data_incompatible", message, { details: { version: late.version } });
}
