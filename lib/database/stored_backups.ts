import { join } from "node:path";
import { DomainError } from "../errors.ts";

/** How `backUpInto` names its files; what else lies in the folder is somebody else's. */
const NAME = /^rookery-\d{8}T\d{6}Z\.backup$/;

/** A backup in a folder of them. */
export interface ListedBackup {
  name: string;
  bytes: number;
  /** When it was written, in RFC 3339. */
  createdAt: string;
}

/** Whether a backup can have this name: no path comes from a client. */
export function isBackupName(name: string): boolean {
  return NAME.test(name);
}

/** The backups in `folder`, the youngest first. */
export async function listBackups(folder: string): Promise<ListedBackup[]> {
  const names: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) if (isFile && isBackupName(name)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return await Promise.all(
    names.toSorted().toReversed().map(async (name) => {
      const { size: bytes, mtime } = await Deno.stat(join(folder, name));
      return { name, bytes, createdAt: (mtime ?? new Date(0)).toISOString() };
    }),
  );
}

/**
 * Opens a backup to be read.
 *
 * @throws {DomainError} `not_found`.
 */
export async function openBackup(
  folder: string,
  name: string,
): Promise<{ bytes: number; readable: ReadableStream<Uint8Array<ArrayBuffer>> }> {
  const file = await find(name, () => Deno.open(join(folder, name)));
  const { size: bytes } = await file.stat();
  return { bytes, readable: file.readable };
}

/**
 * Removes a backup.
 *
 * @throws {DomainError} `not_found`.
 */
export async function removeBackup(folder: string, name: string): Promise<void> {
  await find(name, () => Deno.remove(join(folder, name)));
}

async function find<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const missing = new DomainError("not_found", "There is no such backup");
  if (!isBackupName(name)) throw missing;
  try {
    return await work();
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? missing : error;
  }
}
