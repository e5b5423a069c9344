import { z } from "@hono/zod-openapi";
import { keepAlive, modelName, Options } from "./schemas.ts";

/** A body that names a model, as newer clients do by `model` and older ones by `name`. */
export const NamedBody = z.looseObject({
  model: z.string().nullish().openapi({ example: "smollm2-135m" }),
  name: z.string().nullish().openapi({ description: "The older word for `model`" }),
});
export type NamedBody = z.infer<typeof NamedBody>;

/** The body of `POST /api/show`. */
export const ShowBody = NamedBody.extend({ verbose: z.boolean().nullish() }).openapi("OllamaShowRequest");

/** The body of `POST /api/pull`. */
export const PullBody = NamedBody.extend({
  stream: z.boolean().nullish().openapi({ description: "Default true" }),
}).openapi("OllamaPullRequest");

/** The body of `DELETE /api/delete`. */
export const DeleteBody = NamedBody.openapi("OllamaDeleteRequest");

/** What is pulled, and how far that is. */
export const PullLine = z.object({
  status: z.string().openapi({ description: "`success` in the last line" }),
  digest: z.string().optional().openapi({ description: "Tells the files of a model apart" }),
  total: z.int().optional().openapi({ description: "In bytes" }),
  completed: z.int().optional().openapi({ description: "In bytes" }),
}).openapi("OllamaProgress");
export type PullLine = z.infer<typeof PullLine>;

/** What is answered to what was done. */
export const Status = z.object({ status: z.literal("success") }).openapi("OllamaStatus");

/** The body of `POST /api/embed`. */
export const EmbedBody = z.looseObject({
  model: modelName,
  input: z.union([z.string(), z.array(z.string())], { error: "expected a text or an array of texts" }).nullish(),
  truncate: z.boolean().nullish().openapi({
    description: "Cuts a text at the model's limit; default true. With false a longer one is refused",
  }),
  dimensions: z.int().min(1).nullish().openapi({ description: "Keeps the first so many numbers of each vector" }),
  keep_alive: keepAlive,
  options: Options.nullish(),
}).openapi("OllamaEmbedRequest");
export type EmbedBody = z.infer<typeof EmbedBody>;

/** What `POST /api/embed` answers. */
export const Embedded = z.object({
  model: z.string(),
  embeddings: z.array(z.array(z.number())).openapi({ description: "One a text, each one unit long" }),
  total_duration: z.int().openapi({ description: "In nanoseconds" }),
  load_duration: z.int(),
  prompt_eval_count: z.int(),
}).openapi("OllamaEmbeddings");

/** The body of `POST /api/embeddings`, which `/api/embed` replaces. */
export const EmbedOneBody = z.looseObject({
  model: modelName,
  prompt: z.string().nullish(),
  keep_alive: keepAlive,
  options: Options.nullish(),
}).openapi("OllamaEmbedOneRequest");

/** What `POST /api/embeddings` answers. */
export const EmbeddedOne = z.object({ embedding: z.array(z.number()) }).openapi("OllamaEmbedding");

const Details = z.object({
  parent_model: z.string(),
  format: z.string().openapi({ example: "gguf" }),
  family: z.string(),
  families: z.array(z.string()),
  parameter_size: z.string().openapi({ example: "134.5M" }),
  quantization_level: z.string().openapi({ example: "Q4_1" }),
});

const named = { name: z.string(), model: z.string(), size: z.int(), digest: z.string(), details: Details };

/** What `GET /api/tags` answers. */
export const Tags = z.object({ models: z.array(z.object({ ...named, modified_at: z.string() })) }).openapi(
  "OllamaTags",
);
export type Tags = z.infer<typeof Tags>;

/** What `GET /api/ps` answers. */
export const Running = z.object({
  models: z.array(z.object({
    ...named,
    expires_at: z.string().openapi({ description: "When it is unloaded if nobody asks it" }),
    size_vram: z.int(),
    context_length: z.int().openapi({ description: "Tokens of one conversation that are served here" }),
  })),
}).openapi("OllamaRunning");
export type Running = z.infer<typeof Running>;

/** What a model can do, in Ollama's words. */
const Capability = z.enum(["completion", "tools", "thinking", "vision", "insert", "embedding"]);
export type Capability = z.infer<typeof Capability>;

/** What `POST /api/show` answers. */
export const Shown = z.object({
  license: z.string(),
  modelfile: z.string(),
  parameters: z.string(),
  template: z.string(),
  details: Details,
  model_info: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  capabilities: z.array(Capability),
  modified_at: z.string(),
}).openapi("OllamaModel");
export type Shown = z.infer<typeof Shown>;
