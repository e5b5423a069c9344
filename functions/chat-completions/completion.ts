import { z } from "@hono/zod-openapi";
import type { ToolCall } from "../../lib/contracts/chat.ts";
import type { WholeAnswer } from "../_shared/answers.ts";
import { CompletionUsage, toCompletionUsage } from "../_shared/usage.ts";
import { Logprobs, toLogprobs } from "./logprobs.ts";

const called = z.object({ name: z.string(), arguments: z.string().openapi({ description: "JSON, as text" }) });

const answeredMessage = z.object({
  role: z.literal("assistant"),
  content: z.string().nullable().openapi({ description: "Null when there is nothing beside calls" }),
  refusal: z.null(),
  reasoning_content: z.string().optional().openapi({ description: "What a model that reasons thought before" }),
  tool_calls: z.array(z.object({ id: z.string(), type: z.literal("function"), function: called })).optional(),
  function_call: called.optional(),
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
    message: answeredMessage,
    logprobs: Logprobs.nullable(),
    finish_reason: z.enum(["stop", "length", "tool_calls", "function_call"]),
  })),
  usage: CompletionUsage,
}).openapi("ChatCompletion");
/** What is answered without `stream`. */
export type ChatCompletion = z.infer<typeof ChatCompletion>;

type Choice = ChatCompletion["choices"][number];

/** What every piece of one completion repeats. */
export type CompletionHead = Pick<ChatCompletion, "id" | "created" | "model" | "system_fingerprint">;

/** How a client asked. */
export interface CompletionForm {
  /** Calls are told in the old form, as one `function_call`. */
  oldForm: boolean;
  /** The probabilities of tokens are told. */
  logprobs: boolean;
}

/** Begins a completion of `model`, which gets an id of its own. */
export function createHead(model: string): CompletionHead {
  return {
    id: `chatcmpl-${crypto.randomUUID().replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: null,
  };
}

/** The whole completion as one object, with a choice for each answer. */
export function toCompletion(head: CompletionHead, answers: readonly WholeAnswer[], form: CompletionForm): object {
  const completion: ChatCompletion = {
    ...head,
    object: "chat.completion",
    choices: answers.map((answer, index) => ({
      index,
      message: toMessage(answer, form),
      logprobs: form.logprobs ? toLogprobs(answer.tokens) : null,
      finish_reason: toFinishReason(answer.done.finishReason, form),
    })),
    usage: toCompletionUsage(answers.map(({ done }) => done.usage), { perPrompt: answers.length }),
  };
  return completion;
}

/** Why a choice ended, in the words of the form that was asked for. */
export function toFinishReason(
  reason: WholeAnswer["done"]["finishReason"],
  { oldForm }: CompletionForm,
): Choice["finish_reason"] {
  return oldForm && reason === "tool_calls" ? "function_call" : reason;
}

function toMessage({ text, reasoning, toolCalls }: WholeAnswer, { oldForm }: CompletionForm): Choice["message"] {
  const message: Choice["message"] = {
    role: "assistant",
    content: text === "" && toolCalls.length > 0 ? null : text,
    refusal: null,
  };
  if (reasoning !== "") message.reasoning_content = reasoning;
  const [first] = toolCalls;
  if (first === undefined) return message;
  if (oldForm) message.function_call = toCalled(first);
  else message.tool_calls = toolCalls.map((call) => ({ id: call.id, type: "function", function: toCalled(call) }));
  return message;
}

function toCalled(call: ToolCall): { name: string; arguments: string } {
  return { name: call.name, arguments: call.arguments };
}
