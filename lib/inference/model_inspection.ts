import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";

/**
 * Makes sure that a model's file is still the one that was listed: native code that meets another one crashes.
 *
 * @throws {DomainError} `model_not_found` when it is gone, `engine_unavailable` when it changed.
 */
export async function inspectModel({ id, path, sizeBytes, modifiedAtMs }: ModelFile): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw unreadableError(id, cause);
    throw new DomainError("model_not_found", `Cannot load model "${id}": its file is missing`, { param: "model" });
  }
  // A folder has no size of its own.
  if (info.isFile && (info.size !== sizeBytes || (info.mtime?.getTime() ?? 0) !== modifiedAtMs)) {
    throw new DomainError("engine_unavailable", `Cannot load model "${id}": its file has just changed; try again`);
  }
}

function unreadableError(id: string, cause: unknown): DomainError {
  return new DomainError(
    "engine_unavailable",
    `Cannot load model "${id}": its file may not be read; if it is a link to another folder, start Rookery again`,
    { cause },
  );
}
