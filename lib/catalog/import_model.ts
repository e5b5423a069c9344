import { basename } from "node:path";
import { DomainError } from "../errors.ts";
import { appendFile, explainWrite, type MeasureFreeBytes, removeAll, requireSpace } from "./disk.ts";
import { readGgufFile } from "./gguf.ts";
import type { ModelsFolder, StoredModel } from "./models_folder.ts";
import { type LongOptions, ProgressMeter } from "./progress.ts";

/** Options of an import. */
export interface ImportOptions extends LongOptions {
  /** Null or absent takes the file's name. */
  id?: string | null;
  /** Replaces a model of that id. */
  force?: boolean;
}

/**
 * Copies a GGUF file into the models folder under an id, whole or not at all. The header is checked before and after:
 * the source may change while it is read. Returns the SHA-256 of what was copied.
 *
 * @throws {DomainError} `model_not_found`, `invalid_model_file`, `model_exists`, `disk_full`.
 */
export async function importModel(path: string, { id, existing, folder, measure, options }: {
  id: string;
  existing: StoredModel | null;
  folder: ModelsFolder;
  measure: MeasureFreeBytes;
  options: ImportOptions;
}): Promise<string> {
  await readGgufFile(path);
  await refuseReplacing(path, { id, existing, force: options.force ?? false });
  const fileName = existing?.entryName ?? `${id}.gguf`;
  const copyPath = `${folder.pathOf(fileName)}.import`;
  const { size } = await Deno.stat(path);
  await requireSpace(folder.path, { neededBytes: size, what: basename(path), measure });
  const meter = new ProgressMeter(fileName, { report: options.onProgress });
  meter.totalBytes = size;
  meter.restartAt(0);
  await removeAll(copyPath);
  try {
    const signal = options.signal ?? new AbortController().signal;
    const sha256 = await appendFile(path, copyPath, { signal, meter });
    await readGgufFile(copyPath);
    await Deno.rename(copyPath, folder.pathOf(fileName));
    meter.finish();
    return sha256;
  } catch (error) {
    throw explainWrite(error, basename(path));
  } finally {
    await removeAll(copyPath);
  }
}

async function refuseReplacing(
  path: string,
  { id, existing, force }: { id: string; existing: StoredModel | null; force: boolean },
): Promise<void> {
  if (existing === null) return;
  if (existing.form === "folder") {
    throw new DomainError(
      "model_exists",
      `Cannot import as "${id}": there is a folder of that name; choose another with --id`,
    );
  }
  const same = await Deno.realPath(path) === await Deno.realPath(existing.path);
  if (!same && force) return;
  const advice = same ? "it is this very file" : "choose another with --id, or replace it with --force";
  throw new DomainError("model_exists", `Cannot import as "${id}": there is a model of that id; ${advice}`);
}
