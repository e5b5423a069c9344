import { availableParallelism, cpus } from "node:os";
import type { Catalog } from "../catalog/catalog.ts";
import type { ModelDescription, ModelFile } from "../contracts/model.ts";
import type { WorkerAddress } from "../contracts/worker.ts";
import type { Settings } from "../env.ts";
import type { Logger } from "../log.ts";
import { buildWorkerCommand } from "../worker/command.ts";
import type { SupervisedInference } from "../worker/supervised_inference.ts";
import { startSupervisor } from "../worker/supervisor.ts";
import { nameCalibration, readCalibration, storeCalibration } from "./calibration_store.ts";
import { type DataFolder, replaceFile } from "./data_folder.ts";
import { ModelList } from "./model_list.ts";
import { findParentTie } from "./parent_tie.ts";

/** What the models of this machine are started from. */
export interface LocalModelsOptions {
  settings: Settings;
  folder: DataFolder;
  log: Logger;
  catalog: Catalog;
  /** The model that is loaded at once. */
  defaultModel: ModelFile;
  /** Memory that models may take together. */
  memoryBytesMax: number;
  /** The project's folder. */
  rootDir: string;
  /** The Deno that runs this, and what it was started with. */
  denoPath: string;
  env: Record<string, string>;
  /** Version of node-llama-cpp, and so of llama.cpp. */
  engineVersion: string;
}

/** The models of this machine in processes of their own, and the list of those that are installed. */
export interface LocalModels {
  /** Each serves every model. */
  workers: readonly SupervisedInference[];
  installed: ModelList;
  /** Resolves when the first worker has the default model in memory; rejects when one says that it cannot. */
  ready: Promise<ModelDescription>;
  /** Ends every worker at once. */
  kill(): void;
  /** Ends every worker once it has answered, or after a while. */
  close(): Promise<void>;
}

/**
 * Starts the workers that hold the models of this machine, and keeps them told of what is installed.
 *
 * @throws {DomainError} `invalid_config` for a path that cannot be permitted, and what the catalog throws.
 */
export async function startLocalModels(options: LocalModelsOptions): Promise<LocalModels> {
  const { settings: { workers: count }, folder, catalog } = options;
  const cores = Math.max(1, Math.floor(availableParallelism() / count));
  const nameOf = nameCalibrationsFor(options.engineVersion, cores);
  const readThreads = (model: ModelFile) => readCalibration(folder.calibrations, nameOf(model));
  const installed = new ModelList({ scan: () => scanInstalled(catalog), readThreads });
  await installed.look();
  const places = Array.from({ length: count }, (_, at) => ({ at, threadsMax: count === 1 ? null : cores }));
  const workers = await Promise.all(places.map((place) => startWorker(options, { ...place, installed, nameOf })));
  installed.onChange(async (models) => void await Promise.all(workers.map((worker) => worker.setModels(models))));
  return {
    workers,
    installed,
    ready: Promise.race(workers.map(({ ready }) => ready)),
    kill: () => workers.forEach((worker) => worker.kill()),
    close: async () => void await Promise.all(workers.map((worker) => worker.close())),
  };
}

/** What one worker has of its own, and what it shares with the others. */
interface WorkerPlace {
  /** Counts workers from 0. */
  at: number;
  /** Null leaves it all cores. */
  threadsMax: number | null;
  installed: ModelList;
  nameOf(model: ModelFile): string;
}

async function startWorker(options: LocalModelsOptions, place: WorkerPlace): Promise<SupervisedInference> {
  const { settings, folder, log, defaultModel } = options;
  const { at, threadsMax, installed, nameOf } = place;
  // What a worker keeps of conversations is its own: two writers of one folder would undo each other's budgets.
  const kvDir = at === 0 ? folder.kv : `${folder.kv}-${at + 1}`;
  await Deno.mkdir(kvDir, { recursive: true, mode: 0o700 });
  return startSupervisor({
    command: await buildCommand(options, { installed, kvDir }),
    settings: {
      models: [...installed.models],
      defaultModelId: defaultModel.id,
      memoryBytesMax: Math.floor(options.memoryBytesMax / settings.workers),
      keepAliveMs: settings.keepAliveMs,
      contextTokens: settings.contextTokens,
      sequences: settings.sequences,
      queuedMax: settings.queuedMax,
      gpu: settings.gpu,
      threadsMax,
      kvDir,
      kvBytesMax: Math.floor(settings.kvBytes / settings.workers),
    },
    log,
    // Functions that run alone ask the first worker.
    onWorker: (address) => {
      if (at === 0) noteWorker(address, { folder, log });
    },
    onCalibrated: (model) => {
      if (model.threads === null) return;
      storeCalibration(folder.calibrations, { name: nameOf(model), threads: model.threads })
        .catch((error) => log.warn("calibration_file_failed", { error }));
    },
  });
}

async function scanInstalled(catalog: Catalog): Promise<ModelFile[]> {
  return (await catalog.list()).flatMap((entry) => entry.state === "installed" ? [entry.model] : []);
}

function nameCalibrationsFor(engineVersion: string, cores: number): (model: ModelFile) => string {
  const machine = { engineVersion, cpu: cpus()[0]?.model ?? Deno.build.arch, cores };
  return (model) => nameCalibration({ model, ...machine });
}

async function buildCommand(
  options: LocalModelsOptions,
  { installed, kvDir }: { installed: ModelList; kvDir: string },
) {
  const { settings, folder, rootDir, denoPath, env } = options;
  // A model may be a link to another folder, as far as that is known at the start.
  const linked = installed.models.map(({ path }) => path).filter((path) => !path.startsWith(`${folder.models}/`));
  return buildWorkerCommand({
    denoPath,
    rootDir,
    entry: "lib/worker/main.ts",
    modelPaths: [folder.models, ...linked],
    kvDir,
    gpu: settings.gpu,
    os: Deno.build.os,
    tie: await findParentTie(),
    env,
  });
}

/** Functions that run alone find the worker by this. */
function noteWorker(address: WorkerAddress, { folder, log }: { folder: DataFolder; log: Logger }): void {
  try {
    replaceFile(folder.worker, JSON.stringify(address) + "\n");
  } catch (error) {
    log.warn("worker_file_failed", { error });
  }
}
