import { createHash } from "node:crypto";
import { z } from "zod";
import type { ManifestFile } from "../contracts/manifest.ts";
import type { ModelsFolder, StoredFile, StoredModel } from "./models_folder.ts";

/** What was computed of a file; true as long as size and time of change are the same. */
const FileRecord = z.object({
  sha256: z.string(),
  sizeBytes: z.number(),
  modifiedAtMs: z.number(),
});
type FileRecord = z.infer<typeof FileRecord>;

/** The record of a GGUF file is written beside it in short, that of a folder names its files. */
const ModelRecord = z.union([
  z.object({ files: z.record(z.string(), FileRecord), source: z.string().nullable().default(null) }),
  FileRecord.extend({ source: z.string().nullable().default(null) }),
]);
type ModelRecord = z.infer<typeof ModelRecord>;

/** What is known of a model's files and where they came from. */
export interface ModelChecksums {
  /** SHA-256 in hex by file name, whether or not the file is still the same. */
  recorded: Map<string, string>;
  /** SHA-256 in hex by file name of those that were not touched since. */
  fresh: Map<string, string>;
  /** Where an import copied it from, or null. */
  source: string | null;
}

/** Reads what was recorded of a model; nothing, when there is no record or it cannot be read. */
export async function readChecksums(folder: ModelsFolder, model: StoredModel): Promise<ModelChecksums> {
  const record = await readRecord(folder.recordPathOf(model));
  const checksums: ModelChecksums = { recorded: new Map(), fresh: new Map(), source: record?.source ?? null };
  for (const file of model.files) {
    const known = record === null ? undefined : "files" in record ? record.files[file.name] : record;
    if (known === undefined) continue;
    checksums.recorded.set(file.name, known.sha256);
    if (known.sizeBytes === file.sizeBytes && known.modifiedAtMs === file.modifiedAtMs) {
      checksums.fresh.set(file.name, known.sha256);
    }
  }
  // A file that is gone is known all the same.
  if (record !== null && "files" in record) {
    for (const [name, { sha256 }] of Object.entries(record.files)) checksums.recorded.set(name, sha256);
  }
  return checksums;
}

async function readRecord(path: string): Promise<ModelRecord | null> {
  try {
    return ModelRecord.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch {
    return null;
  }
}

/** Records the SHA-256 of every file of a model as it is now, and where it came from. */
export async function writeChecksums(
  folder: ModelsFolder,
  model: StoredModel,
  { sha256s, source }: { sha256s: ReadonlyMap<string, string>; source: string | null },
): Promise<void> {
  const toRecord = ({ name, sizeBytes, modifiedAtMs }: StoredFile): FileRecord => (
    { sha256: sha256s.get(name)!, sizeBytes, modifiedAtMs }
  );
  const record: ModelRecord = model.form === "folder"
    ? { files: Object.fromEntries(model.files.map((file) => [file.name, toRecord(file)])), source }
    : { ...toRecord(model.files[0]!), source };
  const path = folder.recordPathOf(model);
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(record, null, 2) + "\n");
  await Deno.rename(`${path}.new`, path);
}

/**
 * The SHA-256 of a model in hex: that of its file, or of the lines that `sha256sum` prints of a folder's files, sorted by
 * name. Null when that of a file is not known.
 */
export function combineChecksums(
  form: StoredModel["form"],
  files: readonly { name: string; sha256: string | null }[],
): string | null {
  if (form === "file" || files.length === 0) return files[0]?.sha256 ?? null;
  const hash = createHash("sha256");
  for (const { name, sha256 } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (sha256 === null) return null;
    hash.update(`${sha256}  ${name}\n`);
  }
  return hash.digest("hex");
}

/** The bytes of a file that its manifest holds, or null. */
export function renderContent({ content }: ManifestFile): Uint8Array<ArrayBuffer> | null {
  if (content === undefined) return null;
  return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content, null, 2) + "\n");
}

/** What a manifest says that a file must be: size in bytes and SHA-256 in hex, each null when it does not say. */
export function expectFile(file: ManifestFile): { name: string; sizeBytes: number | null; sha256: string | null } {
  const content = renderContent(file);
  if (content === null) return file;
  return {
    name: file.name,
    sizeBytes: content.length,
    sha256: createHash("sha256").update(content).digest("hex"),
  };
}
