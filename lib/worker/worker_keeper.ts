import type { ModelDescription } from "../contracts/model.ts";
import type { Calibration, WorkerAddress, WorkerModel, WorkerSettings } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { createWorkerClient, type WorkerClient } from "./client.ts";
import { withDeadline } from "./deadline.ts";
import { type WorkerCommand, type WorkerExit, WorkerProcess } from "./worker_process.ts";

/** Every wait of the supervisor, in milliseconds. Tests shorten them. */
export interface SupervisorLimits {
  /** Without a heartbeat for so long a worker counts as hung and is killed. */
  heartbeatMs: number;
  /** The same before its first sign of life. */
  firstSignMs: number;
  /** How long a request waits for a worker that is being started. */
  startMs: number;
  /** First pause before a dead worker is started again; each further death doubles it. */
  restartMs: number;
  /** Longest such pause. */
  restartMaxMs: number;
  /** A worker that lived so long resets the pause. */
  healthyMs: number;
  /** How long answers in flight may go on when the supervisor is closed. */
  drainMs: number;
  /** How long a worker may take to end when told so, before a stronger word. */
  endMs: number;
}

/** Workers that may die before the first was ever ready: then the model, not chance, is to blame. */
const FIRST_STARTS_MAX = 5;

/** What a {@linkcode WorkerKeeper} needs. */
export interface WorkerKeeperOptions {
  command: WorkerCommand;
  settings: Omit<WorkerSettings, "token">;
  log: Logger;
  limits: SupervisorLimits;
  /** Told of each worker that takes requests; the address is a secret. */
  onWorker?(address: WorkerAddress): void;
  /** Told of a model whose threads were measured undisturbed, to be remembered for the next start. */
  onCalibrated?(model: WorkerModel): void;
}

/** A worker that takes requests. */
export interface LiveWorker {
  client: WorkerClient;
  process: WorkerProcess;
}

/** Keeps one worker running, and hands it to whoever asks. */
export class WorkerKeeper {
  readonly ready: Promise<ModelDescription>;
  readonly #options: WorkerKeeperOptions;
  readonly #firstReady = Promise.withResolvers<ModelDescription>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #running: Promise<void>;
  #process: WorkerProcess | null = null;
  #live: LiveWorker | null = null;
  #wasReady = false;
  /** Every model that can be asked for, with the threads that this worker or an earlier one measured. */
  #models: readonly WorkerModel[];
  /** Set when there will never be a worker again, and why. */
  #over: DomainError | null = null;
  /** Wakes whoever waits for a worker. */
  #change = Promise.withResolvers<void>();

  constructor(options: WorkerKeeperOptions) {
    this.#options = options;
    this.#models = options.settings.models;
    this.ready = this.#firstReady.promise;
    this.ready.catch(() => {});
    this.#running = this.#keepRunning();
  }

  get workerPid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** The worker that takes requests now, or null while there is none. */
  get live(): LiveWorker | null {
    return this.#live === null || this.#live.process.ended ? null : this.#live;
  }

