import type { ChatMessage, ToolCall } from "../../lib/contracts/chat.ts";
import { notServedError } from "../_shared/fields.ts";
import type { Message } from "./schemas.ts";

/**
 * Translates the messages of `/api/chat`. Ollama's clients call tools without ids and match results by order, by the
 * tool's name, or by an id where they have one; the engine gets an id for each, the same ones whenever the conversation
 * comes again, so that what was computed of it is found.
 *
 * @throws {DomainError} `invalid_request` for images, which no model here takes.
 */
export function toChatMessages(messages: readonly Message[], model: string): ChatMessage[] {
  const open = new OpenCalls();
  return messages.map((message, index) => {
    refuseImages(message.images, { param: `messages[${index}].images`, model });
    const plain = { role: message.role, content: message.content ?? "" };
    if (message.role === "tool") return { ...plain, ...open.answer(message) };
    if (message.role !== "assistant") return plain;
    const toolCalls = open.open(message.tool_calls ?? []);
    return {
      ...plain,
      ...(message.thinking ? { reasoning: message.thinking } : {}),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
    };
  });
}

/** @throws {DomainError} `invalid_request` that names `param` when there are images. */
export function refuseImages(
  images: unknown[] | null | undefined,
  { param, model }: { param: string; model: string },
): void {
  if (images === undefined || images === null || images.length === 0) return;
  throw notServedError(param, `The model "${model}" cannot see images: leave ${param} out`);
}

/** The calls of a conversation whose results have not come yet, in order. */
class OpenCalls {
  #waiting: ToolCall[] = [];
  #count = 0;

  /** Names the calls of an assistant's message. Those before it that got no result get none any more. */
  open(calls: NonNullable<Message["tool_calls"]>): ToolCall[] {
    const named = calls.map((call): ToolCall => ({
      id: call.id || `call_${this.#count++}`,
      name: call.function.name,
      arguments: toArgumentsText(call.function.arguments),
    }));
    this.#waiting = [...named];
    return named;
  }

  /** Finds the call that a tool's message answers. A result that belongs to none stands for itself. */
  answer(message: Message): Pick<ChatMessage, "toolCallId" | "toolName"> {
    const name = message.tool_name || message.name || null;
    const id = message.tool_call_id || null;
    const at = this.#waiting.findIndex((call) => id === null ? name === null || call.name === name : call.id === id);
    const [call] = at === -1 ? [] : this.#waiting.splice(at, 1);
    const toolCallId = call?.id ?? id;
    const toolName = name ?? call?.name ?? null;
    return { ...(toolCallId === null ? {} : { toolCallId }), ...(toolName === null ? {} : { toolName }) };
  }
}

/** Some clients send the arguments as the text that OpenAI's API has. */
function toArgumentsText(given: unknown): string {
  return typeof given === "string" ? given : JSON.stringify(given ?? {});
}
