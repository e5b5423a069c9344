import { basename } from "node:path";
import { ModelId, type ModelManifest } from "../contracts/manifest.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { combineChecksums, expectFile, writeChecksums } from "./checksums.ts";
import { type MeasureFreeBytes, measureFreeBytes, requireSpace } from "./disk.ts";
import { readGgufFile } from "./gguf.ts";
import type { RetryPolicy } from "./http_download.ts";
import { completeManifest, describeHubModel, parseHubName } from "./hub_repository.ts";
import { importModel, type ImportOptions } from "./import_model.ts";
import { withLock } from "./lock.ts";
import { ManifestStore } from "./manifests.ts";
import { readModelHeader } from "./model_header.ts";
import { hashModel, ModelReader, stateOf } from "./model_reader.ts";
import { ModelsFolder, placeOf, type StoredModel, toModelId } from "./models_folder.ts";
import { DEFAULT_PIP, type PipOptions } from "./pip_download.ts";
import { type LongOptions, ProgressMeter } from "./progress.ts";
import type { HubAccess, PullContext } from "./pull_file.ts";
import { pullModel } from "./pull_model.ts";

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
    /** Where an import copied it from, or the first source of its manifest; null when nobody knows. */
    source: string | null;
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
  /** Names of the files that are not what they should be. */
  changedFiles: string[];
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
   * Fetches a model that has a manifest, or one of a hub: `hf.co/owner/repo`, with `:Q8_0` or another quantization
   * behind it (see `describeHubModel`; the answer tells the id that it got). One that is here already is left as it is.
   *
   * @throws {DomainError} `model_not_found`, `model_exists` when another file has its place, `disk_full`,
   *   `pull_failed`, `invalid_model_file`, `request_cancelled`.
   */
  pull(name: string, options?: PullOptions): Promise<ModelFile>;
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
  /**
   * A text that differs whenever {@linkcode Catalog.list} may answer something else, whichever process changed the
   * folder. It opens no file.
   */
  fingerprint(): Promise<string>;
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
  readonly #manifests: ManifestStore;
  readonly #measure: MeasureFreeBytes;
  readonly #reader: ModelReader;

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#folder = new ModelsFolder(options.modelsDir);
    this.#manifests = new ManifestStore({
      shippedDir: options.manifestsDir,
      rememberedDir: this.#folder.manifestsPath,
    });
    this.#reader = new ModelReader(this.#folder);
    this.#measure = options.measureFreeBytes ?? measureFreeBytes;
  }

  async list(): Promise<CatalogEntry[]> {
    const [manifests, models] = await Promise.all([this.#manifests.read(), this.#folder.scan()]);
    const entries = await Promise.all(models.map((model) => this.#describe(model, manifests.get(model.id) ?? null)));
    for (const manifest of manifests.values()) {
      if (models.some((model) => model.id === manifest.id)) continue;
      entries.push(await this.#describeAvailable(manifest));
    }
    return entries.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #describe(model: StoredModel, manifest: ModelManifest | null): Promise<CatalogEntry> {
    const source = (await this.#reader.readChecksums(model)).source ??
      (manifest === null ? null : firstSource(manifest));
    const common = { id: model.id, manifest, sizeBytes: model.sizeBytes, partialBytes: 0, source };
    try {
      const file = await this.#reader.describe(model, manifest);
      return { ...common, name: file.name, state: "installed", model: file };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return { ...common, name: manifest?.name ?? model.id, state: "broken", problem: error.message };
    }
  }

  async #describeAvailable(manifest: ModelManifest): Promise<CatalogEntry> {
    const sizes = manifest.files.map((file) => expectFile(file).sizeBytes);
    const sizeBytes = sizes.reduce((sum, size) => sum === null || size === null ? null : sum + size, 0);
    const partialBytes = await this.#folder.measureParts(placeOf(manifest));
    const { id, name } = manifest;
    return { id, name, manifest, sizeBytes, partialBytes, source: firstSource(manifest), state: "available" };
  }

  async find(id: string): Promise<ModelFile> {
    const model = await this.#findStored(id);
    const manifests = await this.#manifests.read();
    if (model !== null) return await this.#reader.describe(model, manifests.get(model.id) ?? null);
    const installed = (await this.#folder.scan()).map((each) => `"${each.id}"`);
    const there = installed.length === 0 ? "there is none yet" : `there is ${installed.join(", ")}`;
    const manifest = findById(manifests, id);
    const next = manifest === null
      ? "deno task models list shows what can be had"
      : `get it with: deno task models pull ${manifest.id}`;
    throw new DomainError("model_not_found", `Unknown model "${id}"; ${there}; ${next}`, { param: "model" });
  }

  async pull(name: string, options: PullOptions = {}): Promise<ModelFile> {
    const known = findById(await this.#manifests.read(), name);
    const manifest = known ?? await this.#describeHubModel(name, options);
    const { id } = manifest;
    const work = async (): Promise<ModelFile> => {
      const isInPlace = await this.#isInPlace(manifest, options);
      if (known === null) await this.#manifests.remember(manifest); // before the bytes: a pull that stops can be gone on with
      if (!isInPlace) await this.#fetch(manifest, options);
      if (await this.#manifests.isRemembered(id)) await this.#complete(manifest);
      return await this.find(id);
    };
    const stopped = `Pull of "${id}" was stopped; pull again to go on`;
    return await this.#work(id, { stopped, signal: options.signal, work });
  }

  async #describeHubModel(text: string, { signal }: PullOptions): Promise<ModelManifest> {
    const name = parseHubName(text);
    if (name === null) throw await this.#unknownManifest(text);
    const stopped = `Pull of "${text}" was stopped`;
    const context = { fetch: this.#options.fetch ?? fetch, hub: this.#options.env, signal: signal ?? NEVER };
    return await explainAbort(stopped, { signal, work: () => describeHubModel(name, context) });
  }

  /** Writes into a remembered manifest what the hub did not say and the model's own header does. */
  async #complete(manifest: ModelManifest): Promise<void> {
    const model = (await this.#findStored(manifest.id))!;
    await this.#manifests.remember(completeManifest(manifest, {
      header: await readGgufFile(model.path),
      weightsBytes: model.sizeBytes,
    }));
  }

  async #fetch(manifest: ModelManifest, options: PullOptions): Promise<void> {
    const { form, entryName } = placeOf(manifest);
    const meter = new ProgressMeter(entryName, { report: options.onProgress });
    const context: PullContext = {
      fetch: this.#options.fetch ?? fetch,
      pip: this.#options.pip ?? DEFAULT_PIP,
      policy: this.#options.policy ?? DEFAULT_POLICY,
      hub: this.#options.env,
      notify: options.onNotice ?? (() => {}),
      requireSpace: (neededBytes) =>
        requireSpace(this.#folder.path, { neededBytes, what: entryName, measure: this.#measure }),
      signal: options.signal ?? NEVER,
      meter,
      baseBytes: 0,
    };
    const sha256s = await pullModel(manifest, { folder: this.#folder, context });
    const model = (await this.#folder.scan()).find((each) => each.entryName === entryName)!;
    await writeChecksums(this.#folder, model, { sha256s, source: null });
    meter.sha256 = combineChecksums(form, model.files.map(({ name }) => ({ name, sha256: sha256s.get(name)! })));
    meter.restartAt(model.sizeBytes);
    meter.finish();
  }

  /** Whether the right files are in their place already; wrong ones are never overwritten. */
  async #isInPlace(manifest: ModelManifest, options: PullOptions): Promise<boolean> {
    const { form, entryName } = placeOf(manifest);
    const model = (await this.#folder.scan()).find((each) => each.entryName === entryName && each.form === form);
    if (model === undefined) {
      const path = this.#folder.pathOf(entryName);
      if (await Deno.lstat(path).then(() => true, () => false)) throw occupied(manifest, path);
      return false;
    }
    const expected = manifest.files.map(expectFile);
    if (expected.every(({ sha256 }) => sha256 === null)) {
      await this.#reader.describe(model, manifest);
      return true;
    }
    const { fresh, source } = await this.#reader.readChecksums(model);
    const actual = fresh.size === model.files.length ? fresh : await hashModel(model, options);
    const isRight = expected.every(({ name, sha256 }) =>
      actual.has(name) && (sha256 ?? actual.get(name)) === actual.get(name)
    );
    if (!isRight) throw occupied(manifest, model.path);
    if (actual !== fresh) await writeChecksums(this.#folder, model, { sha256s: actual, source });
    return true;
  }

  async importFile(path: string, options: ImportOptions = {}): Promise<ModelFile> {
    const id = options.id ?? toModelId(basename(path));
    if (!ModelId.safeParse(id).success) {
      throw new DomainError("invalid_request", `Cannot import as "${id}": an id is letters, digits, dots and dashes`);
    }
    const work = async (): Promise<ModelFile> => {
      const existing = await this.#findStored(id);
      const sha256 = await importModel(path, { id, existing, folder: this.#folder, measure: this.#measure, options });
      const model = (await this.#findStored(id))!;
      const source = `file://${await Deno.realPath(path)}`;
      await writeChecksums(this.#folder, model, { sha256s: new Map([[model.entryName, sha256]]), source });
      return await this.find(id);
    };
    return await this.#work(id, { stopped: `Import of "${id}" was stopped`, signal: options.signal, work });
  }

  async verify(id: string, options: LongOptions = {}): Promise<Verification> {
    const model = await this.#findStored(id);
    if (model === null) {
      await this.find(id); // throws with all that can be said
      throw new DomainError("model_not_found", `Unknown model "${id}"`);
    }
    const manifest = (await this.#manifests.read()).get(model.id);
    const { recorded, source } = await this.#reader.readChecksums(model);
    const expected = new Map((manifest?.files ?? []).map(expectFile).map(({ name, sha256 }) => [name, sha256]));
    for (const [name, sha256] of recorded) expected.set(name, sha256);
    const stopped = `Verification of "${id}" was stopped`;
    const actual = await explainAbort(stopped, { signal: options.signal, work: () => hashModel(model, options) });
    const changedFiles = [...expected].filter(([name, sha256]) =>
      !actual.has(name) || (sha256 ?? actual.get(name)) !== actual.get(name)
    ).map(([name]) => name);
    const intact = changedFiles.length === 0;
    if (intact) {
      await readModelHeader(model);
      await writeChecksums(this.#folder, model, { sha256s: actual, source });
    }
    const combine = (sha256s: ReadonlyMap<string, string | null>): string | null =>
      combineChecksums(model.form, [...sha256s].map(([name, sha256]) => ({ name, sha256 })));
    return { id: model.id, sha256: combine(actual)!, expectedSha256: combine(expected), intact, changedFiles };
  }

  async remove(id: string): Promise<number> {
    const work = async (): Promise<number> => {
      const model = await this.#findStored(id);
      const manifest = findById(await this.#manifests.read(), id);
      const place = model ?? (manifest === null ? null : placeOf(manifest));
      const partialBytes = place === null ? 0 : await this.#folder.measureParts(place);
      const hadParts = place !== null && await this.#folder.removeParts(place);
      const wasRemembered = manifest !== null && await this.#manifests.isRemembered(manifest.id);
      if (model === null && !hadParts && !wasRemembered) await this.find(id); // throws with all that can be said
      if (model !== null) await this.#folder.remove(model);
      if (wasRemembered) await this.#manifests.forget(manifest.id);
      return partialBytes + (model?.sizeBytes ?? 0);
    };
    return await this.#work(id, { stopped: `Removal of "${id}" was stopped`, signal: undefined, work });
  }

  async fingerprint(): Promise<string> {
    const [manifests, models] = await Promise.all([this.#manifests.fingerprint(), this.#folder.scan()]);
    return JSON.stringify([manifests, models.map((model) => [model.id, stateOf(model)])]);
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

  /** What is stored under an id: the same letters first, then any case. Paths never come from ids. */
  async #findStored(id: string): Promise<StoredModel | null> {
    const models = await this.#folder.scan();
    return models.find((model) => model.id === id) ??
      models.find((model) => model.id.toLowerCase() === id.toLowerCase()) ?? null;
  }

  async #unknownManifest(id: string): Promise<DomainError> {
    const ids = [...(await this.#manifests.read()).keys()].sort().map((each) => `"${each}"`).join(", ");
    return new DomainError(
      "model_not_found",
      `Cannot pull "${id}": manifests tell how to get ${ids || "none"}; models of the hub are named hf.co/owner/repo`,
    );
  }
}

function findById(manifests: ReadonlyMap<string, ModelManifest>, id: string): ModelManifest | null {
  return manifests.get(id) ??
    [...manifests.values()].find((manifest) => manifest.id.toLowerCase() === id.toLowerCase()) ?? null;
}

function firstSource({ files: [file] }: ModelManifest): string | null {
  return file?.sources?.[0] ?? file?.parts?.[0]?.sources[0] ?? null;
}

function occupied({ id }: ModelManifest, path: string): DomainError {
  return new DomainError(
    "model_exists",
    `Cannot pull "${id}": ${path} is something else than the manifest's; ` +
      `keep it, or first run: deno task models remove ${id}`,
  );
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
