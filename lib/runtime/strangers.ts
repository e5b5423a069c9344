/** Erases what is kept on disk of conversations whose account is no more, where no worker was there to be told of it. */
import { basename, dirname, join } from "node:path";
import type { Database } from "../database/database.ts";
import { hashOwner } from "../inference/state_files.ts";

/** What {@linkcode eraseStrangers} compares. */
export interface StrangersOptions {
  /** Folder of the first worker's states; those of others stand beside it, `-2` and so on behind its name. */
  kvDir: string;
  database: Database;
  /** Owners that are no accounts: who sits at the machine, who holds its key. */
  others: readonly string[];
}

/**
 * Erases the states of every owner whom nobody knows: of accounts that were deleted while their worker was not running, on
 * another runtime, or whose answer ended after them; also those of workers that there are no more.
 *
 * @returns how many owners that were, once for each model.
 * @throws {DatabaseError} when the accounts cannot be read; nothing is erased then.
 */
export async function eraseStrangers({ kvDir, database, others }: StrangersOptions): Promise<number> {
  // The folders first: who signs up meanwhile is no stranger.
  const folders = await listOwners(kvDir);
  if (folders.length === 0) return 0;
  const accounts = await database.asOwner((session) => {
    return session.query<{ id: string }>("select id::text as id from auth.users");
  });
  const known = new Set([...accounts.map(({ id }) => id), ...others].map(hashOwner));
  const strange = folders.filter((folder) => !known.has(basename(folder)));
  for (const folder of strange) await Deno.remove(folder, { recursive: true });
  return strange.length;
}

/** The folders of owners, by worker and model. */
async function listOwners(kvDir: string): Promise<string[]> {
  const name = basename(kvDir);
  const root = dirname(kvDir);
  const workers = (await listFolders(root)).filter((path) => {
    return path === kvDir ||
      /^\d+$/.test(basename(path).slice(name.length + 1)) && basename(path).startsWith(`${name}-`);
  });
  const models = await Promise.all(workers.map(listFolders));
  return (await Promise.all(models.flat().map(listFolders))).flat();
}

async function listFolders(path: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.filter(({ isDirectory }) => isDirectory).map((entry) => join(path, entry.name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
