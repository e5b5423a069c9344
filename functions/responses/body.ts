import { z } from "@hono/zod-openapi";
import { TOOLS_MAX } from "../../lib/contracts/chat.ts";
import { logitBiasField, LOGPROBS_DESCRIPTION, samplingFields } from "../_shared/fields.ts";
import { EFFORTS, EFFORTS_DESCRIPTION } from "../_shared/reasoning.ts";
import { FunctionDefinition } from "../_shared/tools.ts";

const contentPart = z.looseObject({
  type: z.string().openapi({ description: "`input_text`, or in an answer's message `output_text`" }),
  text: z.string().nullish(),
  refusal: z.string().nullish(),
});

const content = z.union([z.string(), z.array(contentPart)], { error: "expected a text or an array of content parts" });

/** One item of a conversation. Which fields it needs depends on its type; without one it is a message. */
const InputItem = z.looseObject({
  type: z.string().nullish().openapi({
    description: "`message`, `function_call`, `function_call_output` or `reasoning`",
  }),
  role: z.enum(["system", "developer", "user", "assistant"]).nullish(),
  content: content.nullish(),
  call_id: z.string().nullish(),
  name: z.string().nullish(),
  arguments: z.string().nullish().openapi({ description: "JSON, as text" }),
  output: content.nullish(),
  summary: z.array(contentPart).nullish(),
}).openapi("ResponseInputItem");
/** An item of a request's input. */
export type InputItem = z.infer<typeof InputItem>;

/** What a message or a tool's output holds. */
export type InputContent = z.infer<typeof content>;

const Tool = z.looseObject({
  type: z.literal("function", {
    error: 'expected "function": Rookery runs no tools itself, your own program has to',
  }),
  ...FunctionDefinition.shape,
}).openapi("ResponseTool");

const textFormat = z.looseObject({
  type: z.enum(["text", "json_object", "json_schema"]),
  name: z.string().nullish(),
  schema: z.record(z.string(), z.unknown(), { error: "expected a JSON Schema, an object" }).nullish(),
  strict: z.boolean().nullish(),
});

/** Fields that ask a server to remember: refused, because what is not there cannot be answered from. */
const statefulFields = {
  previous_response_id: z.string().nullish().openapi({ description: "Refused: responses are not kept" }),
  conversation: z.unknown().optional().openapi({ description: "Refused: conversations are not kept here" }),
  background: z.boolean().nullish().openapi({ description: "true is refused" }),
  prompt: z.unknown().optional().openapi({ description: "Refused: there are no stored prompts" }),
  store: z.boolean().nullish().openapi({ description: "Accepted; nothing is stored, as the answer says" }),
};

/** Most pairs of `metadata`, as OpenAI counts them; the texts may be longer than its 64 and 512 characters. */
const METADATA_PAIRS_MAX = 16;

const metadata = z.record(z.string().max(256), z.string().max(4_096))
  .refine((pairs) => Object.keys(pairs).length <= METADATA_PAIRS_MAX, {
    error: `expected at most ${METADATA_PAIRS_MAX} pairs`,
  });

/** The body of `POST /v1/responses`. Unknown parameters are accepted, null counts as absent. */
export const ResponseBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  input: z.union([z.string(), z.array(InputItem).max(10_000)], { error: "expected a text or an array of items" })
    .nullish().openapi({ example: "Say hello" }),
  instructions: z.string().nullish(),
  ...samplingFields,
  logit_bias: logitBiasField,
  max_output_tokens: z.int().min(1).nullish().openapi({
    description: "Thoughts included. Default: as many as the context leaves",
  }),
  tools: z.array(Tool).max(TOOLS_MAX).nullish().openapi({ description: `At most ${TOOLS_MAX} functions` }),
  tool_choice: z.union([
    z.enum(["none", "auto", "required"]),
    z.looseObject({ type: z.literal("function"), name: z.string() }),
  ], { error: 'expected "none", "auto", "required" or {"type":"function","name":…}' }).nullish(),
  parallel_tool_calls: z.boolean().nullish().openapi({ description: "Default true" }),
  text: z.looseObject({ format: textFormat.nullish() }).nullish(),
  reasoning: z.looseObject({
    effort: z.enum(EFFORTS).nullish().openapi({ description: EFFORTS_DESCRIPTION }),
  }).nullish(),
  include: z.array(z.string()).nullish().openapi({
    description: "`message.output_text.logprobs` tells the log-probability of each token. " + LOGPROBS_DESCRIPTION,
  }),
  top_logprobs: z.int().min(0).max(20).nullish().openapi({
    description: "How many of the likeliest tokens at each place are told; asks for log-probabilities too",
  }),
  metadata: metadata.nullish().openapi({
    description: `At most ${METADATA_PAIRS_MAX} pairs of texts, which the answer says again`,
  }),
  stream: z.boolean().nullish(),
  ...statefulFields,
}).openapi("ResponseRequest");
/** The body of a request. */
export type ResponseBody = z.infer<typeof ResponseBody>;
