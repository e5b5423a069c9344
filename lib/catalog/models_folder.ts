import { join } from "node:path";
import type { ModelManifest } from "../contracts/manifest.ts";
import { removeAll } from "./disk.ts";

/** A file of a model as it lies on the disk. */
export interface StoredFile {
  /** Name of a GGUF file, or name inside the model's folder, with `/`. */
  name: string;
  path: string;
  sizeBytes: number;
  modifiedAtMs: number;
}

/** A GGUF file, or a folder with an ONNX model, in the models folder. */
export interface StoredModel {
  /** Its name without `.gguf`, with what an id may not hold replaced. */
  id: string;
  form: ModelForm;
  /** Name of the file or the folder. */
  entryName: string;
  path: string;
  /** Sorted by name; of a GGUF file itself alone. */
  files: StoredFile[];
  sizeBytes: number;
  modifiedAtMs: number;
}

/** What a model is on the disk. */
export type ModelForm = "file" | "folder";

/** Where a model of a manifest has its place, also before it is there. */
export interface ModelPlace {
  form: ModelForm;
  entryName: string;
}

const EXTENSION = /\.gguf$/i;
/** What a pull of `x.gguf` leaves when it is interrupted, behind that name: see `PartFile` and `assemble`. */
const PART_SUFFIX = /^\.part(?:-\d+)?(?:\.json|\.pip)?$/;
/** Most entries that are looked at in a folder; a model's has a dozen. */
const FOLDER_ENTRIES_MAX = 200;

/** The place of a manifest's model: `<id>.gguf`, or the folder `<id>`. */
export function placeOf(manifest: ModelManifest): ModelPlace {
  return manifest.engine === "onnx"
    ? { form: "folder", entryName: manifest.id }
    : { form: "file", entryName: `${manifest.id}.gguf` };
}

/**
 * The folder of weights: `<id>.gguf`, or `<id>/` with several files; what is fetched grows in `<id>.gguf.part`, or in
 * `.pulls/<id>/`, and is renamed when it is whole.
 */
export class ModelsFolder {
  constructor(readonly path: string) {}

  /** Where the file or folder of that name is or will be. */
  pathOf(entryName: string): string {
    return join(this.path, entryName);
  }

  /** Where a file, or a folder, of that name grows while it is fetched. */
  partPathOf({ form, entryName }: ModelPlace): string {
    return form === "folder" ? join(this.path, ".pulls", entryName) : join(this.path, `${entryName}.part`);
  }

  /** The lock that one pull, import or removal of an id holds. */
  lockPathOf(id: string): string {
    return join(this.path, ".locks", `${id.toLowerCase()}.lock`);
  }

  /** Manifests of what was pulled by its name on a hub. */
  get manifestsPath(): string {
    return join(this.path, ".manifests");
  }

  async create(): Promise<void> {
    await Deno.mkdir(this.path, { recursive: true });
  }

