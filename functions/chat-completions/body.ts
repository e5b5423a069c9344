import { z } from "@hono/zod-openapi";
import { TOOLS_MAX } from "../../lib/contracts/chat.ts";
import { choicesField, logitBiasField, LOGPROBS_DESCRIPTION, samplingFields } from "../_shared/fields.ts";
import { EFFORTS, EFFORTS_DESCRIPTION } from "../_shared/reasoning.ts";
import { FunctionDefinition } from "../_shared/tools.ts";

const contentPart = z.looseObject({
  type: z.string().openapi({ description: "`text`; images and audio are refused where the model cannot take them" }),
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
  name: z.string().nullish(),
  reasoning_content: z.string().nullish().openapi({ description: "What an assistant thought; also as `reasoning`" }),
  // Some clients keep an object of their own under this name.
  reasoning: z.unknown().optional(),
  tool_calls: z.array(z.looseObject({ id: z.string().nullish(), function: calledFunction })).nullish(),
  tool_call_id: z.string().nullish(),
  function_call: calledFunction.nullish(),
}).openapi("ChatMessage");
/** A message of a request. */
export type Message = z.infer<typeof Message>;

const named = z.looseObject({ name: z.string() });

const responseFormat = z.looseObject({
  type: z.enum(["text", "json_object", "json_schema"]),
  json_schema: z.looseObject({
    name: z.string().nullish(),
    schema: z.record(z.string(), z.unknown(), { error: "expected a JSON Schema, an object" }),
    strict: z.boolean().nullish(),
  }).nullish(),
  schema: z.record(z.string(), z.unknown()).nullish().openapi({
    description: "Beside `json_object`, where llama.cpp's server takes a schema",
  }),
});

const toolFields = {
  tools: z.array(z.looseObject({
    type: z.literal("function", { error: 'expected "function", the only kind of tool that is served' }),
    function: FunctionDefinition,
  })).max(TOOLS_MAX).nullish().openapi({ description: `At most ${TOOLS_MAX}, each with a name of its own` }),
  tool_choice: z.union([
    z.enum(["none", "auto", "required"]),
    z.looseObject({ type: z.literal("function"), function: named }),
  ], { error: 'expected "none", "auto", "required" or {"type":"function","function":{"name":…}}' }).nullish(),
  parallel_tool_calls: z.boolean().nullish().openapi({
    description: "Whether one answer may hold several; default true",
  }),
  functions: z.array(FunctionDefinition).max(TOOLS_MAX).nullish().openapi({
    description: "The older form of `tools`, answered with `function_call`",
  }),
  function_call: z.union([z.enum(["none", "auto"]), named], { error: 'expected "none", "auto" or {"name":…}' })
    .nullish(),
};

/** Where a turn is kept, for programs that ask for it. */
const storedTurn = z.strictObject({
  conversation_id: z.uuid(),
  parent_message_id: z.uuid().nullish().openapi({
    description: "What the turn follows on; null begins a conversation",
  }),
});

/** The body of `POST /v1/chat/completions`. Unknown parameters are accepted, null counts as absent. */
export const ChatBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  messages: z.array(Message).min(1).max(10_000).openapi({ example: [{ role: "user", content: "Say hello" }] }),
  ...samplingFields,
  logit_bias: logitBiasField,
  max_tokens: z.int().min(1).nullish().openapi({ description: "Default: as many as the context leaves" }),
  max_completion_tokens: z.int().min(1).nullish().openapi({
    description: "The newer name of `max_tokens`; of the two the smaller counts",
  }),
  n: choicesField,
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  ...toolFields,
  response_format: responseFormat.nullish(),
  reasoning_effort: z.enum(EFFORTS).nullish().openapi({ description: EFFORTS_DESCRIPTION }),
  logprobs: z.boolean().nullish().openapi({
    description: `Tells the log-probability of each token of the content. ${LOGPROBS_DESCRIPTION}`,
  }),
  metadata: z.looseObject({
    rookery: storedTurn.nullish().openapi({
      description: "Keeps the turn in a conversation: what follows on the model's last words, and the answer. " +
        "`x-rookery-message-id` of the response names the answer. Without it nothing is stored",
    }),
  }).nullish(),
  top_logprobs: z.int().min(0).max(20).nullish().openapi({
    description: "How many of the likeliest tokens at each place are told too; needs `logprobs`",
  }),
}).openapi("ChatCompletionRequest");
/** The body of a request. */
export type ChatBody = z.infer<typeof ChatBody>;
