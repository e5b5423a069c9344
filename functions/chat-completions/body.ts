import { z } from "@hono/zod-openapi";
import { samplingFields } from "../_shared/fields.ts";

const contentPart = z.looseObject({
  type: z.string().openapi({ description: "`text`; images and audio are refused: the model cannot take them" }),
  text: z.string().nullish(),
  refusal: z.string().nullish(),
});

const calledFunction = z.looseObject({
  name: z.string(),
  arguments: z.unknown().optional().openapi({ description: "JSON, as text" }),
});

/** One message as clients send it; what they add for themselves is let through. */
const Message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(contentPart)], { error: "expected a text or an array of content parts" })
    .nullish(),
  refusal: z.string().nullish(),
  tool_calls: z.array(z.looseObject({ id: z.string().nullish(), function: calledFunction })).nullish(),
  function_call: calledFunction.nullish(),
}).openapi("ChatMessage");

/** A message of a request. */
export type Message = z.infer<typeof Message>;

const named = z.looseObject({});

/** The body of `POST /v1/chat/completions`. Unknown parameters are accepted, null counts as absent. */
export const ChatBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  messages: z.array(Message).min(1).max(10_000).openapi({ example: [{ role: "user", content: "Say hello" }] }),
  ...samplingFields,
  max_tokens: z.int().min(1).nullish().openapi({ description: "Default: as many as the context leaves" }),
  max_completion_tokens: z.int().min(1).nullish().openapi({
    description: "The newer name of `max_tokens`; of the two the smaller counts",
  }),
  n: z.int().min(1).nullish().openapi({ description: "1; more is refused" }),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  tools: z.array(named).nullish().openapi({ description: "Accepted and not called yet" }),
  tool_choice: z.union([z.string(), named], { error: "expected a text or an object" }).nullish()
    .openapi({ description: "`auto` or `none`; a forced call is refused" }),
  functions: z.array(named).nullish(),
  function_call: z.union([z.string(), named], { error: "expected a text or an object" }).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish().openapi({
    description: "`text`; anything else is refused",
  }),
}).openapi("ChatCompletionRequest");
/** The body of a request. */
export type ChatBody = z.infer<typeof ChatBody>;

const Usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({
    cached_tokens: z.int().openapi({ description: "Of the prompt, not computed again" }),
  }),
});

/** What `POST /v1/chat/completions` answers without `stream`. */
export const ChatCompletion = z.object({
  id: z.string().openapi({ example: "chatcmpl-0a1b2c" }),
  object: z.literal("chat.completion"),
  created: z.int().openapi({ description: "Seconds since 1970" }),
  model: z.string(),
  system_fingerprint: z.null(),
  choices: z.array(z.object({
    index: z.int(),
    message: z.object({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
    logprobs: z.null(),
    finish_reason: z.enum(["stop", "length", "tool_calls"]),
  })),
  usage: Usage,
}).openapi("ChatCompletion");
/** What is answered without `stream`. */
export type ChatCompletion = z.infer<typeof ChatCompletion>;