  /** Every model, whoever put it there, sorted by id. Ids are unique: of two equal ones the second gets `-2`. */
  async scan(): Promise<StoredModel[]> {
    const names = (await listNames(this.path)).sort();
    const found = (await Promise.all(names.map((name) => this.#look(name)))).filter((model) => model !== null);
    // One that is named as its id keeps it; others yield.
    found.sort((a, b) => Number(!isPlain(a)) - Number(!isPlain(b)) || (a.id < b.id ? -1 : 1));
    const taken = new Set<string>();
    for (const model of found) {
      const base = model.id;
      for (let number = 2; taken.has(model.id); number++) model.id = `${base}-${number}`;
      taken.add(model.id);
    }
    return found.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** What is there under a name, or null when it is no model. */
  async #look(entryName: string): Promise<StoredModel | null> {
    const path = this.pathOf(entryName);
    const isGguf = EXTENSION.test(entryName);
    const isHidden = entryName.startsWith(".");
    if (isHidden && !isGguf) return null;
    const info = await Deno.stat(path).catch(() => null); // a link to nowhere, or just removed
    if (info?.isFile && isGguf) {
      const file = { name: entryName, path, sizeBytes: info.size, modifiedAtMs: info.mtime?.getTime() ?? 0 };
      return toStored({ form: "file", entryName }, { path, files: [file] });
    }
    if (!info?.isDirectory || isHidden) return null;
    const files = await listFiles(path);
    const isModel = files.some(({ name }) => name === "config.json") && files.some(({ name }) => /\.onnx$/i.test(name));
    return isModel ? toStored({ form: "folder", entryName }, { path, files }) : null;
  }

  /** Bytes of an unfinished pull to that place. */
  async measureParts(place: ModelPlace): Promise<number> {
    const paths = (await this.#listParts(place)).filter((path) => !path.endsWith(".json"));
    const sizes = await Promise.all(paths.map(measureTree));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** Removes what an unfinished pull to that place left, and tells whether there was anything. */
  async removeParts(place: ModelPlace): Promise<boolean> {
    const paths = await this.#listParts(place);
    await removeAll(...paths);
    return paths.length > 0;
  }

  async #listParts(place: ModelPlace): Promise<string[]> {
    if (place.form === "folder") {
      const path = this.partPathOf(place);
      return await Deno.lstat(path).then(() => [path], () => []);
    }
    const isPart = (name: string): boolean =>
      name.startsWith(place.entryName) && PART_SUFFIX.test(name.slice(place.entryName.length));
    return (await listNames(this.path)).filter(isPart).map((name) => this.pathOf(name));
  }

  /** Where the checksums of a file or folder of that name are recorded. */
  recordPathOf({ form, entryName }: ModelPlace): string {
    return this.pathOf(form === "folder" ? `${entryName}.checksums` : entryName.replace(EXTENSION, ".json"));
  }

  /** Removes a model (of a link, the link) and its record. */
  async remove(model: StoredModel): Promise<void> {
    await removeAll(model.path, this.recordPathOf(model));
  }
}

function toStored(place: ModelPlace, { path, files }: { path: string; files: StoredFile[] }): StoredModel {
  return {
    ...place,
    id: toModelId(place.entryName),
    path,
    files,
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    modifiedAtMs: Math.max(...files.map((file) => file.modifiedAtMs)),
  };
}

async function listNames(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Files of a folder and of the folders in it, without those whose names begin with a dot. */
async function listFiles(folder: string): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  const look = async (names: string[], depth: number): Promise<void> => {
    for (const name of names.slice(0, FOLDER_ENTRIES_MAX)) {
      const path = join(folder, name);
      const info = await Deno.stat(path).catch(() => null);
      if (info?.isFile) {
        files.push({ name, path, sizeBytes: info.size, modifiedAtMs: info.mtime?.getTime() ?? 0 });
      } else if (info?.isDirectory && depth === 0) {
        await look((await listVisible(path)).map((inner) => `${name}/${inner}`), 1);
      }
    }
  };
  await look(await listVisible(folder), 0);
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function listVisible(path: string): Promise<string[]> {
  return (await listNames(path).catch(() => [])).filter((name) => !name.startsWith(".")).sort();
}

/** Bytes of a file or of all files of a folder; what goes away meanwhile counts nothing. */
async function measureTree(path: string): Promise<number> {
  const info = await Deno.lstat(path).catch(() => null);
  if (info === null || !info.isDirectory) return info?.size ?? 0;
  const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  const sizes = await Promise.all(entries.map((entry) => measureTree(join(path, entry.name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function isPlain({ form, entryName, id }: StoredModel): boolean {
  return entryName === (form === "folder" ? id : `${id}.gguf`);
}

/** The id of something that somebody named as they liked: `My model (1).gguf` becomes `My-model-1`. */
export function toModelId(entryName: string): string {
  const base = entryName.replace(EXTENSION, "").normalize("NFKD").replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  const id = base.replace(/^[^A-Za-z0-9]+/, "").replace(/-+$/, "").slice(0, 120);
  return id === "" ? "model" : id;
}
