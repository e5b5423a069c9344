import type { AnswerError, AnswerUsage, Conversation, MemberRole, Message, Thread } from "../contracts/conversation.ts";
import type { MessageState, MessageType } from "../contracts/conversation.ts";
import type { ToolCall } from "../contracts/chat.ts";

/** A row of `public.messages`. */
export interface MessageRow {
  id: string;
  conversation_id: string;
  thread_id: string;
  parent_id: string | null;
  depth: number;
  message_type: MessageType;
  state: MessageState;
  content: string;
  reasoning: string | null;
  tool_calls: ToolCall[] | null;
  tool_call_id: string | null;
  model: string | null;
  usage: AnswerUsage | null;
  error: AnswerError | null;
  author_id: string | null;
  created_at: string;
  finished_at: string | null;
  deleted_at: string | null;
}

/** The columns of a {@linkcode MessageRow}. */
export const MESSAGE_COLUMNS =
  "id, conversation_id, thread_id, parent_id, depth, message_type, state, content, reasoning, tool_calls, " +
  "tool_call_id, model, usage, error, author_id, created_at, finished_at, deleted_at";

/** A message as clients see it. */
export function toMessage(row: MessageRow): Message {
  return {
    id: row.id,
    conversationId: row.conversation_id,
    threadId: row.thread_id,
    parentId: row.parent_id,
    depth: row.depth,
    type: row.message_type,
    state: row.state,
    content: row.content,
    reasoning: row.reasoning,
    toolCalls: row.tool_calls,
    toolCallId: row.tool_call_id,
    model: row.model,
    usage: row.usage,
    error: row.error,
    authorId: row.author_id,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    deletedAt: row.deleted_at,
  };
}

/** A conversation with what its member sees of itself. */
export interface ConversationRow {
  id: string;
  title: string;
  model: string | null;
  owner_id: string;
  role: MemberRole;
  root_thread_id: string;
  leaf_id: string | null;
  archived_at: string | null;
  pinned_at: string | null;
  deleted_at: string | null;
  created_at: string;
  updated_at: string;
}

/** A conversation as clients see it. */
export function toConversation(row: ConversationRow): Conversation {
  return {
    id: row.id,
    title: row.title,
    model: row.model,
    ownerId: row.owner_id,
    role: row.role,
    rootThreadId: row.root_thread_id,
    leafId: row.leaf_id,
    archivedAt: row.archived_at,
    pinnedAt: row.pinned_at,
    deletedAt: row.deleted_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** A row of `public.threads`. */
export interface ThreadRow {
  id: string;
  name: string;
  root_message_id: string | null;
  created_at: string;
}

/** A thread as clients see it. */
export function toThread(row: ThreadRow): Thread {
  return { id: row.id, name: row.name, rootMessageId: row.root_message_id, createdAt: row.created_at };
}
