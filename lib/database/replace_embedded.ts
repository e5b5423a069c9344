/** Puts another embedded database in the place of one that nobody has open. */
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type BackupSummary, restoreBackup } from "./backup.ts";
import type { Database } from "./database.ts";
import type { Blueprint } from "./migrate.ts";
import { openPglite } from "./pglite.ts";

/** What the new database is filled with. */
export interface ReplaceOptions {
  fill: (database: Database) => Promise<unknown>;
  log: Logger;
}

/**
 * Fills a new database and, when all of it is there, gives it the name of the old one, which is put away beside it and not
 * even read: it may be damaged. Returns where the old one is now, or null when there was none.
 *
 * @throws {unknown} what `fill` throws; the old database is where it was then.
 */
export async function replaceEmbedded(folder: string, { fill, log }: ReplaceOptions): Promise<string | null> {
  const draft = `${folder}.new`;
  await removeAll(draft);
  try {
    {
      await using database = await openPglite({ folder: draft, upkeepMs: null, log });
      await fill(database);
    }
    const moment = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const putAway = await exists(folder) ? `${folder}.${moment}` : null;
    if (putAway !== null) await Deno.rename(folder, putAway);
    await Deno.rename(draft, folder);
    return putAway;
  } finally {
    await removeAll(draft);
  }
}

/** How {@linkcode restoreEmbedded} restores. */
export interface RestoreEmbeddedOptions {
  /** Path of the backup. */
  file: string;
  blueprint: Blueprint;
  /** Whether a database that is there may be put away. */
  replace: boolean;
  log: Logger;
}

/**
 * Makes the embedded database anew from a backup.
 *
 * @throws {DomainError} `data_incompatible` when there is a database already that may not be replaced, and for what
 *   {@linkcode restoreBackup} refuses.
 */
export async function restoreEmbedded(
  folder: string,
  { file, blueprint, replace, log }: RestoreEmbeddedOptions,
): Promise<{ summary: BackupSummary; putAway: string | null }> {
  if (!replace && await exists(folder)) {
    const message = `Cannot restore ${file}: there is a database in ${folder} already; --replace puts it away`;
    throw new DomainError("data_incompatible", message);
  }
  let summary: BackupSummary | null = null;
  const fill = async (database: Database) => {
    summary = await restoreBackup(database, file, { blueprint, replace: true });
  };
  const putAway = await replaceEmbedded(folder, { fill, log });
  if (summary === null) throw new TypeError("The backup was not restored");
  return { summary, putAway };
}

async function removeAll(folder: string): Promise<void> {
  for (const path of [folder, `${folder}.part`, `${folder}.lock`, `${folder}.thread.lock`]) {
    await Deno.remove(path, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}
