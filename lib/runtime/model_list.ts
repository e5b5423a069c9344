import type { ModelFile } from "../contracts/model.ts";
import type { ThreadPlan, WorkerModel } from "../contracts/worker.ts";

/** Every so many milliseconds the folder of models is looked at again, if anybody asks. */
const LOOK_MS = 1_000;

/** What a {@linkcode ModelList} needs. */
export interface ModelListOptions {
  /** Finds the models that are installed and can be used. */
  scan(): Promise<ModelFile[]>;
  /** Threads that were measured for a model before, or null. */
  readThreads(model: ModelFile): Promise<ThreadPlan | null>;
  /** Milliseconds that only ever grow. */
  now?: () => number;
}

/** The models that are installed now: what was pulled, copied or removed while Rookery runs is seen without a restart. */
export class ModelList {
  readonly #options: ModelListOptions;
  readonly #now: () => number;
  readonly #listeners: ((models: readonly WorkerModel[]) => Promise<void>)[] = [];
  #models: readonly WorkerModel[] = [];
  #lookedAt = -Infinity;
  #looking: Promise<void> | null = null;

  constructor(options: ModelListOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** What was there at the last look. */
  get models(): readonly WorkerModel[] {
    return this.#models;
  }

  /** Whether a model was there at the last look. */
  has(id: string): boolean {
    return this.#models.some((model) => model.id === id);
  }

  /** Tells of every change; a look waits until it was heard. */
  onChange(listener: (models: readonly WorkerModel[]) => Promise<void>): void {
    this.#listeners.push(listener);
  }

  /**
   * Looks again, unless that was done a moment ago.
   *
   * @throws {DomainError} what the scan throws; the list is then what it was.
   */
  async refresh(): Promise<void> {
    if (this.#looking !== null || this.#now() - this.#lookedAt >= LOOK_MS) await this.look();
  }

  /** Looks again now; those who ask at the same time share one look. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => this.#looking = null);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const files = await this.#options.scan();
    const models = await Promise.all(files.map(async (model): Promise<WorkerModel> => {
      return { ...model, threads: await this.#options.readThreads(model) };
    }));
    this.#lookedAt = this.#now();
    if (JSON.stringify(models) === JSON.stringify(this.#models)) return;
    this.#models = models;
    await Promise.all(this.#listeners.map((listener) => listener(models)));
  }
}
