import { resolve } from "node:path";
import type { WorkerAddress } from "../../lib/contracts/worker.ts";
import { isLoopback, readSettings } from "../../lib/env.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { createLogger } from "../../lib/log.ts";
import { nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { openLogFile } from "../../lib/runtime/log_file.ts";
import type { App, EdgeOptions } from "./create_function.ts";
import { refuseRequest } from "./errors.ts";
import { WorkerFinder } from "./worker_finder.ts";

/** What a function gets from outside when it runs alone. */
export interface StandaloneOptions {
  env: Record<string, string>;
  connect(address: WorkerAddress): Inference;
}

/** What `deno serve` passes beside a request. */
interface ServeInfo {
  remoteAddr: Deno.Addr;
}

/**
 * Makes a function that runs alone, under `deno serve`, with the settings of `env` and the worker of the Rookery that
 * runs on the same data.
 *
 * @throws {DomainError} `invalid_config` when a setting is wrong.
 */
export function createStandalone(
  createApp: (options: { inference: Inference; edge: EdgeOptions }) => App,
  { env, connect }: StandaloneOptions,
): { fetch(request: Request, info: ServeInfo): Response | Promise<Response> } {
  const settings = readSettings(env);
  const { apiKey, allowedHosts, allowedOrigins } = settings;
  const log = createLogger({ level: settings.logLevel, write: openLogFile(settings.logFile) });
  const inference = new WorkerFinder({ path: nameDataFolder(resolve(settings.dataDir)).worker, connect });
  const app = createApp({
    inference,
    edge: { apiKey, allowedHosts, allowedOrigins, log },
  });
  return {
    fetch(request, { remoteAddr }) {
      // `deno serve` listens on every address unless told otherwise, and does not say so to the module that it serves.
      const isNear = remoteAddr.transport !== "tcp" || isLoopback(remoteAddr.hostname);
      return apiKey === null && !isNear ? refuseRequest(request, strangerError()) : app.fetch(request);
    },
  };
}

function strangerError(): DomainError {
  return new DomainError("forbidden", "Rookery answers other machines only when ROOKERY_API_KEY is set");
}
