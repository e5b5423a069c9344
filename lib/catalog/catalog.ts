import { basename } from "node:path";
import { ModelId, type ModelManifest } from "../contracts/manifest.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { hashFile, type MeasureFreeBytes, measureFreeBytes, requireSpace } from "./disk.ts";
import { type GgufHeader, readGgufFile } from "./gguf.ts";
import type { RetryPolicy } from "./http_download.ts";
import { importModel, type ImportOptions } from "./import_model.ts";
import { withLock } from "./lock.ts";
import { readManifests } from "./manifests.ts";
import { ModelsFolder, type StoredFile, toModelId } from "./models_folder.ts";
import { DEFAULT_PIP, type PipOptions } from "./pip_download.ts";
import { type LongOptions, ProgressMeter } from "./progress.ts";
import { type HubAccess, pullFile } from "./pull_file.ts";

/** A model that is here, or that could be. */
export type CatalogEntry =
  & {
    id: string;
    name: string;
    /** Null for a file that somebody put there without a manifest. */
    manifest: ModelManifest | null;
    /** Size of the weights; null when it is not known before the pull. */
    sizeBytes: number | null;
    /** Bytes of an unfinished pull. */
    partialBytes: number;
  }
  & (
    | { state: "installed"; model: ModelFile }
    /** The file is there and cannot be used; `problem` says why. */
    | { state: "broken"; problem: string }
    | { state: "available" }
  );

/** Options of {@linkcode Catalog.pull}. */
export interface PullOptions extends LongOptions {
  /** Told in one line whenever a source fails or an attempt is made anew. */
  onNotice?: (message: string) => void;
}

/** What {@linkcode Catalog.verify} found. */
export interface Verification {
  id: string;
  sha256: string;
  /** Null when nobody knew what it should be; it is known from now on. */
  expectedSha256: string | null;
  intact: boolean;
}

/** The models of this machine: those that are here and those that manifests tell how to get. */
export interface Catalog {
  /**
   * Every model, sorted by id.
   *
   * @throws {DomainError} `invalid_config` for a manifest that cannot be read.
   */
  list(): Promise<CatalogEntry[]>;
  /**
   * An installed model whose header was checked. Ids are matched in any case.
   *
   * @throws {DomainError} `model_not_found` that says what there is and how to get this one; `invalid_model_file`.
   */
  find(id: string): Promise<ModelFile>;
  /**
   * Fetches a model that has a manifest; one that is here already is left as it is.
   *
   * @throws {DomainError} `model_not_found`, `model_exists` when another file has its place, `disk_full`,
   *   `pull_failed`, `invalid_model_file`, `request_cancelled`.
   */
  pull(id: string, options?: PullOptions): Promise<ModelFile>;
  /**
   * Copies a GGUF file into the models folder.
   *
   * @throws {DomainError} `model_not_found` when there is no such file, `invalid_model_file`, `model_exists`,
   *   `invalid_request` for an id that cannot be, `disk_full`, `request_cancelled`.
   */
  importFile(path: string, options?: ImportOptions): Promise<ModelFile>;
  /**
   * Reads all of an installed model and compares it with its recorded checksum.
   *
   * @throws {DomainError} `model_not_found`, `invalid_model_file`, `request_cancelled`.
   */
  verify(id: string, options?: LongOptions): Promise<Verification>;
  /**
   * Removes an installed model, or what an unfinished pull of it left, and returns how many bytes that freed.
   *
   * @throws {DomainError} `model_not_found`.
   */
  remove(id: string): Promise<number>;
}

/** What a catalog is made of. */
export interface CatalogOptions {
  /** Folder of `<id>.json` manifests. */
  manifestsDir: string;
  /** Folder of weights; it is created when it is needed. */
  modelsDir: string;
  env: HubAccess;
  fetch?: typeof fetch;
  pip?: PipOptions;
  policy?: RetryPolicy;
  measureFreeBytes?: MeasureFreeBytes;
}

const DEFAULT_POLICY: RetryPolicy = { stallTimeoutMs: 30_000, retryDelaysMs: [1_000, 3_000, 10_000] };

/** The signal of callers that stop nothing. */
const NEVER = new AbortController().signal;

/** Opens the models of a folder. Nothing is read before it is asked for. */
export function openCatalog(options: CatalogOptions): Catalog {
  return new FolderCatalog(options);
}

