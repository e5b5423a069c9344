import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ModelCapabilities, type ModelDescription, ModelKind } from "../../lib/contracts/model.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { findModel } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv } from "../_shared/create_function.ts";
import { jsonContent, openaiErrors, pickErrors } from "../_shared/documentation.ts";

const Model = z.object({
  id: z.string().openapi({ example: "smollm2-135m" }),
  object: z.literal("model"),
  created: z.int().openapi({ description: "Seconds since 1970 of the file's last change" }),
  owned_by: z.literal("rookery"),
  name: z.string().openapi({ example: "SmolLM2 135M Instruct" }),
  context_length: z.int().openapi({ description: "Tokens of one conversation that are served here" }),
  max_model_len: z.int().openapi({ description: "The same, as vLLM's clients read it" }),
  kind: z.enum(ModelKind.options).openapi({ description: "Whether it answers chats or turns texts into vectors" }),
  capabilities: ModelCapabilities,
  dimensions: z.int().nullable().openapi({ description: "Numbers in a vector, of a model that embeds" }),
  loaded: z.boolean().openapi({ description: "Whether it is in memory; others are loaded when they are asked for" }),
}).openapi("Model");

const Models = z.object({ object: z.literal("list"), data: z.array(Model) }).openapi("Models");

const errors = pickErrors(openaiErrors, 401, 403, 500, 502, 503);

const listModels = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "List the models that can be asked for",
  tags: ["OpenAI"],
  responses: { 200: jsonContent(Models, "The models that are served"), ...errors },
});

const getModel = createRoute({
  method: "get",
  path: "/v1/models/{id}",
  summary: "Describe one model",
  tags: ["OpenAI"],
  request: { params: z.object({ id: z.string().openapi({ example: "smollm2-135m" }) }) },
  responses: { 200: jsonContent(Model, "The model as it is served"), ...errors, ...pickErrors(openaiErrors, 404) },
});

/** `GET /v1/models` and `/v1/models/{id}`: what can be asked for, in OpenAI's shape. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("models", edge, { scopes: ["inference", "read"] });
  app.openapi(listModels, async (c) => {
    const [models, loaded] = await Promise.all([inference.list(), listLoaded(inference)]);
    return c.json({ object: "list" as const, data: models.map((model) => toModel(model, loaded)) }, 200);
  });
  const describe = async (c: Context<FunctionEnv>, id: string) => {
    const model = await findModel(c, inference, id);
    return toModel(model, await listLoaded(inference));
  };
  app.openapi(getModel, async (c) => c.json(await describe(c, c.req.valid("param").id), 200));
  // Models of other servers are named server/model, and clients do not always encode the slash.
  app.get("/v1/models/:id{.+/.+}", async (c) => c.json(await describe(c, c.req.param("id"))));
  return app;
}

/** Ids of the models in memory; none when nobody can say. */
async function listLoaded(inference: Inference): Promise<Set<string>> {
  const status = await inference.status().catch(() => null);
  return new Set(status?.models.filter(({ state }) => state === "ready").map(({ id }) => id));
}

function toModel(model: ModelDescription, loaded: ReadonlySet<string>): z.infer<typeof Model> {
  return {
    id: model.id,
    object: "model",
    created: Math.floor(model.modifiedAtMs / 1000),
    owned_by: "rookery",
    name: model.name,
    context_length: model.contextTokensMax,
    max_model_len: model.contextTokensMax,
    kind: model.kind,
    capabilities: model.capabilities,
    dimensions: model.dimensions,
    loaded: loaded.has(model.id),
  };
}
