/** The local runtime: finds a model, starts the worker that holds it, and serves every function on one port. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "./deno.json" with { type: "json" };
import { createApp as createAdmin } from "./functions/admin/app.ts";
import { createApp as createAuth } from "./functions/auth/app.ts";
import { createApp as createChatCompletions } from "./functions/chat-completions/app.ts";
import { createApp as createCompletions } from "./functions/completions/app.ts";
import { createApp as createConversations } from "./functions/conversations/app.ts";
import { createApp as createEmbeddings } from "./functions/embeddings/app.ts";
import { createApp as createKeys } from "./functions/keys/app.ts";
import { createApp as createModels } from "./functions/models/app.ts";
import { createApp as createOllama } from "./functions/ollama/app.ts";
import { createApp as createResponses } from "./functions/responses/app.ts";
import { createApp as createStatus } from "./functions/status/app.ts";
import { createApp as createTokenize } from "./functions/tokenize/app.ts";
import type { EdgeOptions } from "./functions/_shared/create_function.ts";
import { refuseRequest } from "./functions/_shared/errors.ts";
import { type Ingress, toIngress } from "./functions/_shared/ingress.ts";
import { mountFunctions } from "./functions/_shared/mount.ts";
import { makeFirstAccountToken } from "./lib/accounts/sign_up.ts";
import { type Catalog, openCatalog } from "./lib/catalog/catalog.ts";
import { measureFreeBytes, requireSpace } from "./lib/catalog/disk.ts";
import { Pulls } from "./lib/catalog/pulls.ts";
import type { ModelDescription, ModelFile } from "./lib/contracts/model.ts";
import type { Database } from "./lib/database/database.ts";
import { createPulse } from "./lib/database/pulse.ts";
import { isLoopback, readSettings, SETTINGS, type Settings } from "./lib/env.ts";
import { DomainError } from "./lib/errors.ts";
import { measureFreeMemory, MEMORY_SHARE } from "./lib/free_memory.ts";
import type { Inference } from "./lib/inference/inference.ts";
import { listDirectHosts } from "./lib/inference/remote_http.ts";
import { createRemoteInference } from "./lib/inference/remote_inference.ts";
import { createRouter } from "./lib/inference/router.ts";
import { createLogger, type Logger } from "./lib/log.ts";
import { nameDeno, nameUrl, renderBanner } from "./lib/runtime/banner.ts";
import { type DataFolder, makeDataFolder, nameDataFolder } from "./lib/runtime/data_folder.ts";
import { openDatabase } from "./lib/runtime/database.ts";
import { Door } from "./lib/runtime/door.ts";
import { chooseExitCode, EXIT_CODES } from "./lib/runtime/exit_codes.ts";
import { type House, openHouse } from "./lib/runtime/house.ts";
import { lockDataFolder } from "./lib/runtime/instance_lock.ts";
import { ignoreEchoes, listenForInterrupts } from "./lib/runtime/interrupts.ts";
import { type LocalModels, startLocalModels } from "./lib/runtime/local_models.ts";
import { openLogFile } from "./lib/runtime/log_file.ts";
import { requireMemory } from "./lib/runtime/memory.ts";
import { prepareModel } from "./lib/runtime/prepare_model.ts";
import { readTlsFiles } from "./lib/runtime/tls_files.ts";
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
  /** How requests get here. */
  ingress: Ingress;
  /** Certificate and key, where Rookery itself speaks TLS. */
  tls: { cert: string; key: string } | null;
  /** Aborts when Rookery is told to end. */
  ending: AbortSignal;
}

/** What answers, and what remembers. */
interface Parts {
  models: LocalModels;
  database: Database;
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
  const tls = await readTlsFiles(settings);
  const door = new Door({ ...settings, tls }, answerEarly);
  await lock.notePort(door.port);
  const { hfEndpoint, hfToken } = settings;
  const places = { manifestsDir: resolve(ROOT, "models"), modelsDir: folder.models };
  const catalog = openCatalog({ ...places, env: { hfEndpoint, hfToken } });
  const place: Place = { settings, folder, log, door, catalog, ingress: toIngress(settings), tls, ending };
  const parts = await startParts(place);
  endAtOnce = () => parts.models.kill();
  try {
    await live(place, parts);
  } finally {
    await parts.database[Symbol.asyncDispose]();
    await Deno.remove(folder.worker).catch(() => {});
  }
}

/** Until a model is found there is nothing to ask; it may have to be fetched first. */
function answerEarly(request: Request): Response {
  const message = "Rookery is starting; its terminal shows how far it is";
  return refuseRequest(request, new DomainError("engine_unavailable", message));
}

