import { join } from "node:path";
import { backUpInto } from "../database/backup_folder.ts";
import { type Database, DatabaseError, toDomainError } from "../database/database.ts";
import { type Blueprint, migrate, readBlueprint, requireMigrated } from "../database/migrate.ts";
import { openPglite } from "../database/pglite.ts";
import { openPostgres } from "../database/postgres.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { DataFolder } from "./data_folder.ts";

/** What {@linkcode openDatabase} and {@linkcode joinDatabase} open. */
export interface DatabasePlace {
  /** The address of a Postgres server, or null for the embedded database in `folder`. */
  url: string | null;
  folder: DataFolder;
  /** The project's folder. */
  rootDir: string;
  log: Logger;
}

/**
 * Opens the database of accounts and conversations, and brings it to what this Rookery needs, with a backup before.
 *
 * @throws {DomainError} `database_unavailable` that says what keeps it from opening; `data_incompatible` for data of a
 *   newer Rookery; `already_running`, `disk_full`.
 */
export async function openDatabase(place: DatabasePlace): Promise<Database> {
  const { url, folder, log } = place;
  const began = performance.now();
  return await openWith(place, async (database, blueprint) => {
    const onBeforeChange = async () => {
      const { path } = await backUpInto(database, folder.backups);
      log.info("database_backed_up", { path });
    };
    const { applied, version } = await migrate(database, blueprint, { onBeforeChange });
    const openMs = Math.round(performance.now() - began);
    log.info("database_opened", { kind: url === null ? "embedded" : "server", version, applied, openMs });
  });
}

/**
 * Opens a database that others look after, and changes nothing in it before it is used.
 *
 * @throws {DomainError} as {@linkcode openDatabase}, and `data_incompatible` also for data that lack a migration.
 */
export async function joinDatabase(place: DatabasePlace): Promise<Database> {
  return await openWith(place, requireMigrated);
}

async function openWith(
  place: DatabasePlace,
  prepare: (database: Database, blueprint: Blueprint) => Promise<void>,
): Promise<Database> {
  const { url, folder, rootDir, log } = place;
  const blueprint = await readBlueprint(join(rootDir, "supabase"));
  const database = await explain(place, async () => {
    return url === null ? await openPglite({ folder: folder.database, log }) : await openPostgres({ url, log });
  });
  try {
    await explain(place, () => prepare(database, blueprint));
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

async function explain<Result>(place: DatabasePlace, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (toDomainError(error).code === "disk_full") throw toDomainError(error);
    throw new DomainError("database_unavailable", describe(place, error), { cause: error });
  }
}

/** The driver's own words name hosts and users, and no password. */
function describe({ url, folder }: DatabasePlace, { message }: DatabaseError): string {
  const reason = message.replace(/[.\s]+$/, "");
  return url === null
    ? `Cannot open the database in ${folder.database}: ${reason}; if its files are damaged, restore a backup with ` +
      "`deno task db restore`"
    : `Cannot use the database of DATABASE_URL: ${reason}; start it, or correct the address`;
}
