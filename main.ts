/** The local runtime: finds a model, starts the worker that holds it, and serves every function on one port. */
import { availableParallelism, cpus } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "./deno.json" with { type: "json" };
import { createApp as createChatCompletions } from "./functions/chat-completions/app.ts";
import { createApp as createModels } from "./functions/models/app.ts";
import { createApp as createOllama } from "./functions/ollama/app.ts";
import { createApp as createStatus } from "./functions/status/app.ts";
import { refuseRequest } from "./functions/_shared/errors.ts";
import { mountFunctions } from "./functions/_shared/mount.ts";
import { openCatalog } from "./lib/catalog/catalog.ts";
import { measureFreeBytes, requireSpace } from "./lib/catalog/disk.ts";
import type { ModelFile } from "./lib/contracts/model.ts";
import { readSettings, SETTINGS, type Settings } from "./lib/env.ts";
import { DomainError } from "./lib/errors.ts";
import { measureFreeMemory } from "./lib/free_memory.ts";
import { createEngineTable } from "./lib/inference/engine_table.ts";
import { createLogger, type Logger } from "./lib/log.ts";
import { nameDeno, nameUrl, renderBanner } from "./lib/runtime/banner.ts";
import { nameCalibration, readCalibration, storeCalibration } from "./lib/runtime/calibration_store.ts";
import { type DataFolder, makeDataFolder, nameDataFolder, replaceFile } from "./lib/runtime/data_folder.ts";
import { Door } from "./lib/runtime/door.ts";
import { chooseExitCode, EXIT_CODES } from "./lib/runtime/exit_codes.ts";
import { lockDataFolder } from "./lib/runtime/instance_lock.ts";
import { ignoreEchoes, listenForInterrupts } from "./lib/runtime/interrupts.ts";
import { openLogFile } from "./lib/runtime/log_file.ts";
import { requireMemory } from "./lib/runtime/memory.ts";
import { findParentTie } from "./lib/runtime/parent_tie.ts";
import { prepareModel } from "./lib/runtime/prepare_model.ts";
import { printTo } from "./lib/terminal.ts";
import { VERSION } from "./lib/version.ts";
import { buildWorkerCommand } from "./lib/worker/command.ts";
import type { SupervisedEngine } from "./lib/worker/supervised_engine.ts";
import { startSupervisor } from "./lib/worker/supervisor.ts";

const ROOT = fileURLToPath(new URL(".", import.meta.url));

/** What the starter's banner recommends: the smallest model here with a context that Copilot can use. */
const BIGGER_MODEL = "llama-3.2-3b-instruct";

/** Space for logs and caches without which a start makes no sense. */
const OWN_FILES_BYTES = 16 * 1024 * 1024;

/** How long requests under way may take when Rookery ends: the supervisor's drain and a little, in milliseconds. */
const CLOSE_MS = 12_000;

/** What stands once Rookery has a place to run in. */
interface Place {
  settings: Settings;
  folder: DataFolder;
  log: Logger;
  door: Door;
  /** Aborts when Rookery is told to end. */
  ending: AbortSignal;
}

/** Ends, at once, what would outlive a second Ctrl-C. */
let endAtOnce: () => void = () => {};

function print(text: string): void {
  printTo(Deno.stdout, text);
}

async function run(ending: AbortSignal): Promise<void> {
  const settings = readSettings(Deno.env.toObject());
  const folder = nameDataFolder(resolve(settings.dataDir));
  await makeDataFolder(folder);
  using lock = await lockDataFolder(folder);
  const log = createLogger({ level: settings.logLevel, write: openLogFile(settings.logFile) });
  await requireSpace(folder.root, { neededBytes: OWN_FILES_BYTES, what: "logs and caches", measure: measureFreeBytes });
  const door = new Door(settings, answerEarly);
  await lock.notePort(door.port);
  const place: Place = { settings, folder, log, door, ending };
  const model = await findModel(place);
  const engine = await startEngine(place, model);
  endAtOnce = () => engine.kill();
  try {
    await serve(place, engine);
  } finally {
    await Promise.all([engine.close(), door.close(CLOSE_MS)]);
    await Deno.remove(folder.worker).catch(() => {});
  }
}

