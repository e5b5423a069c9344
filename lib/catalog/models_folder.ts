import { join } from "node:path";
import { z } from "zod";
import { removeAll } from "./disk.ts";

/** A GGUF file in the models folder. */
export interface StoredFile {
  /** File name without `.gguf`, with what an id may not hold replaced. */
  id: string;
  fileName: string;
  path: string;
  sizeBytes: number;
  modifiedAtMs: number;
}

/** What was computed of a file, kept beside it; true as long as size and time of change are the same. */
const Sidecar = z.object({
  sha256: z.string(),
  sizeBytes: z.number(),
  modifiedAtMs: z.number(),
});
/** What {@linkcode ModelsFolder.readSidecar} answers: SHA-256 in hex, bytes, milliseconds since 1970. */
export type Sidecar = z.infer<typeof Sidecar>;

const EXTENSION = /\.gguf$/i;

/** The folder of weights: `<id>.gguf`, `<id>.json` with its checksum, `<id>.gguf.part` while it is fetched. */
export class ModelsFolder {
  constructor(readonly path: string) {}

  /** Where the file of that name is or will be. */
  pathOf(fileName: string): string {
    return join(this.path, fileName);
  }

  /** Where the file of that name grows while it is fetched. */
  partPathOf(fileName: string): string {
    return join(this.path, `${fileName}.part`);
  }

  /** The lock that one pull, import or removal of an id holds. */
  lockPathOf(id: string): string {
    return join(this.path, ".locks", `${id.toLowerCase()}.lock`);
  }

  async create(): Promise<void> {
    await Deno.mkdir(this.path, { recursive: true });
  }

  /** Every GGUF file, whoever put it there, sorted by id. Ids are unique: of two equal ones the second gets `-2`. */
  async scan(): Promise<StoredFile[]> {
    const found: StoredFile[] = [];
    for (const fileName of (await this.#listNames()).sort()) {
      if (!EXTENSION.test(fileName)) continue;
      const path = this.pathOf(fileName);
      const info = await Deno.stat(path).catch(() => null); // a link to nowhere, or just removed
      if (info === null || !info.isFile) continue;
      const modifiedAtMs = info.mtime?.getTime() ?? 0;
      found.push({ id: toModelId(fileName), fileName, path, sizeBytes: info.size, modifiedAtMs });
    }
    // A file that is named as its id keeps it; others yield.
    found.sort((a, b) => Number(!isPlain(a)) - Number(!isPlain(b)) || (a.id < b.id ? -1 : 1));
    const taken = new Set<string>();
    for (const file of found) {
      const base = file.id;
      for (let number = 2; taken.has(file.id); number++) file.id = `${base}-${number}`;
      taken.add(file.id);
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Bytes of an unfinished pull of the file of that name. */
  async measureParts(fileName: string): Promise<number> {
    const names = (await this.#listParts(fileName)).filter((name) => !name.endsWith(".json"));
    const sizes = await Promise.all(names.map((name) => measureTree(this.pathOf(name))));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Removes what an unfinished pull of the file of that name left, and tells whether there was anything. */
  async removeParts(fileName: string): Promise<boolean> {
    const names = await this.#listParts(fileName);
    await removeAll(...names.map((name) => this.pathOf(name)));
    return names.length > 0;
  }

  async #listParts(fileName: string): Promise<string[]> {
    return (await this.#listNames()).filter((name) => name.startsWith(`${fileName}.part`));
  }

  async #listNames(): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(this.path))).map((entry) => entry.name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** What was recorded of a file, whether or not the file is still the same; null when nothing readable was. */
  async readSidecar(file: StoredFile): Promise<Sidecar | null> {
    try {
      return Sidecar.parse(JSON.parse(await Deno.readTextFile(sidecarPath(file.path))));
    } catch {
      return null;
    }
  }

  /** The recorded SHA-256 as long as the file was not touched since; else null. */
  async readChecksum(file: StoredFile): Promise<string | null> {
    const sidecar = await this.readSidecar(file);
    const fresh = sidecar?.sizeBytes === file.sizeBytes && sidecar.modifiedAtMs === file.modifiedAtMs;
    return fresh ? sidecar.sha256 : null;
  }

  /** Records the SHA-256 of the file at `path` as it is now. */
  async writeChecksum(path: string, sha256: string): Promise<void> {
    const { size, mtime } = await Deno.stat(path);
    const sidecar: Sidecar = { sha256, sizeBytes: size, modifiedAtMs: mtime?.getTime() ?? 0 };
    const temporary = `${sidecarPath(path)}.new`;
    await Deno.writeTextFile(temporary, JSON.stringify(sidecar, null, 2) + "\n");
    await Deno.rename(temporary, sidecarPath(path));
  }

  /** Removes a file (of a link, the link) and its record. */
  async remove(file: StoredFile): Promise<void> {
    await removeAll(file.path, sidecarPath(file.path));
  }
}

/** Bytes of a file or of all files of a folder; what goes away meanwhile counts nothing. */
async function measureTree(path: string): Promise<number> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null || !info.isDirectory) return info?.size ?? 0;
  const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  const sizes = await Promise.all(entries.map((entry) => measureTree(join(path, entry.name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function sidecarPath(path: string): string {
  return path.replace(EXTENSION, ".json");
}

function isPlain(file: StoredFile): boolean {
  return file.fileName === `${file.id}.gguf`;
}

/** The id of a file that somebody named as they liked: `My model (1).gguf` becomes `My-model-1`. */
export function toModelId(fileName: string): string {
  const base = fileName.replace(EXTENSION, "").normalize("NFKD").replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  const id = base.replace(/^[^A-Za-z0-9]+/, "").replace(/-+$/, "").slice(0, 120);
  return id === "" ? "model" : id;
}
