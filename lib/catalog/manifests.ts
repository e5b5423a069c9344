import { join } from "node:path";
import { z } from "zod";
import { ModelManifest } from "../contracts/manifest.ts";
import { DomainError } from "../errors.ts";

/**
 * Reads `<folder>/<id>.json`, sorted by id. A folder that is not there holds none.
 *
 * @throws {DomainError} `invalid_config` that names the file and what is wrong in it.
 */
export async function readManifests(folder: string): Promise<ModelManifest[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (entry.name.endsWith(".json")) names.push(entry.name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return await Promise.all(names.sort().map((name) => readManifest(join(folder, name), name)));
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