/** Opens the database while the model is prepared. Where one of them fails the other one's work is undone. */
async function startParts(place: Place): Promise<Parts> {
  const { settings: { databaseUrl: url }, folder, log } = place;
  const failing = new AbortController();
  const ending = AbortSignal.any([place.ending, failing.signal]);
  // Making a new one takes a core for seconds, in which no model could be measured; opening one is soon done.
  const isNew = url === null && !await exists(folder.database);
  let database: Database | null = null;
  const opening = openDatabase({ url, folder, rootDir: ROOT, log }).then((opened) => database = opened);
  const starting = findModel({ ...place, ending }).then(async (model) => {
    if (isNew) await opening;
    return await startModels(place, model);
  });
  try {
    const [opened, models] = await Promise.all([opening, starting]);
    return { database: opened, models };
  } catch (error) {
    failing.abort();
    await starting.then((models) => models.close(), () => {});
    // One that is still being opened is left to the end of the process, which it survives at any moment.
    await (database as Database | null)?.[Symbol.asyncDispose]();
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function findModel({ settings: { modelId }, catalog, ending }: Place): Promise<ModelFile> {
  const screen = { write: print, terminal: Deno.stdout.isTerminal() };
  const starterId = SETTINGS.modelId.default;
  const model = await prepareModel(catalog, { id: modelId, starterId, screen, signal: ending });
  requireMemory(model, measureFreeMemory());
  return model;
}

async function startModels({ settings, folder, log, catalog }: Place, defaultModel: ModelFile): Promise<LocalModels> {
  const models = await startLocalModels({
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
  // It may fail before anybody waits for it; whoever does is told.
  models.ready.catch(() => {});
  return models;
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

/** Lives in the database until Rookery is told to end; throws what keeps the model from being loaded. */
async function live(place: Place, parts: Parts): Promise<void> {
  const { settings, folder, log, door, tls } = place;
  const { models, database } = parts;
  const inference = joinModels(place, models);
  const own = nameUrl(settings.host, door.port, { tls: tls !== null });
  const url = settings.publicUrl ?? own;
  // The operator is here, and needs no detour by the name that others use.
  const address = { url: own, cert: tls?.cert ?? null };
  let house: House | null = null;
  try {
    house = await openHouse({ settings, folder, database, inference, address, log });
    serve(place, { ...parts, inference, house });
    const model = await Promise.race([models.ready, aborted(place.ending)]);
    if (model === null) return;
    await greet(place, { model, url, house });
    await aborted(place.ending);
  } finally {
    // No more questions; then what is being answered ends, then what the answers are kept in.
    const closing = Promise.all([door.close(CLOSE_MS), models.close()]);
    await house?.drain();
    await closing;
    await house?.[Symbol.asyncDispose]();
  }
}

/** Lets requests in to every function. */
function serve(
  { settings, folder, log, door, catalog, ingress }: Place,
  { models, database, inference, house }: Parts & { inference: Inference; house: House },
): void {
  const { apiKey, host, databaseUrl, allowedHosts, allowedOrigins } = settings;
  const { accounts, principals, runner, feed } = house;
  const hosts = [...allowedHosts, host];
  const edge: EdgeOptions = { apiKey, principals, ingress, allowedHosts: hosts, allowedOrigins, log };
  const library = watchLibrary(catalog, models.installed);
  const parts = {
    accounts,
    database,
    databaseKind: databaseUrl === null ? "embedded" as const : "server" as const,
    readDatabase: createPulse(database),
    backupsDir: folder.backups,
    runner,
    feed,
    inference,
    library,
    pulls: new Pulls(library),
    edge,
  };
  const creators = [
    createAdmin,
    createAuth,
    createChatCompletions,
    createCompletions,
    createConversations,
    createEmbeddings,
    createKeys,
    createModels,
    createOllama,
    createResponses,
    createStatus,
    createTokenize,
  ];
  const description = "Local models behind the APIs that clients already speak, and conversations that stay.";
  const functions = creators.map((create) => create(parts));
  door.open(mountFunctions(functions, { edge, document: { title: "Rookery", version: VERSION, description } }).fetch);
}

/** Says where Rookery is; beyond this machine also how the first account is made. */
async function greet(
  { settings: { apiKey, host, databaseUrl }, ingress }: Place,
  { model, url, house }: { model: ModelDescription; url: string; house: House },
): Promise<void> {
  const biggerModelId = model.id === SETTINGS.modelId.default ? BIGGER_MODEL : null;
  const deno = nameDeno(Deno.execPath(), Deno.version.deno);
  const isReachable = !isLoopback(host) || !ingress.allowLocal;
  const firstToken = isReachable ? await makeFirstAccountToken(house.accounts) : null;
  const embedded = databaseUrl === null;
  print(renderBanner({ url, model, keyed: apiKey !== null, embedded, firstToken, deno, biggerModelId }));
}

function aborted(signal: AbortSignal): Promise<null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
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
