import { join } from "node:path";
import { z } from "zod";
import { ModelManifest } from "../contracts/manifest.ts";
import { DomainError } from "../errors.ts";
import { removeAll } from "./disk.ts";
import { FileCache } from "./file_cache.ts";

/** Manifests that were read already. */
export type ManifestCache = FileCache<ModelManifest>;

/**
 * Reads `<folder>/<id>.json`, sorted by id. A folder that is not there holds none.
 *
 * @throws {DomainError} `invalid_config` that names the file and what is wrong in it.
 */
export async function readManifests(folder: string, cache: ManifestCache = new FileCache()): Promise<ModelManifest[]> {
  const names = await listManifests(folder);
  const manifests = await Promise.all(names.map((name) => readCached(join(folder, name), { name, cache })));
  return manifests.filter((manifest) => manifest !== null);
}

/** Names of a folder's manifests, sorted. */
async function listManifests(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.name.endsWith(".json")) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

/** Null when the file has just been removed. */
function readCached(
  path: string,
  { name, cache }: { name: string; cache: ManifestCache },
): Promise<ModelManifest | null> {
  return cache.getByState(path, () => readManifest(path, name));
}

async function readManifest(path: string, name: string): Promise<ModelManifest> {
  const result = ModelManifest.safeParse(parseJson(await Deno.readTextFile(path), name));
  if (!result.success) throw unreadable(name, z.prettifyError(result.error).replaceAll(/\s+/g, " "));
  if (`${result.data.id}.json` !== name) throw unreadable(name, `its id is "${result.data.id}"`);
  return result.data;
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(name, error instanceof Error ? error.message : String(error));
  }
}

function unreadable(name: string, reason: string): DomainError {
  return new DomainError("invalid_config", `Cannot read the model manifest ${name}: ${reason}`);
}

/** The manifests that Rookery ships, and those that were made of names on a hub and are remembered. */
export class ManifestStore {
  readonly #shippedDir: string;
  readonly #rememberedDir: string;
  readonly #cache: ManifestCache = new FileCache();

  constructor({ shippedDir, rememberedDir }: { shippedDir: string; rememberedDir: string }) {
    this.#shippedDir = shippedDir;
    this.#rememberedDir = rememberedDir;
  }

  /**
   * All manifests by id; a shipped one goes before a remembered one of its id.
   *
   * @throws {DomainError} `invalid_config` for a shipped manifest that cannot be read.
   */
  async read(): Promise<Map<string, ModelManifest>> {
    const manifests = new Map((await this.#readRemembered()).map((manifest) => [manifest.id, manifest]));
    for (const manifest of await readManifests(this.#shippedDir, this.#cache)) manifests.set(manifest.id, manifest);
    return manifests;
  }

  /** One that an older Rookery wrote in another way is passed over: its model is still there, as a file. */
  async #readRemembered(): Promise<ModelManifest[]> {
    const names = await listManifests(this.#rememberedDir);
    const read = (name: string) => readCached(join(this.#rememberedDir, name), { name, cache: this.#cache });
    const manifests = await Promise.all(names.map((name) => read(name).catch(() => null)));
    return manifests.filter((manifest) => manifest !== null);
  }

  /** Whether a manifest of that id was made here, and not shipped. */
  async isRemembered(id: string): Promise<boolean> {
    return (await listManifests(this.#rememberedDir)).includes(`${id}.json`);
  }

  async remember(manifest: ModelManifest): Promise<void> {
    await Deno.mkdir(this.#rememberedDir, { recursive: true });
    const path = join(this.#rememberedDir, `${manifest.id}.json`);
    await Deno.writeTextFile(`${path}.new`, JSON.stringify(manifest, null, 2) + "\n");
    await Deno.rename(`${path}.new`, path);
  }

  async forget(id: string): Promise<void> {
    await removeAll(join(this.#rememberedDir, `${id}.json`));
  }

  /** Differs whenever {@linkcode ManifestStore.read} may answer something else. */
  async fingerprint(): Promise<string> {
    const folders = [this.#shippedDir, this.#rememberedDir];
    const states = folders.map(async (folder) => {
      const names = await listManifests(folder);
      return await Promise.all(names.map(async (name) => {
        const info = await Deno.stat(join(folder, name)).catch(() => null);
        return `${name} ${info?.size} ${info?.mtime?.getTime()}`;
      }));
    });
    return JSON.stringify(await Promise.all(states));
  }
}
