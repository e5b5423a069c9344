import type { AnswerFormat, Tool, ToolChoice } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { toSampling, toStops } from "../_shared/fields.ts";
import type { ParamNames } from "../_shared/param_names.ts";
import { toReasoning } from "../_shared/reasoning.ts";
import { checkToolChoice, toTools } from "../_shared/tools.ts";
import type { ChatBody } from "./body.ts";
import { toChatMessages } from "./chat_messages.ts";

/**
 * Translates a body for the engine.
 *
 * @throws {DomainError} `invalid_request` that names the field which cannot be served.
 */
export function toChatRequest(body: ChatBody): Omit<AskedRequest, "model"> {
  const limits = [body.max_tokens, body.max_completion_tokens].filter((limit) => typeof limit === "number");
  return {
    messages: toChatMessages(body.messages, body.model),
    prompt: null,
    sampling: { ...toSampling(body), logitBias: body.logit_bias ?? {} },
    stop: toStops(body.stop, "stop"),
    completionTokensMax: limits.length === 0 ? null : Math.min(...limits),
    ...toToolFields(body),
    format: toFormat(body.response_format),
    reasoning: toReasoning(body.reasoning_effort),
    logprobs: toLogprobs(body),
  };
}

/** Whether a body has functions in the old form, which is answered in the old form. */
export function asksOldForm({ functions }: ChatBody): boolean {
  return (functions ?? []).length > 0;
}

/** How a body calls fields where it differs from the form that the engine knows. */
export function nameParams(body: ChatBody): ParamNames {
  const names: [RegExp, string][] = [];
  if (body.response_format?.type === "json_object") names.push([/^response_format\.json_schema/, "response_format"]);
  if (!asksOldForm(body)) return names;
  return [...names, [/^tools(\[\d+\])\.function/, "functions$1"], [/^tool_choice/, "function_call"]];
}

function toToolFields(body: ChatBody): { tools: Tool[]; toolChoice: ToolChoice; parallelToolCalls: boolean } {
  if (!asksOldForm(body)) {
    const tools = toTools((body.tools ?? []).map((tool) => tool.function), (index) => `tools[${index}].function.name`);
    const choice = body.tool_choice ?? "auto";
    const toolChoice = typeof choice === "string" ? choice : { name: choice.function.name };
    return {
      tools,
      toolChoice: checkToolChoice(toolChoice, tools, "tool_choice"),
      parallelToolCalls: body.parallel_tool_calls ?? true,
    };
  }
  if (body.tools?.length) {
    const message = 'Invalid value of "functions": it is the older form of tools; send one of the two';
    throw new DomainError("invalid_request", message, { param: "functions" });
  }
  const tools = toTools(body.functions ?? [], (index) => `functions[${index}].name`);
  const choice = body.function_call ?? "auto";
  const toolChoice = typeof choice === "string" ? choice : { name: choice.name };
  // A message of the old form has room for one call.
  return { tools, toolChoice: checkToolChoice(toolChoice, tools, "function_call"), parallelToolCalls: false };
}

function toFormat(format: ChatBody["response_format"]): AnswerFormat {
  if (format?.type === "json_object") {
    return format.schema ? { type: "schema", schema: format.schema, strict: false } : { type: "json" };
  }
  if (format?.type !== "json_schema") return { type: "text" };
  if (format.json_schema) {
    const { schema, strict } = format.json_schema;
    return { type: "schema", schema, strict: strict ?? false };
  }
  const param = "response_format.json_schema";
  throw new DomainError("invalid_request", `Invalid value of "${param}": expected an object that holds the schema`, {
    param,
  });
}

function toLogprobs({ logprobs, top_logprobs }: ChatBody): number | null {
  if (logprobs) return top_logprobs ?? 0;
  if (!top_logprobs) return null;
  throw new DomainError("invalid_request", 'Invalid value of "top_logprobs": send "logprobs": true with it', {
    param: "top_logprobs",
  });
}