/** Until a model is found there is nothing to ask; it may have to be fetched first. */
function answerEarly(request: Request): Response {
  const message = "Rookery is starting; its terminal shows how far it is";
  return refuseRequest(request, new DomainError("engine_unavailable", message));
}

async function findModel({ settings, folder, ending }: Place): Promise<ModelFile> {
  const { hfEndpoint, hfToken, modelId } = settings;
  const catalog = openCatalog({
    manifestsDir: resolve(ROOT, "models"),
    modelsDir: folder.models,
    env: { hfEndpoint, hfToken },
  });
  const screen = { write: print, terminal: Deno.stdout.isTerminal() };
  const model = await prepareModel(catalog, {
    id: modelId,
    starterId: SETTINGS.modelId.default,
    screen,
    signal: ending,
  });
  requireMemory(model, measureFreeMemory());
  return model;
}

async function startEngine({ settings, folder, log }: Place, model: ModelFile): Promise<SupervisedEngine> {
  const { contextTokens, sequences, queuedMax, gpu } = settings;
  const name = nameCalibration({
    model,
    engineVersion: config.imports["node-llama-cpp"],
    cpu: cpus()[0]?.model ?? Deno.build.arch,
    cores: availableParallelism(),
  });
  const threads = await readCalibration(folder.calibrations, name);
  return startSupervisor({
    command: buildWorkerCommand({
      denoPath: Deno.execPath(),
      rootDir: resolve(ROOT),
      entry: "lib/worker/main.ts",
      modelPath: model.path,
      gpu,
      os: Deno.build.os,
      tie: await findParentTie(),
      env: Deno.env.toObject(),
    }),
    settings: { model, contextTokens, sequences, queuedMax, gpu, threads },
    log,
    onWorker: (address) => {
      try {
        replaceFile(folder.worker, JSON.stringify(address) + "\n");
      } catch (error) {
        log.warn("worker_file_failed", { error });
      }
    },
    onCalibrated: (threads) => {
      storeCalibration(folder.calibrations, { name, threads })
        .catch((error) => log.warn("calibration_file_failed", { error }));
    },
  });
}

/** Serves until Rookery is told to end; throws what keeps the model from being loaded. */
async function serve({ settings, log, door, ending }: Place, engine: SupervisedEngine): Promise<void> {
  const { apiKey, host, allowedHosts, allowedOrigins } = settings;
  const edge = { apiKey, allowedHosts: [...allowedHosts, host], allowedOrigins, log };
  const description = "Local models behind the APIs that clients already speak.";
  const inference = createEngineTable([engine]);
  const functions = [createChatCompletions, createModels, createOllama, createStatus].map((create) =>
    create({ inference, edge })
  );
  const { fetch } = mountFunctions(functions, { edge, document: { title: "Rookery", version: VERSION, description } });
  door.open(fetch);

  const ended = new Promise<null>((resolve) => ending.addEventListener("abort", () => resolve(null), { once: true }));
  if (ending.aborted) return;
  const model = await Promise.race([engine.ready, ended]);
  if (model === null) return;
  const url = nameUrl(host, door.port);
  const biggerModelId = model.id === SETTINGS.modelId.default ? BIGGER_MODEL : null;
  const deno = nameDeno(Deno.execPath(), Deno.version.deno);
  print(renderBanner({ url, model, keyed: apiKey !== null, deno, biggerModelId }));
  await ended;
}

/** Runs Rookery and returns the exit code that says how it ended. */
async function main(): Promise<number> {
  const ending = new AbortController();
  listenForInterrupts(ignoreEchoes(() => {
    if (ending.signal.aborted) {
      endAtOnce();
      Deno.exit(EXIT_CODES.interrupted);
    }
    print("\nEnding; answers under way get a moment. Ctrl-C again ends at once.\n");
    ending.abort();
  }));
  try {
    await run(ending.signal);
    return EXIT_CODES.ended;
  } catch (error) {
    const text = error instanceof DomainError ? error.message : Deno.inspect(error);
    printTo(Deno.stderr, `${text}\n`);
    return chooseExitCode(error);
  }
}

Deno.exit(await main());
