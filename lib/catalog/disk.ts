import { createHash, type Hash } from "node:crypto";
import { statfs } from "node:fs/promises";
import { DomainError } from "../errors.ts";
import { formatBytes, type ProgressMeter } from "./progress.ts";

/** Space that is left free on a disk after a pull, for everything else that writes there. */
const RESERVE_BYTES = 64 * 1024 * 1024;

const COPY_BYTES = 1024 * 1024;

/** Bytes that this user may still write in the file system of `folder`; null where the system does not tell. */
export async function measureFreeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Tells how many bytes are free in a folder; see {@linkcode measureFreeBytes}. */
export type MeasureFreeBytes = (folder: string) => Promise<number | null>;

/**
 * Makes sure that `neededBytes` more fit into `folder`.
 *
 * @throws {DomainError} `disk_full` with both numbers.
 */
export async function requireSpace(
  folder: string,
  { neededBytes, what, measure }: { neededBytes: number; what: string; measure: MeasureFreeBytes },
): Promise<void> {
  const freeBytes = await measure(folder);
  if (freeBytes === null || neededBytes <= 0 || neededBytes + RESERVE_BYTES <= freeBytes) return;
  throw new DomainError(
    "disk_full",
    `Cannot store ${what}: it needs ${formatBytes(neededBytes + RESERVE_BYTES)} and ${formatBytes(freeBytes)} are ` +
      `free in ${folder}; free some space, or set ROOKERY_DATA to a folder on a larger disk`,
    { details: { neededBytes: neededBytes + RESERVE_BYTES, freeBytes } },
  );
}

/** A failure to write as people should read it: a full disk gets its own code, all else passes as it is. */
export function explainWrite(error: unknown, what: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new DomainError("disk_full", `Cannot store ${what}: the disk is full; free some space and pull again`, {
    cause: error,
  });
}

/** Writes all of `bytes`; a single write may take fewer. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

/** Size of the file at `path`, or null when there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Removes files and folders; those that are not there are fine. */
export async function removeAll(...paths: string[]): Promise<void> {
  for (const path of paths) {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Options of work that takes as long as a file is large. */
export interface LongWork {
  signal: AbortSignal;
  meter?: ProgressMeter;
}

/** SHA-256 of a file in hex. */
export async function hashFile(path: string, { signal, meter }: LongWork): Promise<string> {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  await readThrough(file, { signal, each: (bytes) => void (hash.update(bytes), meter?.add(bytes.length)) });
  return hash.digest("hex");
}

/** Appends the file `from` to the file `to`, syncs it, and returns the SHA-256 of what was copied. */
export async function appendFile(from: string, to: string, { signal, meter }: LongWork): Promise<string> {
  using source = await Deno.open(from);
  using target = await Deno.open(to, { create: true, append: true });
  const hash: Hash = createHash("sha256");
  const each = async (bytes: Uint8Array): Promise<void> => {
    hash.update(bytes);
    await writeAll(target, bytes);
    meter?.add(bytes.length);
  };
  await readThrough(source, { signal, each });
  await target.sync();
  return hash.digest("hex");
}

async function readThrough(
  file: Deno.FsFile,
  { signal, each }: { signal: AbortSignal; each: (bytes: Uint8Array) => void | Promise<void> },
): Promise<void> {
  const buffer = new Uint8Array(COPY_BYTES);
  for (;;) {
    signal.throwIfAborted();
    const read = await file.read(buffer);
    if (read === null) return;
    await each(buffer.subarray(0, read));
  }
}
