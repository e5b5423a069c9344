import { join } from "node:path";
import { type BackupSummary, writeBackup } from "./backup.ts";
import type { Database } from "./database.ts";

/** A backup and where it is. */
export interface StoredBackup extends BackupSummary {
  path: string;
}

/**
 * Writes a backup of everything into `folder` under a name that tells when it was made. This is what `deno task db backup`
 * asks a running Rookery for, and what a Rookery does by itself before it migrates data.
 *
 * @throws {DomainError} and {DatabaseError} as {@linkcode writeBackup}.
 */
export async function backUpInto(database: Database, folder: string): Promise<StoredBackup> {
  const moment = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const path = join(folder, `rookery-${moment}.backup`);
  return { ...await writeBackup(database, path), path };
}
