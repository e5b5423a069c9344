import { z } from "zod";
import { DomainError } from "../errors.ts";
import { type DataFolder, unusableError } from "./data_folder.ts";

const Holder = z.object({ pid: z.number(), port: z.number().nullable() });
type Holder = z.infer<typeof Holder>;

/** The right to use a data folder; the system takes it back when the process ends, however it ends. */
export interface InstanceLock extends Disposable {
  /** Notes in the lock file which port this Rookery listens on, for the message that a second one shows. */
  notePort(port: number): Promise<void>;
}

/**
 * Takes the one lock of a data folder.
 *
 * @throws {DomainError} `already_running` when another process holds it, with that one's process id and port.
 */
export async function lockDataFolder(folder: DataFolder): Promise<InstanceLock> {
  const file = await open(folder);
  if (!await file.tryLock(true)) {
    const holder = await readHolder(file);
    file.close();
    throw alreadyRunningError(folder, holder);
  }
  await writeHolder(file, { pid: Deno.pid, port: null });
  return {
    notePort: (port) => writeHolder(file, { pid: Deno.pid, port }),
    [Symbol.dispose]: () => file.close(),
  };
}

async function open(folder: DataFolder): Promise<Deno.FsFile> {
  try {
    return await Deno.open(folder.lock, { read: true, write: true, create: true, mode: 0o600 });
  } catch (cause) {
    throw unusableError(folder.root, cause);
  }
}

async function writeHolder(file: Deno.FsFile, holder: Holder): Promise<void> {
  await file.truncate();
  await file.seek(0, Deno.SeekMode.Start);
  await file.write(new TextEncoder().encode(JSON.stringify(holder) + "\n"));
}

/** Who holds the lock, or null: on Windows nobody else may read a locked file. */
async function readHolder(file: Deno.FsFile): Promise<Holder | null> {
  try {
    const buffer = new Uint8Array(200);
    const length = await file.read(buffer) ?? 0;
    return Holder.parse(JSON.parse(new TextDecoder().decode(buffer.subarray(0, length))));
  } catch {
    return null;
  }
}

function alreadyRunningError({ root }: DataFolder, holder: Holder | null): DomainError {
  const port = holder === null || holder.port === null ? "" : `, port ${holder.port}`;
  const who = holder === null ? "" : ` (process ${holder.pid}${port})`;
  return new DomainError(
    "already_running",
    `Cannot start: another Rookery${who} uses the data folder ${root}; stop it, or set ROOKERY_DATA to another folder`,
  );
}
