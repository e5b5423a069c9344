import { createRoute, z } from "@hono/zod-openapi";
import { anyJsonContent, jsonBody, jsonContent, ollamaErrors, pickErrors } from "../_shared/documentation.ts";
import * as models from "./model_schemas.ts";
import * as schemas from "./schemas.ts";

const tags = ["Ollama"];
const errors = pickErrors(ollamaErrors, 401, 403, 500, 502, 503);

/** Hono's types know no NDJSON: with the media types as mere strings they take any response. */
function streamed(schema: z.ZodType): { description: string; content: Record<string, { schema: z.ZodType }> } {
  return {
    description: "One JSON object a line, or with `stream: false` a single one",
    content: { "application/json": { schema }, "application/x-ndjson": { schema } },
  };
}

/** `GET /api/version`. */
export const getVersion = createRoute({
  method: "get",
  path: "/api/version",
  summary: "Say which version of Ollama's API is spoken",
  tags,
  responses: { 200: jsonContent(z.object({ version: z.string() }), "The version"), ...errors },
});

/** `GET /api/tags`. */
export const listTags = createRoute({
  method: "get",
  path: "/api/tags",
  summary: "List the models that can be asked for",
  tags,
  responses: { 200: jsonContent(models.Tags, "The models that are served"), ...errors },
});

/** `GET /api/ps`. */
export const listRunning = createRoute({
  method: "get",
  path: "/api/ps",
  summary: "List the models that are in memory",
  tags,
  responses: { 200: jsonContent(models.Running, "The models, without those that are being loaded"), ...errors },
});

/** `POST /api/show`. */
export const showModel = createRoute({
  method: "post",
  path: "/api/show",
  summary: "Describe one model",
  tags,
  request: { body: jsonBody(models.ShowBody) },
  responses: { 200: jsonContent(models.Shown, "The model as it is served"), ...ollamaErrors },
});

/** `POST /api/chat`. */
export const chat = createRoute({
  method: "post",
  path: "/api/chat",
  summary: "Answer a conversation; without messages load its model, or with keep_alive 0 unload it",
  tags,
  request: { body: jsonBody(schemas.ChatBody) },
  responses: { 200: streamed(schemas.ChatLine), ...ollamaErrors },
});

/** `POST /api/generate`. */
export const generate = createRoute({
  method: "post",
  path: "/api/generate",
  summary: "Continue a prompt, or fill in before a suffix; without a prompt load the model or unload it",
  tags,
  request: { body: jsonBody(schemas.GenerateBody) },
  responses: { 200: streamed(schemas.GenerateLine), ...ollamaErrors },
});

/** `POST /api/embed`. */
export const embed = createRoute({
  method: "post",
  path: "/api/embed",
  summary: "Turn texts into vectors",
  tags,
  request: { body: jsonBody(models.EmbedBody) },
  responses: { 200: anyJsonContent(models.Embedded, "One vector a text"), ...ollamaErrors },
});

/** `POST /api/embeddings`. */
export const embedOne = createRoute({
  method: "post",
  path: "/api/embeddings",
  summary: "Turn one text into a vector, for clients that do not know /api/embed",
  tags,
  request: { body: jsonBody(models.EmbedOneBody) },
  responses: { 200: anyJsonContent(models.EmbeddedOne, "Its vector"), ...ollamaErrors },
});

/** `POST /api/pull`. */
export const pullModel = createRoute({
  method: "post",
  path: "/api/pull",
  summary: "Fetch a model that a manifest describes, or a GGUF file from the hub as hf.co/owner/repository",
  tags,
  request: { body: jsonBody(models.PullBody) },
  responses: { 200: streamed(models.PullLine), ...ollamaErrors },
});

/** `DELETE /api/delete`. */
export const deleteModel = createRoute({
  method: "delete",
  path: "/api/delete",
  summary: "Unload a model and remove its files",
  tags,
  request: { body: jsonBody(models.DeleteBody) },
  responses: { 200: jsonContent(models.Status, "It is gone"), ...ollamaErrors },
});

/** What Ollama's API has and Rookery does not: told with the reason instead of a 404. */
function createRefused<Path extends string>(path: Path, summary: string) {
  const request = { body: jsonBody(z.looseObject({})) };
  return createRoute({ method: "post", path, summary, tags, request, responses: ollamaErrors });
}

/** `POST /api/copy`. */
export const copyModel = createRefused("/api/copy", "Refused: a model has one name");

/** `POST /api/create`. */
export const createModel = createRefused("/api/create", "Refused: models are pulled or imported, not made");

/** `POST /api/push`. */
export const pushModel = createRefused("/api/push", "Refused: no model leaves this machine");
