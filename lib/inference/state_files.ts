import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
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
const PART_SUFFIX = ".part";
const HEADER_BYTES_MAX = 65_536;
const FORMAT = 1;

const Header = z.object({
  format: z.literal(FORMAT),
  fingerprint: z.string(),
  tokens: z.number().int().min(1).max(16_777_216),
  stateBytes: z.number().int().min(0),
  checkpoints: z.array(z.object({ length: z.number().int(), bytes: z.number().int().min(0) })).max(64),
  /** Of everything behind this header. */
  crc32: z.number().int(),
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
 * States of conversations on disk, one file each: `<dir>/<fingerprint>/<owner>/<id>.kv`, a line of JSON, the tokens as
 * 32-bit integers, the state and its checkpoints. A file that is not whole is passed over and removed.
 */
export class StateFiles {
  readonly #options: StateFilesOptions;
  readonly #files = new Map<string, StateFile>();
  #bytes = 0;

  constructor(options: StateFilesOptions) {
    this.#options = options;
  }

  /** Reads what there is, removes what is broken, and the oldest of what is too much. */
  async open(): Promise<StateFile[]> {
    const { dir, fingerprint } = this.#options;
    const usable: StateFile[] = [];
    for await (const path of walk(dir)) {
      const file = path.endsWith(SUFFIX) ? await this.#readIndex(path) : null;
      if (file === null) {
        await remove(path);
        continue;
      }
      this.#add(file);
      if (dirname(dirname(path)) === join(dir, fingerprint)) usable.push(file);
    }
    const removed = new Set(await this.#makeRoom(0));
    return usable.filter((file) => !removed.has(file));
  }

  /**
   * Writes a state; returns null, and writes nothing, when it is larger than all that may be kept.
   *
   * @param onRemoved Told of files that had to go.
   */
  async write(
    kept: { owner: string; tokens: readonly number[] } & StateContent,
    onRemoved: (file: StateFile) => void,
  ): Promise<StateFile | null> {
    const { dir, fingerprint } = this.#options;
    const parts = [
      new Uint8Array(Int32Array.from(kept.tokens).buffer),
      kept.state,
      ...kept.checkpoints.map(({ state }) => state),
    ];
    const header: Header = {
      format: FORMAT,
      fingerprint,
      tokens: kept.tokens.length,
      stateBytes: kept.state.length,
      checkpoints: kept.checkpoints.map(({ length, state }) => ({ length, bytes: state.length })),
      crc32: parts.reduce((sum, part) => crc32(part, sum), 0),
    };
    const first = new TextEncoder().encode(JSON.stringify(header) + "\n");
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, first.length);
    if (sizeBytes > this.#options.bytesMax) return null;
    for (const file of await this.#makeRoom(sizeBytes)) onRemoved(file);
    const folder = join(dir, fingerprint, kept.owner);
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `${crypto.randomUUID()}${SUFFIX}`);
    await writeAll(path + PART_SUFFIX, [first, ...parts]);
    await Deno.rename(path + PART_SUFFIX, path);
    const checkpoints = kept.checkpoints.map(({ length }) => ({ length }));
    const file = { path, owner: kept.owner, tokens: kept.tokens, checkpoints, sizeBytes, lastUsedMs: Date.now() };
    this.#add(file);
    return file;
  }

  /** Reads a state back; null when its file is gone or not whole, and then it is removed. */
  async read(file: StateFile): Promise<StateContent | null> {
    const content = await this.#readContent(file.path);
    if (content === null) {
      await this.remove(file);
      return null;
    }
    file.lastUsedMs = Date.now();
    const now = new Date();
    await Deno.utime(file.path, now, now).catch(() => {});
    return content;
  }

  async remove(file: StateFile): Promise<void> {
    if (this.#files.delete(file.path)) this.#bytes -= file.sizeBytes;
    await remove(file.path);
  }

  /** Erases everything of an owner, whatever the model. */
  async forget(owner: string): Promise<void> {
    for (const file of [...this.#files.values()]) if (file.owner === owner) await this.remove(file);
    for await (const { name, isDirectory } of list(this.#options.dir)) {
      if (isDirectory) await Deno.remove(join(this.#options.dir, name, owner), { recursive: true }).catch(() => {});
    }
  }

  #add(file: StateFile): void {
    this.#files.set(file.path, file);
    this.#bytes += file.sizeBytes;
  }

  async #makeRoom(neededBytes: number): Promise<StateFile[]> {
    const removed: StateFile[] = [];
    const oldestFirst = [...this.#files.values()].sort((a, b) => a.lastUsedMs - b.lastUsedMs);
    for (const file of oldestFirst) {
      if (this.#bytes + neededBytes <= this.#options.bytesMax) break;
      await this.remove(file);
      removed.push(file);
    }
    return removed;
  }

  /** The tokens of a file, without its state; null when it is none of ours. */
  async #readIndex(path: string): Promise<StateFile | null> {
    try {
      using file = await Deno.open(path);
      const { size, mtime } = await file.stat();
      const start = await readBytes(file, Math.min(size, HEADER_BYTES_MAX));
      const parsed = parseHeader(start);
      if (parsed === null || sizeOf(parsed) !== size) return null;
      await file.seek(parsed.length, Deno.SeekMode.Start);
      const tokens = await readBytes(file, 4 * parsed.header.tokens);
      return {
        path,
        owner: dirname(path).split(/[\\/]/).at(-1)!,
        tokens: [...new Int32Array(tokens.buffer)],
        checkpoints: parsed.header.checkpoints,
        sizeBytes: size,
        lastUsedMs: mtime?.getTime() ?? 0,
      };
    } catch {
      return null;
    }
  }

  async #readContent(path: string): Promise<StateContent | null> {
    const bytes = await Deno.readFile(path).catch(() => null);
    const parsed = bytes === null ? null : parseHeader(bytes.subarray(0, HEADER_BYTES_MAX));
    if (bytes === null || parsed === null || sizeOf(parsed) !== bytes.length) return null;
    const { header, length } = parsed;
    if (header.fingerprint !== this.#options.fingerprint) return null;
    if (crc32(bytes.subarray(length)) !== header.crc32) return null;
    let at = length + 4 * header.tokens;
    const take = (count: number) => bytes.slice(at, at += count);
    const state = take(header.stateBytes);
    return { state, checkpoints: header.checkpoints.map(({ length, bytes }) => ({ length, state: take(bytes) })) };
  }
}

/** A header and how many bytes its line has. */
interface ParsedHeader {
  header: Header;
  length: number;
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
  return header.checkpoints.reduce((sum, { bytes }) => sum + bytes, length + 4 * header.tokens + header.stateBytes);
}

async function writeAll(path: string, parts: readonly Uint8Array[]): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  for (const part of parts) {
    for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
  }
}

async function readBytes(file: Deno.FsFile, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) throw new Deno.errors.UnexpectedEof();
    at += read;
  }
  return bytes;
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
