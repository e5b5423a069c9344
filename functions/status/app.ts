import { createRoute, z } from "@hono/zod-openapi";
import { ModelDescription } from "../../lib/contracts/model.ts";
import type { DatabaseState } from "../../lib/database/pulse.ts";
import { GONE, type Inference, type InferenceStatus } from "../../lib/inference/inference.ts";
import { VERSION } from "../../lib/version.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonContent, openaiErrors, pickErrors } from "../_shared/documentation.ts";

/** A chat template is longer than all the rest, and `/api/show` has it. */
const ServedModel = ModelDescription.omit({ chatTemplate: true });

const Status = z.object({
  version: z.string().openapi({ example: "0.1.0" }),
  uptimeMs: z.int(),
  rssBytes: z.int().openapi({ description: "Memory of the process that answers" }),
  engine: z.object({
    state: z.enum(["loading", "ready", "gone"]),
    active: z.int().openapi({ description: "Answers being computed" }),
    queued: z.int().openapi({ description: "Requests that wait" }),
    queuedMax: z.int(),
    rssBytes: z.int().openapi({ description: "Memory of the processes that hold models" }),
    memoryBytesMax: z.int().openapi({ description: "Memory that models may take together" }),
    models: z.array(z.object({
      id: z.string(),
      state: z.enum(["loading", "ready"]),
      active: z.int(),
      queued: z.int(),
      memoryBytes: z.int(),
      expiresAtMs: z.int().nullable().openapi({ description: "When it is unloaded if nobody asks it; null: never" }),
    })).openapi({ description: "Models in memory, or on their way there" }),
  }),
  database: z.enum(["ok", "busy", "gone"]).nullable().openapi({
    description: "Whether accounts and conversations can be had; null where nothing is known of a database",
  }),
  model: ServedModel.nullable().openapi({ description: "The model that is named first; null until it is loaded" }),
}).openapi("Status");

const Health = z.object({
  status: z.enum(["ok", "loading", "gone"]),
  database: z.enum(["ok", "busy", "gone"]).nullable(),
}).openapi("Health");

const getStatus = createRoute({
  method: "get",
  path: "/status",
  summary: "Say how Rookery is doing",
  tags: ["Rookery"],
  responses: {
    200: jsonContent(Status, "Version, memory, queue and model"),
    ...pickErrors(openaiErrors, 401, 403, 500),
  },
});

const getHealth = createRoute({
  method: "get",
  path: "/health",
  summary: "Say whether answers can be had; needs no key",
  tags: ["Rookery"],
  security: [],
  responses: {
    200: jsonContent(Health, "Answers can be had, now or when the model is loaded"),
    503: jsonContent(
      Health,
      "The process that holds the model is gone and being started again, or the database is gone",
    ),
    ...pickErrors(openaiErrors, 403),
  },
});

/** What the status stands on. */
export interface StatusOptions {
  inference: Inference;
  edge?: EdgeOptions;
  /** When the runtime began, in milliseconds since 1970. Default: now. */
  startedAtMs?: number;
  /** Tells how the database is. Default: nobody knows. */
  readDatabase?: () => Promise<DatabaseState>;
}

/** `GET /status` for people and `GET /health` for machines. Neither waits for the model. */
export function createApp({ inference, edge, startedAtMs = Date.now(), readDatabase }: StatusOptions): App {
  const askDatabase = async () => await readDatabase?.() ?? null;
  const app = createFunction("status", edge, { openPaths: ["/health"], scopes: ["inference", "read"] });
  app.openapi(getStatus, async (c) => {
    const [status, database] = await Promise.all([readStatus(inference), askDatabase()]);
    const model = status.state === "ready" ? (await inference.list().catch(() => []))[0] ?? null : null;
    return c.json({
      version: VERSION,
      uptimeMs: Math.max(0, Date.now() - startedAtMs),
      rssBytes: Deno.memoryUsage().rss,
      engine: status,
      database,
      model: model === null ? null : ServedModel.parse(model),
    }, 200);
  });
  app.openapi(getHealth, async (c) => {
    const [{ state }, database] = await Promise.all([readStatus(inference), askDatabase()]);
    if (state === "gone" || database === "gone") return c.json({ status: "gone" as const, database }, 503);
    return c.json({ status: state === "ready" ? "ok" as const : "loading" as const, database }, 200);
  });
  return app;
}

/** An engine that cannot even say how it is doing is gone. */
async function readStatus(inference: Inference): Promise<InferenceStatus> {
  return await inference.status().catch(() => GONE);
}
