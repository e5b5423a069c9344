import type { ChatMessage } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import type { AskedRequest } from "../_shared/answers.ts";
import { notServedError, toSampling, toStops } from "../_shared/fields.ts";
import { renderToolCalls } from "../_shared/tool_calls.ts";
import type { ChatBody, Message } from "./body.ts";

/** How parts that hold text are called: in a request's message, in an answer's, and in the newer API's. */
const TEXT_PARTS = new Set(["text", "refusal", "input_text", "output_text"]);

/**
 * Translates a body for the engine.
 *
 * @throws {DomainError} `invalid_request` that names the field which this version or its model cannot serve.
 */
export function toChatRequest(body: ChatBody): Omit<AskedRequest, "model"> {
  refuseUnserved(body);
  const limits = [body.max_tokens, body.max_completion_tokens].filter((limit) => typeof limit === "number");
  return {
    messages: body.messages.map((message, index) => toChatMessage(message, `messages[${index}]`, body.model)),
    prompt: null,
    sampling: toSampling(body),
    stop: toStops(body.stop, "stop"),
    completionTokensMax: limits.length === 0 ? null : Math.min(...limits),
  };
}

/** Refuses what would be answered wrongly if it were passed over in silence. */
function refuseUnserved(body: ChatBody): void {
  if ((body.n ?? 1) > 1) {
    throw notServedError("n", "Rookery gives one answer a request: leave n out, or send 1 and ask again for another");
  }
  for (const param of ["tool_choice", "function_call"] as const) {
    const choice = body[param] ?? "none";
    if (choice === "auto" || choice === "none") continue;
    throw notServedError(
      param,
      `This version of Rookery does not call tools yet, so that it cannot force a call: leave ${param} out, or send ` +
        '"auto" or "none"',
    );
  }
  if ((body.response_format?.type ?? "text") !== "text") {
    throw notServedError(
      "response_format",
      "This version of Rookery cannot force an answer into JSON yet: leave response_format out, and ask for JSON in a " +
        "message",
    );
  }
}

function toChatMessage(message: Message, param: string, model: string): ChatMessage {
  const calls = [...message.tool_calls ?? []].map((call) => call.function);
  if (message.function_call) calls.push(message.function_call);
  const content = toText(message, param, model);
  if (message.role !== "assistant") return { role: toRole(message.role), content };
  return { role: "assistant", content: renderToolCalls(content, calls) };
}

function toRole(role: Exclude<Message["role"], "assistant">): ChatMessage["role"] {
  if (role === "developer") return "system";
  return role === "function" ? "tool" : role;
}

function toText(message: Message, param: string, model: string): string {
  const { content } = message;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content.map((part, index) => toPartText(part, `${param}.content[${index}]`, model)).join("\n");
  }
  // An assistant that called tools, or refused, said nothing beside that.
  if (message.role === "assistant") return message.refusal ?? "";
  throw new DomainError("invalid_request", `Invalid value of "${param}.content": expected a text`, {
    param: `${param}.content`,
  });
}

function toPartText(part: Extract<Message["content"], unknown[]>[number], param: string, model: string): string {
  if (TEXT_PARTS.has(part.type)) {
    const text = part.text ?? part.refusal;
    if (typeof text === "string") return text;
    throw new DomainError("invalid_request", `Invalid value of "${param}.text": expected a text`, {
      param: `${param}.text`,
    });
  }
  const what = /image/.test(part.type) ? "see images" : /audio/.test(part.type) ? "hear audio" : `read "${part.type}"`;
  throw notServedError(param, `The model "${model}" cannot ${what}: send text alone, or take a model that can`);
}
