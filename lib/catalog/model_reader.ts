import type { ModelManifest } from "../contracts/manifest.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { combineChecksums, type ModelChecksums, readChecksums } from "./checksums.ts";
import { hashFile } from "./disk.ts";
import { FileCache } from "./file_cache.ts";
import { type ModelHeader, readModelHeader } from "./model_header.ts";
import type { ModelsFolder, StoredModel } from "./models_folder.ts";
import { type LongOptions, ProgressMeter } from "./progress.ts";

/** Reads stored models, each no more often than it changes. */
export class ModelReader {
  readonly #folder: ModelsFolder;
  readonly #headers = new FileCache<ModelHeader>();
  readonly #checksums = new FileCache<ModelChecksums>();

  constructor(folder: ModelsFolder) {
    this.#folder = folder;
  }

  /**
   * A stored model as its header and, where there is one, its manifest tell.
   *
   * @throws {DomainError} `invalid_model_file`.
   */
  async describe(model: StoredModel, manifest: ModelManifest | null): Promise<ModelFile> {
    const header = await this.#headers.get(model.path, { key: stateOf(model), load: () => readModelHeader(model) });
    const { fresh } = await this.readChecksums(model);
    // A folder tells how many positions there are, which may be more than the model was trained on.
    const known = [manifest?.contextTokens, header.contextTokensTrained];
    const contextTokensTrained = (model.form === "folder" ? known : known.reverse()).find((tokens) => tokens);
    if (!contextTokensTrained) {
      throw new DomainError(
        "invalid_model_file",
        `Cannot read model "${model.id}": it does not say how long its context is`,
      );
    }
    return {
      id: model.id,
      name: manifest?.name ?? header.name ?? model.id,
      kind: manifest?.kind === "embedding" ? "embedding" : header.kind,
      engine: model.form === "folder" ? "onnx" : "llama",
      path: await Deno.realPath(model.path),
      sizeBytes: model.sizeBytes,
      sha256: combineChecksums(model.form, model.files.map(({ name }) => ({ name, sha256: fresh.get(name) ?? null }))),
      modifiedAtMs: model.modifiedAtMs,
      architecture: header.architecture,
      parameters: header.parameters,
      quantization: header.quantization,
      contextTokensTrained,
      chatTemplate: header.chatTemplate,
      licence: manifest?.licence?.name ?? header.licence,
    };
  }

  /** What is recorded of a model's files. */
  async readChecksums(model: StoredModel): Promise<ModelChecksums> {
    const record = await Deno.stat(this.#folder.recordPathOf(model)).catch(() => null);
    const key = `${stateOf(model)} ${record?.size} ${record?.mtime?.getTime()} ${record?.ino}`;
    return await this.#checksums.get(model.path, { key, load: () => readChecksums(this.#folder, model) });
  }
}

/** Size and time of change of every file of a model, as one text. */
export function stateOf({ files }: StoredModel): string {
  return files.map(({ name, sizeBytes, modifiedAtMs }) => `${name} ${sizeBytes} ${modifiedAtMs}`).join("\n");
}

/** The signal of callers that stop nothing. */
const NEVER = new AbortController().signal;

/** SHA-256 in hex of every file of a model, by name. */
export async function hashModel(
  model: StoredModel,
  { signal, onProgress }: LongOptions,
): Promise<Map<string, string>> {
  const meter = new ProgressMeter(model.entryName, { report: onProgress });
  meter.totalBytes = model.sizeBytes;
  meter.restartAt(0);
  const sha256s = new Map<string, string>();
  for (const { name, path } of model.files) {
    sha256s.set(name, await hashFile(path, { signal: signal ?? NEVER, meter }));
  }
  meter.finish();
  return sha256s;
}
