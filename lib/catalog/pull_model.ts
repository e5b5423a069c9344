import { dirname, join } from "node:path";
import type { ManifestFile, ModelManifest } from "../contracts/manifest.ts";
import { combineChecksums, expectFile, renderContent } from "./checksums.ts";
import { hashFile, removeAll, sizeOf } from "./disk.ts";
import { readModelHeader } from "./model_header.ts";
import { type ModelsFolder, placeOf } from "./models_folder.ts";
import { type PullContext, pullFile } from "./pull_file.ts";

/**
 * Fetches a model to its place, whole or not at all, and returns the SHA-256 of each of its files by name. What an
 * interrupted pull left is used; what native code could not read is not kept.
 *
 * @throws {DomainError} `pull_failed`, `disk_full`, `invalid_model_file`.
 */
export async function pullModel(
  manifest: ModelManifest,
  { folder, context }: { folder: ModelsFolder; context: PullContext },
): Promise<Map<string, string>> {
  const place = placeOf(manifest);
  const target = folder.pathOf(place.entryName);
  const part = folder.partPathOf(place);
  const expected = manifest.files.map(expectFile);
  context.meter.totalBytes = sumSizes(expected);
  context.meter.sha256 = combineChecksums(place.form, expected);
  await context.requireSpace((context.meter.totalBytes ?? 0) - await folder.measureParts(place));
  const sha256s = place.form === "folder"
    ? await fetchFolder(manifest, { stage: part, context })
    : new Map([[place.entryName, await pullFile(manifest.files[0]!, { partPath: part, context })]]);
  try {
    const files = place.form === "folder" ? await describeFiles(manifest, part) : [];
    await readModelHeader({ ...place, path: part, files });
  } catch (error) {
    await folder.removeParts(place);
    throw error;
  }
  await Deno.rename(part, target);
  await folder.removeParts(place);
  return sha256s;
}

function sumSizes(files: readonly { sizeBytes: number | null }[]): number | null {
  return files.reduce<number | null>(
    (sum, { sizeBytes }) => sum === null || sizeBytes === null ? null : sum + sizeBytes,
    0,
  );
}

/** Brings one file after the other into `stage`. A file that has its own name there is whole. */
async function fetchFolder(
  { files }: ModelManifest,
  { stage, context }: { stage: string; context: PullContext },
): Promise<Map<string, string>> {
  const sha256s = new Map<string, string>();
  let { baseBytes } = context;
  for (const file of files) {
    const path = join(stage, file.name);
    await Deno.mkdir(dirname(path), { recursive: true });
    sha256s.set(file.name, await fetchInto(path, { file, context: { ...context, baseBytes } }));
    baseBytes += await sizeOf(path) ?? 0;
    context.meter.restartAt(baseBytes);
  }
  await removeOthers(stage, sha256s);
  return sha256s;
}

/** Removes what an earlier pull, of another manifest, left in `stage`. */
async function removeOthers(stage: string, wanted: ReadonlyMap<string, string>): Promise<void> {
  const folders = new Set([...wanted.keys()].filter((name) => name.includes("/")).map((name) => name.split("/")[0]!));
  for (const base of ["", ...folders]) {
    for (const entry of await Array.fromAsync(Deno.readDir(join(stage, base)))) {
      const name = base === "" ? entry.name : `${base}/${entry.name}`;
      if (!wanted.has(name) && !folders.has(name)) await removeAll(join(stage, name));
    }
  }
}

async function fetchInto(
  path: string,
  { file, context }: { file: ManifestFile; context: PullContext },
): Promise<string> {
  const expected = expectFile(file);
  const presentBytes = await sizeOf(path);
  if (presentBytes !== null && (expected.sizeBytes ?? presentBytes) === presentBytes) {
    const sha256 = await hashFile(path, { signal: context.signal });
    if ((expected.sha256 ?? sha256) === sha256) return sha256;
  }
  await removeAll(path);
  const content = renderContent(file);
  if (content !== null) {
    await Deno.writeFile(path, content);
    return expected.sha256!;
  }
  const partPath = `${path}.part`;
  const sha256 = await pullFile(file, { partPath, context });
  await Deno.rename(partPath, path);
  return sha256;
}

/** Files of a model that is not yet in its place, as {@linkcode readModelHeader} takes them. */
async function describeFiles({ files }: ModelManifest, stage: string) {
  return await Promise.all(files.map(async ({ name }) => {
    const path = join(stage, name);
    return { name, path, sizeBytes: await sizeOf(path) ?? 0, modifiedAtMs: 0 };
  }));
}
