import type { CatalogEntry } from "../../lib/catalog/catalog.ts";
import type { ModelLibrary, Pulls } from "../../lib/catalog/pulls.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { toPage } from "../../lib/conversations/page_cursor.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference, ModelStatus } from "../../lib/inference/inference.ts";
import type { App } from "../_shared/create_function.ts";
import { toErrorBody } from "../_shared/errors.ts";
import { respondWithTypedEvents } from "../_shared/sse.ts";
import * as routes from "./routes.ts";
import type { AdminModel } from "./schemas.ts";

/** What models are managed with. */
export interface ModelParts {
  inference: Inference;
  library: ModelLibrary;
  pulls: Pulls;
}

/** Adds what administrators do with models. Nothing here takes an address from a client. */
export function addModels(app: App, parts: ModelParts): void {
  const { inference, library, pulls } = parts;

  app.openapi(routes.listModels, async (c) => {
    const { cursor = null, limit } = c.req.valid("query");
    const models = (await listModels(parts)).filter(({ id }) => cursor === null || id > cursor);
    return c.json(toPage(models.slice(0, limit + 1), { limit, keyOf: ({ id }) => [id] }), 200);
  });

  app.openapi(routes.pullModel, (c) => {
    const { model } = c.req.valid("json");
    const requestId = c.get("requestId");
    const leaving = new AbortController();
    const events = tellPull(pulls, model, AbortSignal.any([leaving.signal, c.get("client").signal]));
    return respondWithTypedEvents(c, events, {
      toFailure: (report) => ({ type: "error", ...toErrorBody(report, { dialect: "openai", requestId }) }),
      abort: () => leaving.abort(),
    });
  });

  app.openapi(routes.loadModel, async (c) => {
    const { id } = await inference.describe(c.req.valid("param").id);
    const { keepAliveMs = null } = c.req.valid("json");
    if (keepAliveMs === 0) throw new DomainError("invalid_request", "A model that stays for 0 ms is not loaded");
    await inference.keep({ model: id, keepAliveMs });
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.unloadModel, async (c) => {
    const { id } = await inference.describe(c.req.valid("param").id);
    await unload(inference, id);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.deleteModel, async (c) => {
    const wanted = c.req.valid("param").id;
    const entries = await library.list();
    const id = entries.find((entry) => entry.id.toLowerCase() === wanted.toLowerCase())?.id ?? wanted;
    await unload(inference, id);
    await library.remove(id);
    return c.json({ status: "ok" as const }, 200);
  });
}

/** Asks nothing of a model that is not in memory: to be told to leave it would have to come first. */
async function unload(inference: Inference, id: string): Promise<void> {
  const { models } = await inference.status();
  if (models.some((model) => model.id === id)) await inference.keep({ model: id, keepAliveMs: 0 });
}

async function* tellPull(
  pulls: Pulls,
  model: string,
  signal: AbortSignal,
): AsyncGenerator<{ type: string }, void, void> {
  for await (const news of pulls.follow(model, signal)) {
    yield news.type === "progress" ? { type: "progress", ...news.progress } : news;
  }
  yield { type: "done" };
}

/** All models by id. An engine that cannot say what it has in memory has nothing. */
async function listModels({ inference, library, pulls }: ModelParts): Promise<AdminModel[]> {
  const [entries, served, status] = await Promise.all([
    library.list(),
    inference.list().catch(() => []),
    inference.status().catch(() => null),
  ]);
  const loaded = new Map(status?.models.map((model) => [model.id, model]));
  const pulling = new Set(pulls.names);
  const local = entries.map((entry) => describeEntry(entry, { loaded, pulling }));
  const known = new Set(entries.map(({ id }) => id));
  const remote = served.filter(({ id }) => !known.has(id)).map((model) => describeRemote(model, loaded));
  return [...local, ...remote].toSorted((one, other) => one.id < other.id ? -1 : 1);
}

type Loaded = ReadonlyMap<string, ModelStatus>;

function describeEntry(
  entry: CatalogEntry,
  { loaded, pulling }: { loaded: Loaded; pulling: ReadonlySet<string> },
): AdminModel {
  const model = entry.state === "installed" ? entry.model : null;
  return {
    id: entry.id,
    name: entry.name,
    state: entry.state,
    problem: entry.state === "broken" ? entry.problem : null,
    kind: model?.kind ?? null,
    sizeBytes: entry.sizeBytes,
    partialBytes: entry.partialBytes,
    licence: model?.licence ?? entry.manifest?.licence?.name ?? null,
    pulling: pulling.has(entry.id),
    loaded: describeResidence(loaded.get(entry.id)),
  };
}

function describeRemote({ id, name, kind, sizeBytes, licence }: ModelDescription, loaded: Loaded): AdminModel {
  return {
    id,
    name,
    state: "remote",
    problem: null,
    kind,
    sizeBytes,
    partialBytes: 0,
    licence,
    pulling: false,
    loaded: describeResidence(loaded.get(id)),
  };
}

function describeResidence(status: ModelStatus | undefined): AdminModel["loaded"] {
  if (status === undefined) return null;
  const { state, active, queued, memoryBytes, expiresAtMs } = status;
  return { state, active, queued, memoryBytes, expiresAtMs };
}
