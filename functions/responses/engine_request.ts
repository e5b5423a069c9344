import type { AnswerFormat, ChatMessage } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { isDeep } from "../../lib/schema/keywords.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { notServedError, toSampling, toStops } from "../_shared/fields.ts";
import type { ParamNames } from "../_shared/param_names.ts";
import { toReasoning } from "../_shared/reasoning.ts";
import { checkToolChoice, toTools } from "../_shared/tools.ts";
import type { ResponseBody } from "./body.ts";
import { toMessages } from "./input_items.ts";

/** How a body calls what the engine refuses. */
export const PARAM_NAMES: ParamNames = [
  [/^tools(\[\d+\])\.function/, "tools$1"],
  [/^response_format\.json_schema/, "text.format"],
  [/^response_format/, "text.format"],
  [/^messages$/, "input"],
];

/**
 * Translates a body for the engine.
 *
 * @throws {DomainError} `invalid_request` that names the field which cannot be served.
 */
export function toEngineRequest(body: ResponseBody): Omit<AskedRequest, "model"> {
  refuseUnserved(body);
  refuseDeep(body);
  const tools = toTools(body.tools ?? [], (index) => `tools[${index}].name`);
  const choice = body.tool_choice ?? "auto";
  const toolChoice = typeof choice === "string" ? choice : { name: choice.name };
  return {
    messages: toConversation(body),
    prompt: null,
    sampling: { ...toSampling(body), logitBias: body.logit_bias ?? {} },
    stop: toStops(body.stop, "stop"),
    completionTokensMax: body.max_output_tokens ?? null,
    tools,
    toolChoice: checkToolChoice(toolChoice, tools, "tool_choice"),
    parallelToolCalls: body.parallel_tool_calls ?? true,
    format: toFormat(body.text?.format),
    reasoning: toReasoning(body.reasoning?.effort),
    logprobs: toLogprobs(body),
  };
}

/** Refuses what would be answered wrongly if it were passed over in silence. */
function refuseUnserved(body: ResponseBody): void {
  const stateful = {
    previous_response_id: "Rookery keeps no responses: send the whole conversation as input",
    conversation: "Rookery keeps no conversations here: send the whole conversation as input",
    prompt: "Rookery has no stored prompts: send instructions and input",
  } as const;
  for (const [param, message] of Object.entries(stateful)) {
    if ((body[param] ?? null) !== null) throw notServedError(param, message);
  }
  if (body.background) {
    throw notServedError("background", "Rookery answers in the foreground alone: leave background out, and stream");
  }
}

/** Deepest nesting of what a response says again: writing JSON goes down once a level. */
const ECHO_DEPTH_MAX = 500;

function refuseDeep(body: ResponseBody): void {
  const param = (["tools", "tool_choice", "text"] as const).find((name) => isDeep(body[name], ECHO_DEPTH_MAX));
  if (param === undefined) return;
  const message = `Invalid value of "${param}": it is nested deeper than ${ECHO_DEPTH_MAX} levels; make it flatter`;
  throw new DomainError("invalid_request", message, { param });
}

function toConversation({ input, instructions, model }: ResponseBody): ChatMessage[] {
  const messages = typeof input === "string"
    ? [{ role: "user" as const, content: input }]
    : toMessages(input ?? [], model);
  if (instructions) messages.unshift({ role: "system", content: instructions });
  if (messages.length > 0) return messages;
  throw new DomainError("invalid_request", 'Invalid value of "input": there is nothing to answer', { param: "input" });
}

type TextFormat = NonNullable<ResponseBody["text"]>["format"];

function toFormat(format: TextFormat): AnswerFormat {
  if (format?.type === "json_object") return { type: "json" };
  if (format?.type !== "json_schema") return { type: "text" };
  if (format.schema) return { type: "schema", schema: format.schema, strict: format.strict ?? false };
  const param = "text.format.schema";
  throw new DomainError("invalid_request", `Invalid value of "${param}": expected a JSON Schema`, { param });
}

function toLogprobs({ include, top_logprobs }: ResponseBody): number | null {
  return top_logprobs ?? ((include ?? []).includes("message.output_text.logprobs") ? 0 : null);
}
