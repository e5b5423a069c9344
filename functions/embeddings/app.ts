import { Buffer } from "node:buffer";
import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Embeddings } from "../../lib/contracts/embedding.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv } from "../_shared/create_function.ts";
import { anyJsonContent, jsonBody, openaiErrors } from "../_shared/documentation.ts";
import { checkInputs, findEmbedder, loadEmbedder, openEmbeddings } from "../_shared/embeddings.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { EmbeddingsBody, EmbeddingsList, EngineBody } from "./body.ts";

const responses = { 200: anyJsonContent(EmbeddingsList, "One vector an input, in order"), ...openaiErrors };

const createEmbeddings = createRoute({
  method: "post",
  path: "/v1/embeddings",
  summary: "Turn texts into vectors",
  tags: ["OpenAI"],
  request: { body: jsonBody(EmbeddingsBody) },
  responses,
});

const createEngineEmbeddings = createRoute({
  method: "post",
  path: "/v1/engines/{model}/embeddings",
  summary: "Turn texts into vectors, for clients of the oldest API",
  tags: ["OpenAI"],
  request: {
    params: z.object({ model: z.string().openapi({ example: "all-minilm-l6-v2" }) }),
    body: jsonBody(EngineBody),
  },
  responses,
});

/** `POST /v1/embeddings`: vectors in OpenAI's shape. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("embeddings", edge, { scopes: ["inference"] });
  app.openapi(createEmbeddings, async (c) => await respond(c, inference, c.req.valid("json")));
  app.openapi(createEngineEmbeddings, async (c) => {
    return await respond(c, inference, { ...c.req.valid("json"), model: c.req.valid("param").model });
  });
  return app;
}

async function respond(c: Context<FunctionEnv>, inference: Inference, body: EmbeddingsBody): Promise<Response> {
  const { id: model } = await findEmbedder(c, inference, body.model);
  const inputs = toInputs(body.input);
  checkInputs(inputs);
  await loadEmbedder(inference, model);
  const { embeddings, abort } = openEmbeddings(c, inference, { model, inputs, dimensions: body.dimensions ?? null });
  const render = body.encoding_format === "base64" ? toBase64 : (vector: Float32Array) => [...vector];
  return await respondWhenWhole(c, embeddings.then((done) => toList(model, done, render)), abort);
}

/**
 * One text, or the tokens of one, are a list of one.
 *
 * @throws {DomainError} `invalid_request` for tokens that stand among texts.
 */
function toInputs(input: EmbeddingsBody["input"]): (string | number[])[] {
  if (typeof input === "string") return [input];
  const tokens = input.filter((item) => typeof item === "number");
  if (tokens.length === input.length && tokens.length > 0) return [tokens];
  return input.map((item, index) => {
    if (typeof item !== "number") return item;
    const param = `input[${index}]`;
    const message = `Invalid value of "${param}": a token among texts belongs to none of them; put it into an array`;
    throw new DomainError("invalid_request", message, { param });
  });
}

function toList(
  model: string,
  { vectors, promptTokens }: Embeddings,
  render: (vector: Float32Array) => number[] | string,
): EmbeddingsList {
  return {
    object: "list",
    data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: render(vector) })),
    model,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
  };
}

/** The bytes as they lie in memory: OpenAI's are little-endian, as is every machine that Deno runs on. */
function toBase64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
