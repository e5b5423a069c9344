import { createRoute, z } from "@hono/zod-openapi";
import { jsonBody, jsonContent, ollamaErrors, pickErrors } from "../_shared/documentation.ts";
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
  responses: { 200: jsonContent(schemas.Tags, "The models that are served"), ...errors },
});

/** `GET /api/ps`. */
export const listRunning = createRoute({
  method: "get",
  path: "/api/ps",
  summary: "List the models that are in memory",
  tags,
  responses: { 200: jsonContent(schemas.Running, "The models, none while they are being loaded"), ...errors },
});

/** `POST /api/show`. */
export const showModel = createRoute({
  method: "post",
  path: "/api/show",
  summary: "Describe one model",
  tags,
  request: { body: jsonBody(schemas.ShowBody) },
  responses: { 200: jsonContent(schemas.Shown, "The model as it is served"), ...ollamaErrors },
});

/** `POST /api/chat`. */
export const chat = createRoute({
  method: "post",
  path: "/api/chat",
  summary: "Answer a conversation",
  tags,
  request: { body: jsonBody(schemas.ChatBody) },
  responses: { 200: streamed(schemas.ChatLine), ...ollamaErrors },
});

/** `POST /api/generate`. */
export const generate = createRoute({
  method: "post",
  path: "/api/generate",
  summary: "Continue a prompt",
  tags,
  request: { body: jsonBody(schemas.GenerateBody) },
  responses: { 200: streamed(schemas.GenerateLine), ...ollamaErrors },
});
