import { z } from "@hono/zod-openapi";
import { samplingFields } from "../_shared/fields.ts";

const { stop, ...sampling } = samplingFields;

/** Ollama's options. Unknown ones are accepted: Copilot sends some of its own. */
const Options = z.looseObject({
  ...sampling,
  stop,
  num_predict: z.int().nullish().openapi({ description: "-1 and -2: as many tokens as the context leaves" }),
  num_ctx: z.int().nullish().openapi({
    description: "Accepted; the context that is served is in /api/show and /api/ps",
  }),
});

const called = z.looseObject({ name: z.string(), arguments: z.unknown().optional() });
const images = z.array(z.unknown()).nullish();

const commonFields = {
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  stream: z.boolean().nullish().openapi({ description: "Default true" }),
  options: Options.nullish(),
  keep_alive: z.union([z.string(), z.number()], { error: "expected a number of seconds or a text such as 5m" })
    .nullish().openapi({ description: "Accepted; the model stays loaded" }),
  format: z.unknown().optional().openapi({ description: "Refused when set" }),
  think: z.union([z.boolean(), z.string()], { error: "expected true, false or a text" }).nullish(),
};

const Message = z.looseObject({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string().nullish(),
  images,
  tool_calls: z.array(z.looseObject({ function: called })).nullish(),
});

/** The body of `POST /api/chat`. Without messages it asks to load the model. */
export const ChatBody = z.looseObject({
  ...commonFields,
  messages: z.array(Message).max(10_000).nullish(),
  tools: z.array(z.looseObject({})).nullish().openapi({ description: "Accepted and not called yet" }),
}).openapi("OllamaChatRequest");
export type ChatBody = z.infer<typeof ChatBody>;

/** The body of `POST /api/generate`. Without a prompt it asks to load the model. */
export const GenerateBody = z.looseObject({
  ...commonFields,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  raw: z.boolean().nullish().openapi({ description: "Takes the prompt as it is, without the model's template" }),
  suffix: z.string().nullish().openapi({ description: "Refused when set" }),
  template: z.string().nullish().openapi({ description: "Refused when set" }),
  context: z.array(z.number()).nullish().openapi({ description: "Refused when set" }),
  images,
}).openapi("OllamaGenerateRequest");
export type GenerateBody = z.infer<typeof GenerateBody>;

/** The body of `POST /api/show`: `model`, or as older clients say, `name`. */
export const ShowBody = z.looseObject({
  model: z.string().nullish(),
  name: z.string().nullish(),
  verbose: z.boolean().nullish(),
}).openapi("OllamaShowRequest");

/** What a line of every answer holds. */
const Line = z.object({
  model: z.string(),
  created_at: z.string(),
  done: z.boolean(),
  done_reason: z.enum(["stop", "length", "load"]).optional(),
  total_duration: z.int().optional().openapi({ description: "All durations are in nanoseconds" }),
  load_duration: z.int().optional(),
  prompt_eval_count: z.int().optional(),
  prompt_eval_duration: z.int().optional(),
  eval_count: z.int().optional(),
  eval_duration: z.int().optional(),
});

/** A line of `/api/chat`, or the whole answer. */
export const ChatLine = Line.extend({
  message: z.object({ role: z.literal("assistant"), content: z.string() }),
}).openapi("OllamaChatResponse");
export type ChatLine = z.infer<typeof ChatLine>;

/** A line of `/api/generate`, or the whole answer. */
export const GenerateLine = Line.extend({ response: z.string() }).openapi("OllamaGenerateResponse");
export type GenerateLine = z.infer<typeof GenerateLine>;

const Details = z.object({
  parent_model: z.string(),
  format: z.literal("gguf"),
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
    expires_at: z.string(),
    size_vram: z.int(),
    context_length: z.int().openapi({ description: "Tokens of one conversation that are served here" }),
  })),
}).openapi("OllamaRunning");
export type Running = z.infer<typeof Running>;

/** What `POST /api/show` answers. */
export const Shown = z.object({
  license: z.string(),
  modelfile: z.string(),
  parameters: z.string(),
  template: z.string(),
  details: Details,
  model_info: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  capabilities: z.array(z.string()),
  modified_at: z.string(),
}).openapi("OllamaModel");
export type Shown = z.infer<typeof Shown>;
