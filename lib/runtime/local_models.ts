import { availableParallelism, cpus } from "node:os";
import type { Catalog } from "../catalog/catalog.ts";
import type { ModelFile } from "../contracts/model.ts";
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

/** The models of this machine in a process of their own, and the list of those that are installed. */
export interface LocalModels {
  inference: SupervisedInference;
  installed: ModelList;
}

/**
 * Starts the worker that holds the models of this machine, and keeps it told of what is installed.
 *
 * @throws {DomainError} `invalid_config` for a path that cannot be permitted, and what the catalog throws.
 */
export async function startLocalModels(options: LocalModelsOptions): Promise<LocalModels> {
  const { settings, folder, log, catalog, defaultModel } = options;
  const nameOf = nameCalibrationsFor(options.engineVersion);
  const readThreads = (model: ModelFile) => readCalibration(folder.calibrations, nameOf(model));
  const installed = new ModelList({ scan: () => scanInstalled(catalog), readThreads });
  await installed.look();
  const inference = startSupervisor({
    command: await buildCommand(options, installed),
    settings: {
      models: [...installed.models],
      defaultModelId: defaultModel.id,
      memoryBytesMax: options.memoryBytesMax,
      keepAliveMs: settings.keepAliveMs,
      contextTokens: settings.contextTokens,
      sequences: settings.sequences,
      queuedMax: settings.queuedMax,
      gpu: settings.gpu,
      kvDir: folder.kv,
    },
    log,
    onWorker: (address) => noteWorker(address, { folder, log }),
    onCalibrated: (model) => {
      if (model.threads === null) return;
      storeCalibration(folder.calibrations, { name: nameOf(model), threads: model.threads })
        .catch((error) => log.warn("calibration_file_failed", { error }));
    },
  });
  installed.onChange((models) => inference.setModels(models));
  return { inference, installed };
}

async function scanInstalled(catalog: Catalog): Promise<ModelFile[]> {
  return (await catalog.list()).flatMap((entry) => entry.state === "installed" ? [entry.model] : []);
}

function nameCalibrationsFor(engineVersion: string): (model: ModelFile) => string {
  const machine = { engineVersion, cpu: cpus()[0]?.model ?? Deno.build.arch, cores: availableParallelism() };
  return (model) => nameCalibration({ model, ...machine });
}

async function buildCommand({ settings, folder, rootDir, denoPath, env }: LocalModelsOptions, installed: ModelList) {
  // A model may be a link to another folder, as far as that is known at the start.
  const linked = installed.models.map(({ path }) => path).filter((path) => !path.startsWith(`${folder.models}/`));
  return buildWorkerCommand({
    denoPath,
    rootDir,
    entry: "lib/worker/main.ts",
    modelPaths: [folder.models, ...linked],
    kvDir: folder.kv,
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
