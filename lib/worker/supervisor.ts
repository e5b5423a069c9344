import { SupervisedInference } from "./supervised_inference.ts";
import { type SupervisorLimits, WorkerKeeper, type WorkerKeeperOptions } from "./worker_keeper.ts";

const LIMITS: SupervisorLimits = {
  heartbeatMs: 10_000,
  firstSignMs: 60_000,
  startMs: 30_000,
  restartMs: 250,
  restartMaxMs: 30_000,
  healthyMs: 60_000,
  drainMs: 10_000,
  endMs: 6_000,
};

/** What a supervisor needs; limits that are left out have their usual values. */
export interface SupervisorOptions extends Omit<WorkerKeeperOptions, "limits"> {
  limits?: Partial<SupervisorLimits>;
}

/**
 * Starts a worker process and keeps one running: a dead or hung one is replaced, with a growing pause. Requests that it
 * held are asked again once if they had sent nothing, and end with `engine_gone` if they had; see
 * {@linkcode SupervisedInference}. A worker that says `fatal` is not started again; every request then throws what it said.
 */
export function startSupervisor(options: SupervisorOptions): SupervisedInference {
  const limits = { ...LIMITS, ...options.limits };
  return new SupervisedInference(new WorkerKeeper({ ...options, limits }), {
    waitingMax: options.settings.queuedMax,
    memoryBytesMax: options.settings.memoryBytesMax,
    drainMs: limits.drainMs,
  });
}
