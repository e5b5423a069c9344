import { join } from "node:path";
import { DomainError } from "../errors.ts";

/** Where things lie in the data folder. */
export interface DataFolder {
  /** Absolute path of the folder itself. */
  root: string;
  /** Weights. */
  models: string;
  /** What may be lost: measured threads. */
  calibrations: string;
  /** What is kept of conversations, so that they continue at once; it may be lost. */
  kv: string;
  /** Postgres' own files, where the database is the embedded one; locks stand beside it. */
  database: string;
  /** Backups of it. */
  backups: string;
  /** What sessions are signed with. */
  secret: string;
  /** Attempts that are counted; they may be lost. */
  limits: string;
  /** The name of this Rookery among those on the same database. */
  instance: string;
  /** Held, exclusively, by the one Rookery that uses the folder. */
  lock: string;
  /** Address and token of the worker, while there is one. */
  worker: string;
  /** Address of the running Rookery, and the token of whoever may read this folder. */
  operator: string;
}

/** Names the places in a data folder; `root` is absolute. */
export function nameDataFolder(root: string): DataFolder {
  return {
    root,
    models: join(root, "models"),
    calibrations: join(root, "cache", "calibration.json"),
    kv: join(root, "kv"),
    database: join(root, "database"),
    backups: join(root, "backups"),
    secret: join(root, "secrets", "sessions"),
    limits: join(root, "cache", "limits.db"),
    instance: join(root, "instance"),
    lock: join(root, "rookery.lock"),
    worker: join(root, "run", "worker.json"),
    operator: join(root, "run", "operator.json"),
  };
}

/**
 * Makes the data folder when it is not there, readable by its owner alone.
 *
 * @throws {DomainError} `invalid_config` when it cannot be made or written.
 */
export async function makeDataFolder(folder: DataFolder): Promise<void> {
  for (const path of [folder.root, join(folder.root, "cache"), folder.kv, join(folder.root, "run")]) {
    try {
      await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw unusableError(folder.root, cause);
    }
  }
}

/**
 * Replaces a small file in one step, so that whoever reads it sees the old text or the new; its owner alone may read it.
 * It is done when the call returns: of two writers the later one wins, and nothing comes back after a removal.
 *
 * @throws {Error} what the file system says.
 */
export function replaceFile(path: string, text: string): void {
  const draft = `${path}.${Deno.pid}.tmp`;
  Deno.writeTextFileSync(draft, text, { mode: 0o600 });
  Deno.renameSync(draft, path);
}

/** The error for a data folder that the system does not let Rookery use. */
export function unusableError(path: string, cause: unknown): DomainError {
  const reason = cause instanceof Error ? cause.message : "unknown reason";
  return new DomainError(
    "invalid_config",
    `Cannot use the data folder ${path}: ${reason}; set ROOKERY_DATA to a folder that you may write to`,
    { cause, param: "ROOKERY_DATA" },
  );
}