  /**
   * Replaces the list of models, for this worker and for those to come.
   *
   * @throws {DomainError} what {@linkcode WorkerClient.setModels} throws; a worker that comes later knows nonetheless.
   */
  async setModels(models: readonly WorkerModel[]): Promise<void> {
    // What this worker measured disturbed is good enough for the next one.
    this.#models = models.map((model) => {
      const threads = this.#models.find(({ id, path }) => id === model.id && path === model.path)?.threads ?? null;
      return { ...model, threads: model.threads ?? threads };
    });
    await this.live?.client.setModels(this.#models);
  }

  /** Whether a worker was ready once. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /**
   * Waits for a worker that takes requests.
   *
   * @throws {DomainError} `engine_unavailable` when there is none in time, `request_cancelled` when `signal` aborts,
   *   and what the worker said when it cannot work.
   */
  async acquire(signal: AbortSignal | null): Promise<LiveWorker> {
    const { startMs } = this.#options.limits;
    const aborted = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => aborted.resolve(), { once: true });
    const deadlineAt = performance.now() + startMs;
    while (true) {
      if (signal?.aborted) throw new DomainError("request_cancelled", "The request was cancelled");
      if (this.#over !== null) throw this.#over;
      if (this.live !== null) return this.live;
      const leftMs = deadlineAt - performance.now();
      const changed = leftMs > 0 && await withDeadline(Promise.race([this.#change.promise, aborted.promise]), leftMs);
      if (!changed) {
        const seconds = Math.round(startMs / 1000);
        throw new DomainError("engine_unavailable", `The model is not there yet after ${seconds} s; try again later`);
      }
    }
  }

  /** Ends the worker, first by asking, then by force, and starts none again. */
  async close(): Promise<void> {
    const { endMs } = this.#options.limits;
    this.#end(new DomainError("engine_unavailable", "Rookery is shutting down"));
    const process = this.#process;
    if (process !== null) {
      process.endInput();
      if (!await withDeadline(process.exited, endMs)) process.kill("SIGTERM");
      if (!await withDeadline(process.exited, endMs)) process.kill("SIGKILL");
    }
    await this.#running;
  }

  /** Ends the worker by force, at once. */
  kill(): void {
    this.#end(new DomainError("engine_unavailable", "Rookery is shutting down"));
    this.#process?.kill("SIGKILL");
  }

  async #keepRunning(): Promise<void> {
    const { limits, log } = this.#options;
    let pauseMs = limits.restartMs;
    for (let starts = 1; this.#over === null; starts++) {
      const startedAt = performance.now();
      const exit = await this.#runOnce();
      if (this.#over !== null) return;
      if (exit.fatal !== null) {
        // At the start it is the caller's to say, through `ready`; later there is only the log.
        if (this.#wasReady) log.error("worker_fatal", { code: exit.fatal.code, message: exit.fatal.message });
        return this.#end(exit.fatal);
      }
      if (!this.#wasReady && starts >= FIRST_STARTS_MAX) return this.#end(neverReadyError(exit, starts));
      if (performance.now() - startedAt >= limits.healthyMs) pauseMs = limits.restartMs;
      log.warn("worker_died", { how: exit.how, restartInMs: pauseMs });
      await withDeadline(this.#stopped.promise, pauseMs);
      pauseMs = Math.min(2 * pauseMs, limits.restartMaxMs);
    }
  }

  /** One worker's life; a worker that cannot be started at all has a short one. */
  async #runOnce(): Promise<WorkerExit> {
    const { command, settings, limits, log } = this.#options;
    const models = this.#models;
    try {
      const process = new WorkerProcess({
        command,
        settings: { ...settings, models: [...models] },
        log,
        heartbeatLimitMs: limits.heartbeatMs,
        firstSignLimitMs: limits.firstSignMs,
        onListening: (address) => this.#welcome({ process, address, models }),
        onReady: (model) => this.#takeReady(model),
        onCalibrated: (model, calibration) => this.#takeCalibrated(model, calibration),
      });
      this.#process = process;
      log.info("worker_started", { pid: process.pid });
      return await process.exited;
    } catch (error) {
      return { how: error instanceof Error ? error.message : "unknown", fatal: null };
    } finally {
      this.#process = null;
      await this.#live?.client[Symbol.asyncDispose]();
      this.#live = null;
    }
  }

  #welcome({ process, address, models }: {
    process: WorkerProcess;
    address: WorkerAddress;
    /** What it was told at its start. */
    models: readonly WorkerModel[];
  }): void {
    const client = createWorkerClient(address);
    this.#live = { client, process };
    // The list may have changed while the process started; one that cannot be told is about to be replaced.
    if (models !== this.#models) client.setModels(this.#models).catch(() => {});
    this.#options.onWorker?.(address);
    this.#announce();
  }

  #takeReady(model: ModelDescription): void {
    this.#wasReady = true;
    this.#firstReady.resolve(model);
  }

  #takeCalibrated(id: string, { threads, undisturbed }: Calibration): void {
    const measured = this.#models.find((model) => model.id === id);
    if (measured === undefined) return;
    const model = { ...measured, threads };
    this.#models = this.#models.map((each) => each === measured ? model : each);
    this.#options.log.info("threads_measured", { model: id, ...threads, undisturbed });
    if (undisturbed) this.#options.onCalibrated?.(model);
  }

  #end(why: DomainError): void {
    this.#over ??= why;
    this.#firstReady.reject(this.#over);
    this.#stopped.resolve();
    this.#announce();
  }

  #announce(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}

function neverReadyError(exit: WorkerExit, starts: number): DomainError {
  return new DomainError(
    "engine_unavailable",
    `Cannot start the model: its process died ${starts} times while loading (${exit.how}); what it printed says more`,
  );
}
