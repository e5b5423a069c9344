import { z } from "@hono/zod-openapi";
import type { Usage } from "../../lib/contracts/chat.ts";
import type { ErrorReport } from "../../lib/contracts/error.ts";
import { DrawnLogprob } from "../_shared/logprobs.ts";
import type { ResponseBody } from "./body.ts";

const status = z.enum(["in_progress", "completed", "incomplete"]);

const OutputText = z.object({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()).max(0),
  logprobs: z.array(DrawnLogprob),
});

const ReasoningText = z.object({ type: z.literal("reasoning_text"), text: z.string() });

const MessageItem = z.object({
  type: z.literal("message"),
  id: z.string(),
  status,
  role: z.literal("assistant"),
  content: z.array(OutputText),
});

const ReasoningItem = z.object({
  type: z.literal("reasoning"),
  id: z.string(),
  status,
  summary: z.array(z.unknown()).max(0),
  content: z.array(ReasoningText),
});

const CallItem = z.object({
  type: z.literal("function_call"),
  id: z.string(),
  status,
  call_id: z.string().openapi({ description: "What the output of the call has to name" }),
  name: z.string(),
  arguments: z.string().openapi({ description: "JSON, as text" }),
});

const OutputItem = z.discriminatedUnion("type", [MessageItem, ReasoningItem, CallItem]);
/** Something that a response puts out. */
export type OutputItem = z.infer<typeof OutputItem>;

/** A part of a message or of thoughts. */
export type ContentPart = z.infer<typeof OutputText> | z.infer<typeof ReasoningText>;

const ResponseUsage = z.object({
  input_tokens: z.int(),
  input_tokens_details: z.object({
    cached_tokens: z.int().openapi({ description: "Of the input, not computed again" }),
  }),
  output_tokens: z.int(),
  output_tokens_details: z.object({ reasoning_tokens: z.int() }),
  total_tokens: z.int(),
});

/** What `POST /v1/responses` answers without `stream`. What was asked for is said again. */
export const ResponseObject = z.object({
  id: z.string().openapi({ example: "resp_0a1b2c" }),
  object: z.literal("response"),
  created_at: z.int().openapi({ description: "Seconds since 1970" }),
  status: z.enum(["in_progress", "completed", "incomplete", "failed"]),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal("max_output_tokens") }).nullable(),
  model: z.string(),
  output: z.array(OutputItem),
  usage: ResponseUsage.nullable(),
  background: z.literal(false),
  store: z.literal(false).openapi({ description: "Nothing is stored, whatever was asked" }),
  previous_response_id: z.null(),
  truncation: z.literal("disabled").openapi({ description: "An input that is too long is refused, never cut" }),
  service_tier: z.literal("default"),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  parallel_tool_calls: z.boolean(),
  temperature: z.number().nullable(),
  top_p: z.number().nullable(),
  top_logprobs: z.int(),
  tools: z.array(z.unknown()),
  tool_choice: z.unknown(),
  text: z.object({ format: z.unknown() }),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.null() }),
  metadata: z.record(z.string(), z.string()),
}).openapi("Response");
/** What is answered without `stream`. */
export type ResponseObject = z.infer<typeof ResponseObject>;

/** Begins a response of `model`, which gets an id of its own. */
export function createResponse(body: ResponseBody, model: string): ResponseObject {
  return {
    id: createItemId("resp"),
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    status: "in_progress",
    error: null,
    incomplete_details: null,
    model,
    output: [],
    usage: null,
    background: false,
    store: false,
    previous_response_id: null,
    truncation: "disabled",
    service_tier: "default",
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    top_logprobs: body.top_logprobs ?? 0,
    tools: body.tools ?? [],
    tool_choice: body.tool_choice ?? "auto",
    text: { format: body.text?.format ?? { type: "text" } },
    reasoning: { effort: body.reasoning?.effort ?? null, summary: null },
    metadata: body.metadata ?? {},
  };
}

/** An id that nothing else has. */
export function createItemId(kind: "resp" | "msg" | "rs" | "fc"): string {
  return `${kind}_${crypto.randomUUID().replaceAll("-", "")}`;
}

/** Tokens in the words of this API. */
export function toResponseUsage(usage: Usage): NonNullable<ResponseObject["usage"]> {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}

/** How a response says that it failed. */
export function toResponseError({ code, message }: ErrorReport): NonNullable<ResponseObject["error"]> {
  return { code, message };
}
