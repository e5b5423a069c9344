import type { ChatMessage, ToolCall } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";
import { isTextPart, unreadablePartError } from "../_shared/content_parts.ts";
import type { Message } from "./body.ts";

/**
 * Translates a conversation for the engine.
 *
 * @throws {DomainError} `invalid_request` that names the part of a message which `model` cannot take.
 */
export function toChatMessages(messages: readonly Message[], model: string): ChatMessage[] {
  const calls: ToolCall[] = [];
  return messages.map((message, index) => {
    const content = toText(message, { param: `messages[${index}]`, model });
    if (message.role === "assistant") {
      const toolCalls = toToolCalls(message, index);
      calls.push(...toolCalls);
      return toAssistantMessage(message, content, toolCalls);
    }
    if (message.role === "tool" || message.role === "function") return toToolMessage(message, content, calls);
    return { role: message.role === "developer" ? "system" : message.role, content };
  });
}

function toAssistantMessage(message: Message, content: string, toolCalls: ToolCall[]): ChatMessage {
  const reasoning = message.reasoning_content ?? message.reasoning;
  return {
    role: "assistant",
    content,
    ...(typeof reasoning === "string" && reasoning !== "" ? { reasoning } : {}),
    ...(toolCalls.length > 0 ? { toolCalls } : {}),
  };
}

/** The calls of a message; those of the old form have no ids, and some clients forget them. */
function toToolCalls({ tool_calls, function_call }: Message, index: number): ToolCall[] {
  const calls = (tool_calls ?? []).map((call) => ({ id: call.id ?? null, function: call.function }));
  if (function_call) calls.push({ id: null, function: function_call });
  return calls.map((call, position) => ({
    id: call.id ?? `call_${index}_${position}`,
    name: call.function.name,
    arguments: toArguments(call.function.arguments),
  }));
}

function toArguments(given: unknown): string {
  return typeof given === "string" ? given : JSON.stringify(given ?? {});
}

/** A tool's result, with the call that it answers: found by the id, or in the old form by the function's name. */
function toToolMessage(message: Message, content: string, calls: readonly ToolCall[]): ChatMessage {
  const byId = calls.findLast(({ id }) => id === message.tool_call_id);
  const byName = message.role === "function" ? calls.findLast(({ name }) => name === message.name) : undefined;
  const toolCallId = message.tool_call_id ?? byName?.id;
  const toolName = message.name ?? byId?.name;
  return {
    role: "tool",
    content,
    ...(toolCallId === undefined ? {} : { toolCallId }),
    ...(toolName === undefined ? {} : { toolName }),
  };
}

/** Where a text stands, and who is to read it. */
interface Place {
  param: string;
  model: string;
}

function toText(message: Message, { param, model }: Place): string {
  const { content } = message;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) {
    return content.map((part, index) => toPartText(part, { param: `${param}.content[${index}]`, model })).join("\n");
  }
  // An assistant that called tools, or refused, said nothing beside that.
  if (message.role === "assistant") return message.refusal ?? "";
  throw new DomainError("invalid_request", `Invalid value of "${param}.content": expected a text`, {
    param: `${param}.content`,
  });
}

function toPartText(part: Extract<Message["content"], unknown[]>[number], { param, model }: Place): string {
  if (isTextPart(part.type)) {
    const text = part.text ?? part.refusal;
    if (typeof text === "string") return text;
    throw new DomainError("invalid_request", `Invalid value of "${param}.text": expected a text`, {
      param: `${param}.text`,
    });
  }
  throw unreadablePartError(part.type, { param, model });
}
