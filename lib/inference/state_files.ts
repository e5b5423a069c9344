import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { z } from "zod";

/** A kept state on disk: what the first bytes of its file say. */
export interface StateFile {
  path: string;
  /** Hash of the owner. */
  owner: string;
  tokens: readonly number[];
  /** Where it can be cut back to, in rising order. */
  checkpoints: readonly { length: number }[];
  /** Of the whole file. */
  sizeBytes: number;
  lastUsedMs: number;
}

/** What a file holds beside its tokens. */
export interface StateContent {
  state: Uint8Array<ArrayBuffer>;
  /** States of sliding windows and recurrent layers at earlier lengths. */
  checkpoints: { length: number; state: Uint8Array<ArrayBuffer> }[];
}

/** A state to be written. */
export interface KeptState extends StateContent {
  /** Hash of the owner. */
  owner: string;
  tokens: readonly number[];
  lastUsedMs: number;
}

/** Where states are kept, and which of them may be used. */
export interface StateFilesOptions {
  /** The folder of all models; made when it is not there. */
  dir: string;
  /** Names everything that a state depends on: model, version of the engine, context. A state of another is never read. */
  fingerprint: string;
  /** Most bytes of the folder, over all models. */
  bytesMax: number;
}

const SUFFIX = ".kv";
/** Of a file that is being written; what a crash leaves of it is removed at the next start. */
const PART_SUFFIX = ".kv.part";
const HEADER_BYTES_MAX = 65_536;
/** The checksum, as a 32-bit integer, is the end of a file. */
const CHECKSUM_BYTES = 4;
/** Bytes that are summed up and written before others have their turn. */
const STEP_BYTES = 4_194_304;
const FORMAT = 1;

const Header = z.object({
  format: z.literal(FORMAT),
  fingerprint: z.string(),
  /** Hash of the owner. */
  owner: z.string(),
  tokens: z.number().int().min(1).max(16_777_216),
  stateBytes: z.number().int().min(0),
  checkpoints: z.array(z.object({ length: z.number().int().min(1), bytes: z.number().int().min(0) })).max(64),
});
type Header = z.infer<typeof Header>;

/** The name under which an owner's states are kept: nothing on disk tells whose they are. */
export function hashOwner(owner: string): string {
  return createHash("sha256").update(owner).digest("hex").slice(0, 32);
}

/** A short name for everything that states depend on. */
export function fingerprintOf(dependencies: object): string {
  return createHash("sha256").update(JSON.stringify(dependencies)).digest("hex").slice(0, 32);
}

/**
 * States of conversations on disk, one file each: `<dir>/<fingerprint>/<owner>/<id>.kv` is a line of JSON, the tokens as
 * 32-bit integers, the state, its checkpoints, and a CRC-32 of all that. A file that is not whole is passed over and
 * removed. Several engines and processes may share a folder: what it holds is counted anew for each file that comes.
 */
export class StateFiles {
  readonly #options: StateFilesOptions;

  constructor(options: StateFilesOptions) {
    this.#options = options;
  }

