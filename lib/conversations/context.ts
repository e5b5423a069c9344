import type { ChatMessage } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import type { MessageRow } from "./rows.ts";

/** Most messages that a model is told of: what an engine takes. */
export const CONTEXT_MESSAGES_MAX = 10_000;

/** Most that a model is told, in bytes of UTF-8: more than the longest contexts hold. */
const CONTEXT_BYTES_MAX = 8_388_608;

type ContextRow = Pick<MessageRow, "message_type" | "content" | "reasoning" | "tool_calls" | "tool_call_id">;

/**
 * What a model is told of a path, the oldest message first. A summary stands for everything before it; notes and images
 * are for people alone, and an answer that came to nothing says nothing.
 *
 * @throws {DomainError} `context_length_exceeded` when they are too many, `invalid_request` when nothing is left to
 *   answer.
 */
export function toContext(path: readonly ContextRow[]): ChatMessage[] {
  const start = Math.max(0, path.findLastIndex(({ message_type }) => message_type === "summary"));
  const messages = path.slice(start).map(toChatMessage).filter((message) => message !== null);
  if (messages.length > CONTEXT_MESSAGES_MAX) {
    throw new DomainError(
      "context_length_exceeded",
      `This branch has ${messages.length} messages, and a model takes at most ${CONTEXT_MESSAGES_MAX}; ` +
        "post a summary of what came before, which stands for it from then on",
      { param: "messages", details: { messages: messages.length, messagesMax: CONTEXT_MESSAGES_MAX } },
    );
  }
  if (messages.length === 0) {
    throw new DomainError("invalid_request", "There is nothing to answer: this branch holds no message to a model");
  }
  return messages;
}

/**
 * Refuses a path that is too long to be read.
 *
 * @throws {DomainError} `context_length_exceeded`.
 */
export function checkContextBytes(bytes: number): void {
  if (bytes <= CONTEXT_BYTES_MAX) return;
  throw new DomainError(
    "context_length_exceeded",
    `This branch has ${bytes} bytes of text, and a model takes at most ${CONTEXT_BYTES_MAX}; ` +
      "post a summary of what came before, which stands for it from then on",
    { param: "messages", details: { bytes, bytesMax: CONTEXT_BYTES_MAX } },
  );
}

function toChatMessage(row: ContextRow): ChatMessage | null {
  const { content } = row;
  switch (row.message_type) {
    case "user":
      return { role: "user", content };
    case "system":
    case "summary":
      return { role: "system", content };
    case "tool":
      return { role: "tool", content, ...(row.tool_call_id === null ? {} : { toolCallId: row.tool_call_id }) };
    case "assistant":
      return toAssistantMessage(row);
    default:
      return null;
  }
}

function toAssistantMessage({ content, reasoning, tool_calls }: ContextRow): ChatMessage | null {
  const toolCalls = tool_calls ?? [];
  if (content === "" && toolCalls.length === 0) return null;
  return {
    role: "assistant",
    content,
    ...(reasoning === null ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  };
}
