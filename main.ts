/** The local runtime: finds a model, starts the worker that holds it, and serves every function on one port. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "./deno.json" with { type: "json" };
import { createApp as createChatCompletions } from "./functions/chat-completions/app.ts";
import { createApp as createCompletions } from "./functions/completions/app.ts";
import { createApp as createEmbeddings } from "./functions/embeddings/app.ts";
import { createApp as createModels } from "./functions/models/app.ts";
import { createApp as createOllama } from "./functions/ollama/app.ts";
import { createApp as createResponses } from "./functions/responses/app.ts";
import { createApp as createStatus } from "./functions/status/app.ts";
import { createApp as createTokenize } from "./functions/tokenize/app.ts";
import { refuseRequest } from "./functions/_shared/errors.ts";
import { mountFunctions } from "./functions/_shared/mount.ts";
import { type Catalog, openCatalog } from "./lib/catalog/catalog.ts";
import { measureFreeBytes, requireSpace } from "./lib/catalog/disk.ts";
import type { ModelFile } from "./lib/contracts/model.ts";
import { readSettings, SETTINGS, type Settings } from "./lib/env.ts";
import { DomainError } from "./lib/errors.ts";
import { measureFreeMemory, MEMORY_SHARE } from "./lib/free_memory.ts";
import type { Inference } from "./lib/inference/inference.ts";
import { listDirectHosts } from "./lib/inference/remote_http.ts";
import { createRemoteInference } from "./lib/inference/remote_inference.ts";
import { createRouter } from "./lib/inference/router.ts";
import { createLogger, type Logger } from "./lib/log.ts";
import { nameDeno, nameUrl, renderBanner } from "./lib/runtime/banner.ts";
import { type DataFolder, makeDataFolder, nameDataFolder } from "./lib/runtime/data_folder.ts";
import { Door } from "./lib/runtime/door.ts";
import { chooseExitCode, EXIT_CODES } from "./lib/runtime/exit_codes.ts";
import { lockDataFolder } from "./lib/runtime/instance_lock.ts";
import { ignoreEchoes, listenForInterrupts } from "./lib/runtime/interrupts.ts";
import { type LocalModels, startLocalModels } from "./lib/runtime/local_models.ts";
import { openLogFile } from "./lib/runtime/log_file.ts";
import { requireMemory } from "./lib/runtime/memory.ts";
import { prepareModel } from "./lib/runtime/prepare_model.ts";
import { WatchedInference } from "./lib/runtime/watched_inference.ts";
import { watchLibrary } from "./lib/runtime/watched_library.ts";
import { printTo } from "./lib/terminal.ts";
import { VERSION } from "./lib/version.ts";

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
  catalog: Catalog;
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
  const { hfEndpoint, hfToken } = settings;
  const places = { manifestsDir: resolve(ROOT, "models"), modelsDir: folder.models };
  const catalog = openCatalog({ ...places, env: { hfEndpoint, hfToken } });
  const place: Place = { settings, folder, log, door, catalog, ending };
  const models = await startModels(place, await findModel(place));
  endAtOnce = () => models.kill();
  try {
    await serve(place, models);
  } finally {
    await Promise.all([models.close(), door.close(CLOSE_MS)]);
    await Deno.remove(folder.worker).catch(() => {});
  }
}

/** Until a model is found there is nothing to ask; it may have to be fetched first. */
function answerEarly(request: Request): Response {
  const message = "Rookery is starting; its terminal shows how far it is";
  return refuseRequest(request, new DomainError("engine_unavailable", message));
}

async function findModel({ settings: { modelId }, catalog, ending }: Place): Promise<ModelFile> {
  const screen = { write: print, terminal: Deno.stdout.isTerminal() };
  const starterId = SETTINGS.modelId.default;
  const model = await prepareModel(catalog, { id: modelId, starterId, screen, signal: ending });
  requireMemory(model, measureFreeMemory());
  return model;
}

async function startModels({ settings, folder, log, catalog }: Place, defaultModel: ModelFile): Promise<LocalModels> {
  return await startLocalModels({
    settings,
    folder,
    log,
    catalog,
    defaultModel,
    memoryBytesMax: settings.memoryBytes ?? Math.floor(measureFreeMemory() * MEMORY_SHARE),
    rootDir: resolve(ROOT),
    denoPath: Deno.execPath(),
    env: Deno.env.toObject(),
    engineVersion: config.imports["node-llama-cpp"],
  });
}

/** Puts the workers of this machine and the servers of others behind one face. */
function joinModels({ settings, log }: Place, { workers, installed }: LocalModels): Inference {
  const { remotes, remoteKeys } = settings;
  const direct = listDirectHosts(remotes.map(({ url }) => url), Deno.env.get("NO_PROXY") ?? null);
  if (remotes.length > 0) Deno.env.set("NO_PROXY", direct);
  return createRouter({
    local: workers.map((worker) => new WatchedInference(worker, installed)),
    remotes: remotes.map(({ name, url }) => {
      return createRemoteInference({ name, url, apiKey: remoteKeys.get(name) ?? null, log });
    }),
  });
}

/** Serves until Rookery is told to end; throws what keeps the model from being loaded. */
async function serve(place: Place, models: LocalModels): Promise<void> {
  const { settings, log, door, catalog, ending } = place;
  const { apiKey, host, allowedHosts, allowedOrigins } = settings;
  const edge = { apiKey, allowedHosts: [...allowedHosts, host], allowedOrigins, log };
  const description = "Local models behind the APIs that clients already speak.";
  const library = watchLibrary(catalog, models.installed);
  const parts = { inference: joinModels(place, models), library, edge };
  const creators = [
    createChatCompletions,
    createCompletions,
    createEmbeddings,
    createModels,
    createOllama,
    createResponses,
    createStatus,
    createTokenize,
  ];
  const functions = creators.map((create) => create(parts));
  const { fetch } = mountFunctions(functions, { edge, document: { title: "Rookery", version: VERSION, description } });
  door.open(fetch);

  const ended = new Promise<null>((resolve) => ending.addEventListener("abort", () => resolve(null), { once: true }));
  if (ending.aborted) return;
  const model = await Promise.race([models.ready, ended]);
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