class FolderCatalog implements Catalog {
  readonly #options: CatalogOptions;
  readonly #folder: ModelsFolder;
  readonly #measure: MeasureFreeBytes;
  /** Headers by path, as long as size and time of change stay. */
  readonly #headers = new Map<string, { key: string; header: Promise<GgufHeader> }>();

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#folder = new ModelsFolder(options.modelsDir);
    this.#measure = options.measureFreeBytes ?? measureFreeBytes;
  }

  async list(): Promise<CatalogEntry[]> {
    const manifests = await this.#readManifests();
    const files = await this.#folder.scan();
    const entries = await Promise.all(files.map((file) => this.#describe(file, manifests.get(file.id) ?? null)));
    for (const manifest of manifests.values()) {
      if (files.some((file) => file.id === manifest.id)) continue;
      const { id, name, files: [weights] } = manifest;
      const partialBytes = await this.#folder.measureParts(weights.name);
      entries.push({ id, name, manifest, sizeBytes: weights.sizeBytes, partialBytes, state: "available" });
    }
    return entries.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #describe(file: StoredFile, manifest: ModelManifest | null): Promise<CatalogEntry> {
    const common = { id: file.id, manifest, sizeBytes: file.sizeBytes, partialBytes: 0 };
    try {
      const model = await this.#toModelFile(file, manifest);
      return { ...common, name: model.name, state: "installed", model };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { ...common, name: manifest?.name ?? file.id, state: "broken", problem: error.message };
    }
  }

  async find(id: string): Promise<ModelFile> {
    const manifests = await this.#readManifests();
    const file = await this.#findStored(id);
    if (file !== null) return await this.#toModelFile(file, manifests.get(file.id) ?? null);
    const installed = (await this.#folder.scan()).map((each) => `"${each.id}"`);
    const there = installed.length === 0 ? "there is none yet" : `there is ${installed.join(", ")}`;
    const next = manifests.has(id)
      ? `get it with: deno task models pull ${id}`
      : "deno task models list shows what can be had";
    throw new DomainError("model_not_found", `Unknown model "${id}"; ${there}; ${next}`, { param: "model" });
  }

  async pull(id: string, options: PullOptions = {}): Promise<ModelFile> {
    const manifest = (await this.#readManifests()).get(id);
    if (manifest === undefined) throw await this.#unknownManifest(id);
    const work = async (): Promise<ModelFile> => {
      if (!await this.#isInPlace(manifest, options)) await this.#fetch(manifest, options);
      return await this.find(id);
    };
    const stopped = `Pull of "${id}" was stopped; pull again to go on`;
    return await this.#work(id, { stopped, signal: options.signal, work });
  }

  async #fetch({ files: [file] }: ModelManifest, options: PullOptions): Promise<void> {
    const partPath = this.#folder.partPathOf(file.name);
    const meter = new ProgressMeter(file.name, { report: options.onProgress });
    const space = (neededBytes: number): Promise<void> =>
      requireSpace(this.#folder.path, { neededBytes, what: file.name, measure: this.#measure });
    await space((file.sizeBytes ?? 0) - await this.#folder.measureParts(file.name));
    const sha256 = await pullFile(file, {
      partPath,
      context: {
        fetch: this.#options.fetch ?? fetch,
        pip: this.#options.pip ?? DEFAULT_PIP,
        policy: this.#options.policy ?? DEFAULT_POLICY,
        hub: this.#options.env,
        notify: options.onNotice ?? (() => {}),
        requireSpace: space,
        signal: options.signal ?? NEVER,
        meter,
      },
    });
    await this.#admit(partPath, file.name);
    await Deno.rename(partPath, this.#folder.pathOf(file.name));
    await this.#folder.removeParts(file.name);
    await this.#folder.writeChecksum(this.#folder.pathOf(file.name), sha256);
    meter.restartAt((await Deno.stat(this.#folder.pathOf(file.name))).size);
    meter.finish();
  }

  /** Checks the header of what was fetched; what native code could not read is not kept. */
  async #admit(partPath: string, fileName: string): Promise<void> {
    try {
      await readGgufFile(partPath);
    } catch (error) {
      await this.#folder.removeParts(fileName);
      throw error;
    }
  }

  /** Whether the right file is in its place already; a wrong one is never overwritten. */
  async #isInPlace(manifest: ModelManifest, options: PullOptions): Promise<boolean> {
    const { id, files: [{ name, sha256 }] } = manifest;
    const file = (await this.#folder.scan()).find((each) => each.fileName === name);
    if (file === undefined) return false;
    if (sha256 === null) {
      await this.#toModelFile(file, manifest);
      return true;
    }
    const known = await this.#folder.readChecksum(file);
    const actual = known ?? await this.#hash(file, options);
    if (actual === sha256) {
      if (known === null) await this.#folder.writeChecksum(file.path, actual);
      return true;
    }
    throw new DomainError(
      "model_exists",
      `Cannot pull "${id}": ${file.path} is another file than the manifest's; ` +
        `keep it, or first run: deno task models remove ${id}`,
    );
  }

  async importFile(path: string, options: ImportOptions = {}): Promise<ModelFile> {
    const id = options.id ?? toModelId(basename(path));
    if (!ModelId.safeParse(id).success) {
      throw new DomainError("invalid_request", `Cannot import as "${id}": an id is letters, digits, dots and dashes`);
    }
    const work = async (): Promise<ModelFile> => {
      const existing = await this.#findStored(id);
      await importModel(path, { id, existing, folder: this.#folder, measure: this.#measure, options });
      return await this.find(id);
    };
    return await this.#work(id, { stopped: `Import of "${id}" was stopped`, signal: options.signal, work });
  }

  async verify(id: string, options: LongOptions = {}): Promise<Verification> {
    const file = await this.#findStored(id);
    if (file === null) {
      await this.find(id); // throws with all that can be said
      throw new DomainError("model_not_found", `Unknown model "${id}"`);
    }
    const manifest = (await this.#readManifests()).get(file.id);
    const recorded = (await this.#folder.readSidecar(file))?.sha256 ?? manifest?.files[0].sha256 ?? null;
    const stopped = `Verification of "${id}" was stopped`;
    const sha256 = await explainAbort(stopped, { signal: options.signal, work: () => this.#hash(file, options) });
    const intact = recorded === null || sha256 === recorded;
    if (intact) {
      await readGgufFile(file.path);
      await this.#folder.writeChecksum(file.path, sha256);
    }
    return { id: file.id, sha256, expectedSha256: recorded, intact };
  }

  async remove(id: string): Promise<number> {
    const work = async (): Promise<number> => {
      const file = await this.#findStored(id);
      const manifest = (await this.#readManifests()).get(id);
      const fileName = file?.fileName ?? manifest?.files[0].name ?? null;
      const partialBytes = fileName === null ? 0 : await this.#folder.measureParts(fileName);
      const hadParts = fileName !== null && await this.#folder.removeParts(fileName);
      if (file === null && !hadParts) await this.find(id); // throws with all that can be said
      if (file !== null) await this.#folder.remove(file);
      return partialBytes + (file?.sizeBytes ?? 0);
    };
    return await this.#work(id, { stopped: `Removal of "${id}" was stopped`, signal: undefined, work });
  }

  /** Works on one model while nobody else does, and says it in words when the caller stops it. */
  async #work<Result>(
    id: string,
    { stopped, signal, work }: { stopped: string; signal: AbortSignal | undefined; work: () => Promise<Result> },
  ): Promise<Result> {
    if (!ModelId.safeParse(id).success) {
      await this.find(id);
      throw new DomainError("model_not_found", `Unknown model "${id}"`);
    }
    await this.#folder.create();
    const busy = `Cannot change "${id}" now: another process is pulling or changing it; wait for it, or stop it`;
    return await withLock(this.#folder.lockPathOf(id), { busy, work: () => explainAbort(stopped, { signal, work }) });
  }

  /** The file of an id: the same letters first, then any case. Paths never come from ids. */
  async #findStored(id: string): Promise<StoredFile | null> {
    const files = await this.#folder.scan();
    return files.find((file) => file.id === id) ??
      files.find((file) => file.id.toLowerCase() === id.toLowerCase()) ?? null;
  }

  async #toModelFile(file: StoredFile, manifest: ModelManifest | null): Promise<ModelFile> {
    const header = await this.#readHeader(file);
    return {
      id: file.id,
      name: manifest?.name ?? header.name ?? file.id,
      kind: "chat",
      engine: "llama",
      path: await Deno.realPath(file.path),
      sizeBytes: file.sizeBytes,
      sha256: await this.#folder.readChecksum(file),
      modifiedAtMs: file.modifiedAtMs,
      architecture: header.architecture,
      parameters: header.parameters,
      quantization: header.quantization,
      contextTokensTrained: header.contextTokensTrained,
      chatTemplate: header.chatTemplate,
      licence: manifest?.licence.name ?? header.licence,
    };
  }

  #readHeader(file: StoredFile): Promise<GgufHeader> {
    const key = `${file.sizeBytes} ${file.modifiedAtMs}`;
    const known = this.#headers.get(file.path);
    if (known?.key === key) return known.header;
    const header = readGgufFile(file.path);
    this.#headers.set(file.path, { key, header });
    return header;
  }

  async #hash(file: StoredFile, { signal, onProgress }: LongOptions): Promise<string> {
    const meter = new ProgressMeter(file.fileName, { report: onProgress });
    meter.totalBytes = file.sizeBytes;
    meter.restartAt(0);
    const sha256 = await hashFile(file.path, { signal: signal ?? NEVER, meter });
    meter.finish();
    return sha256;
  }

  async #readManifests(): Promise<Map<string, ModelManifest>> {
    const manifests = await readManifests(this.#options.manifestsDir);
    return new Map(manifests.map((manifest) => [manifest.id, manifest]));
  }

  async #unknownManifest(id: string): Promise<DomainError> {
    const ids = [...(await this.#readManifests()).keys()].map((each) => `"${each}"`).join(", ");
    return new DomainError("model_not_found", `Cannot pull "${id}": manifests tell how to get ${ids || "none"}`);
  }
}

/** Does `work` and, when it fails because the caller stopped it, says `stopped`. */
async function explainAbort<Result>(
  stopped: string,
  { signal, work }: { signal: AbortSignal | undefined; work: () => Promise<Result> },
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw signal?.aborted ? new DomainError("request_cancelled", stopped, { cause: error }) : error;
  }
}
