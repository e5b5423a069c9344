import { z } from "@hono/zod-openapi";
import { TOOLS_MAX } from "../../lib/contracts/chat.ts";
import { LOGPROBS_DESCRIPTION, samplingFields } from "../_shared/fields.ts";
import { DrawnLogprob } from "../_shared/logprobs.ts";
import { FunctionDefinition } from "../_shared/tools.ts";

const { stop, ...sampling } = samplingFields;

/** Ollama's options. Unknown ones are accepted: Copilot sends some of its own. */
export const Options = z.looseObject({
  ...sampling,
  stop,
  num_predict: z.int().nullish().openapi({ description: "-1 and -2: as many tokens as the context leaves" }),
  num_ctx: z.int().nullish().openapi({
    description: "Accepted; the context that is served is in /api/show and /api/ps",
  }),
});

/** How long a model stays loaded, in every request that uses one. */
export const keepAlive = z.union([z.string(), z.number()], {
  error: "expected a number of seconds or a text such as 5m",
}).nullish().openapi({ description: "Seconds, or a text such as 5m; -1 keeps the model, 0 unloads it" });

/** The name of a model. */
export const modelName = z.string().min(1).openapi({ example: "smollm2-135m" });

const images = z.array(z.unknown()).nullish();

const commonFields = {
  model: modelName,
  stream: z.boolean().nullish().openapi({ description: "Default true" }),
  options: Options.nullish(),
  keep_alive: keepAlive,
  format: z.union([z.enum(["json", ""]), z.record(z.string(), z.unknown())], {
    error: 'expected "json" or a JSON Schema, an object',
  }).nullish().openapi({ description: "`json`, or a JSON Schema that the answer has to follow" }),
  think: z.union([z.boolean(), z.enum(["low", "medium", "high", ""])], {
    error: 'expected true, false, "low", "medium" or "high"',
  }).nullish().openapi({ description: "Whether a model that can thinks before it answers, and how much" }),
  logprobs: z.boolean().nullish().openapi({ description: LOGPROBS_DESCRIPTION }),
  top_logprobs: z.int().min(0).max(20).nullish().openapi({ description: "Needs `logprobs`" }),
};

const Message = z.looseObject({
  role: z.enum(["system", "user", "assistant", "tool"]),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images,
  tool_calls: z.array(z.looseObject({
    id: z.string().nullish(),
    function: z.looseObject({ name: z.string(), arguments: z.unknown().optional() }),
  })).nullish(),
  tool_name: z.string().nullish().openapi({ description: "Of a tool's result: which tool it is from" }),
  tool_call_id: z.string().nullish(),
  name: z.string().nullish(),
});
/** A message of a request. */
export type Message = z.infer<typeof Message>;

/** The body of `POST /api/chat`. Without messages it asks to load the model, or to unload it. */
export const ChatBody = z.looseObject({
  ...commonFields,
  messages: z.array(Message).max(10_000).nullish(),
  tools: z.array(z.looseObject({ function: FunctionDefinition })).max(TOOLS_MAX).nullish(),
}).openapi("OllamaChatRequest");
export type ChatBody = z.infer<typeof ChatBody>;

/** The body of `POST /api/generate`. Without a prompt it asks to load the model, or to unload it. */
export const GenerateBody = z.looseObject({
  ...commonFields,
  prompt: z.string().nullish(),
  system: z.string().nullish(),
  raw: z.boolean().nullish().openapi({ description: "Takes the prompt as it is, without the model's template" }),
  suffix: z.string().nullish().openapi({ description: "What follows on the gap that the model is to fill in" }),
  template: z.string().nullish().openapi({ description: "Refused when set" }),
  context: z.array(z.number()).nullish().openapi({ description: "Refused when set" }),
  images,
}).openapi("OllamaGenerateRequest");
export type GenerateBody = z.infer<typeof GenerateBody>;

const CalledTool = z.object({
  function: z.object({ index: z.int(), name: z.string(), arguments: z.record(z.string(), z.unknown()) }),
});
/** A call of a tool, whole. */
export type CalledTool = z.infer<typeof CalledTool>;

/** What a line of every answer holds. */
const Line = z.object({
  model: z.string(),
  created_at: z.string(),
  logprobs: z.array(DrawnLogprob).optional(),
  done: z.boolean(),
  done_reason: z.enum(["stop", "length", "load", "unload"]).optional(),
  total_duration: z.int().optional().openapi({ description: "All durations are in nanoseconds" }),
  load_duration: z.int().optional(),
  prompt_eval_count: z.int().optional(),
  prompt_eval_duration: z.int().optional(),
  eval_count: z.int().optional(),
  eval_duration: z.int().optional(),
});

/** A line of `/api/chat`, or the whole answer. */
export const ChatLine = Line.extend({
  message: z.object({
    role: z.literal("assistant"),
    content: z.string(),
    thinking: z.string().optional(),
    tool_calls: z.array(CalledTool).optional(),
  }).strict(),
}).openapi("OllamaChatResponse");
export type ChatLine = z.infer<typeof ChatLine>;

/** A line of `/api/generate`, or the whole answer. */
export const GenerateLine = Line.extend({ response: z.string(), thinking: z.string().optional() })
  .openapi("OllamaGenerateResponse");
export type GenerateLine = z.infer<typeof GenerateLine>;