  /** What there is, latest used last. Removes what is broken, and the oldest of what is too much. */
  async open(): Promise<StateFile[]> {
    const { dir, fingerprint, bytesMax } = this.#options;
    const usable: StateFile[] = [];
    for await (const path of walk(join(dir, fingerprint))) {
      const file = path.endsWith(SUFFIX) ? await readIndex(path) : null;
      if (file !== null) usable.push(file);
      else if (isOurs(path)) await remove(path);
    }
    const removed = new Set(await this.#makeRoom({ bytesMax, beforeMs: Infinity }));
    return usable.filter(({ path }) => !removed.has(path)).sort((a, b) => a.lastUsedMs - b.lastUsedMs);
  }

  /**
   * Writes a state. Files that were used longer ago make room for it; where that is not enough it returns null and
   * nothing is written.
   *
   * @param onRemoved Told the paths of files that had to go.
   * @throws {Error} when the disk does not take it.
   */
  async write(kept: KeptState, onRemoved: (path: string) => void): Promise<StateFile | null> {
    const { dir, fingerprint, bytesMax } = this.#options;
    const { owner, tokens, lastUsedMs } = kept;
    const parts = toParts(kept, fingerprint);
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, CHECKSUM_BYTES);
    if (parts[0]!.length > HEADER_BYTES_MAX || sizeBytes > bytesMax) return null;
    const removed = await this.#makeRoom({ bytesMax: bytesMax - sizeBytes, beforeMs: lastUsedMs });
    if (removed === null) return null;
    for (const path of removed) onRemoved(path);
    const folder = join(dir, fingerprint, owner);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${crypto.randomUUID()}${SUFFIX}`);
    const partPath = path.replace(/\.kv$/, PART_SUFFIX);
    try {
      await writeParts(partPath, parts);
      await touch(partPath, lastUsedMs);
      await Deno.rename(partPath, path);
    } catch (error) {
      await remove(partPath);
      throw error;
    }
    return {
      path,
      owner,
      tokens,
      checkpoints: kept.checkpoints.map(({ length }) => ({ length })),
      sizeBytes,
      lastUsedMs,
    };
  }

  /** Reads a state back; null when its file is gone or not whole, and then it is removed. */
  async read(file: StateFile): Promise<StateContent | null> {
    const content = await this.#readContent(file).catch(() => null);
    if (content === null) {
      await this.remove(file);
      return null;
    }
    file.lastUsedMs = Date.now();
    await touch(file.path, file.lastUsedMs).catch(() => {});
    return content;
  }

  async remove({ path }: { path: string }): Promise<void> {
    await remove(path);
  }

  /** Erases everything of an owner, given as a hash, whatever the model. */
  async forget(owner: string): Promise<void> {
    const { dir } = this.#options;
    for await (const { name, isDirectory } of list(dir)) {
      if (isDirectory) await removeFolder(join(dir, name, owner));
    }
  }

  async #readContent({ path, sizeBytes }: StateFile): Promise<StateContent | null> {
    using file = await Deno.open(path);
    const start = parseHeader(await readBytes(file, Math.min(sizeBytes, HEADER_BYTES_MAX)));
    if (start === null || sizeOf(start) !== sizeBytes || start.header.fingerprint !== this.#options.fingerprint) {
      return null;
    }
    await file.seek(0, Deno.SeekMode.Start);
    const { header, length } = start;
    let sum = crc32(await readBytes(file, length + 4 * header.tokens));
    const take = async (count: number) => {
      const bytes = new Uint8Array(count);
      for (const step of steps(bytes)) {
        await fill(file, step);
        sum = crc32(step, sum);
      }
      return bytes;
    };
    const state = await take(header.stateBytes);
    const checkpoints: StateContent["checkpoints"] = [];
    for (const { length, bytes } of header.checkpoints) checkpoints.push({ length, state: await take(bytes) });
    const isWhole = toNumber(await readBytes(file, CHECKSUM_BYTES)) === sum;
    return isWhole ? { state, checkpoints } : null;
  }

  /**
   * Removes what was not used after `beforeMs`, oldest first, until `bytesMax` are left, and says what that was; removes
   * nothing and returns null when that would not be enough.
   */
  async #makeRoom({ bytesMax, beforeMs }: { bytesMax: number; beforeMs: number }): Promise<string[] | null> {
    const found: { path: string; sizeBytes: number; usedMs: number }[] = [];
    for await (const path of walk(this.#options.dir)) {
      if (!isOurs(path)) continue;
      const info = await Deno.stat(path).catch(() => null);
      if (info !== null) found.push({ path, sizeBytes: info.size, usedMs: info.mtime?.getTime() ?? 0 });
    }
    let bytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const removed: string[] = [];
    for (const { path, sizeBytes, usedMs } of found.sort((a, b) => a.usedMs - b.usedMs)) {
      if (bytes <= bytesMax || usedMs > beforeMs) break;
      removed.push(path);
      bytes -= sizeBytes;
    }
    if (bytes > bytesMax) return null;
    for (const path of removed) await remove(path);
    return removed;
  }
}

/** A state, or what a crash left of one. Nothing else is ever removed: the folder may not be ours alone. */
function isOurs(path: string): boolean {
  return path.endsWith(SUFFIX) || path.endsWith(PART_SUFFIX);
}

/** A header and how many bytes its line has. */
interface ParsedHeader {
  header: Header;
  length: number;
}

/** Everything of a file but its checksum. */
function toParts({ owner, tokens, state, checkpoints }: KeptState, fingerprint: string): Uint8Array<ArrayBuffer>[] {
  const header: Header = {
    format: FORMAT,
    fingerprint,
    owner,
    tokens: tokens.length,
    stateBytes: state.length,
    checkpoints: checkpoints.map(({ length, state }) => ({ length, bytes: state.length })),
  };
  const line = new TextEncoder().encode(JSON.stringify(header) + "\n");
  const tokenBytes = new Uint8Array(Int32Array.from(tokens).buffer);
  return [line, tokenBytes, state, ...checkpoints.map(({ state }) => state)];
}

function parseHeader(bytes: Uint8Array): ParsedHeader | null {
  const end = bytes.indexOf(10);
  if (end < 0) return null;
  try {
    const header = Header.safeParse(JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))));
    return header.success ? { header: header.data, length: end + 1 } : null;
  } catch {
    return null;
  }
}

function sizeOf({ header, length }: ParsedHeader): number {
  const fixed = length + 4 * header.tokens + header.stateBytes + CHECKSUM_BYTES;
  return header.checkpoints.reduce((sum, { bytes }) => sum + bytes, fixed);
}

/** The tokens of a file, without its state; null when it is none of ours, or stands where it does not belong. */
async function readIndex(path: string): Promise<StateFile | null> {
  try {
    using file = await Deno.open(path);
    const { size, mtime } = await file.stat();
    const start = parseHeader(await readBytes(file, Math.min(size, HEADER_BYTES_MAX)));
    if (start === null || sizeOf(start) !== size) return null;
    const { header, length } = start;
    const { owner, fingerprint, checkpoints } = header;
    if (path !== join(dirname(dirname(dirname(path))), fingerprint, owner, basename(path))) return null;
    await file.seek(length, Deno.SeekMode.Start);
    const tokens = [...new Int32Array((await readBytes(file, 4 * header.tokens)).buffer)];
    return { path, owner, tokens, checkpoints, sizeBytes: size, lastUsedMs: mtime?.getTime() ?? 0 };
  } catch {
    return null;
  }
}

async function writeParts(path: string, parts: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  let sum = 0;
  for (const step of parts.flatMap(steps)) {
    sum = crc32(step, sum);
    await writeAll(file, step);
  }
  await writeAll(file, toBytes(sum));
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

async function readBytes(file: Deno.FsFile, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(count);
  await fill(file, bytes);
  return bytes;
}

async function fill(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) throw new Deno.errors.UnexpectedEof();
    at += read;
  }
}

function steps(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const count = Math.ceil(bytes.length / STEP_BYTES);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * STEP_BYTES, (i + 1) * STEP_BYTES));
}

function toBytes(sum: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(CHECKSUM_BYTES);
  new DataView(bytes.buffer).setUint32(0, sum, true);
  return bytes;
}

function toNumber(bytes: Uint8Array<ArrayBuffer>): number {
  return new DataView(bytes.buffer).getUint32(0, true);
}

async function touch(path: string, usedMs: number): Promise<void> {
  await Deno.utime(path, new Date(usedMs), new Date(usedMs));
}

/** Paths of all files below a folder; none when there is no folder. */
async function* walk(dir: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of list(dir)) {
    const path = join(dir, name);
    if (isDirectory) yield* walk(path);
    else yield path;
  }
}

async function* list(dir: string): AsyncGenerator<Deno.DirEntry> {
  try {
    for await (const entry of Deno.readDir(dir)) yield entry;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
}

async function removeFolder(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
