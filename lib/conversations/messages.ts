import type { ChatMessage } from "../contracts/chat.ts";
import type { Conversation, Message, Move, Page, Thread } from "../contracts/conversation.ts";
import { asCaller, type Caller, takeRow } from "./caller.ts";
import { checkContextBytes, toContext } from "./context.ts";
import { readConversation } from "./conversations.ts";
import { CURSOR_PARTS, type PageRequest, readCursor, toPage } from "./page_cursor.ts";
import { MESSAGE_COLUMNS, type MessageRow, type ThreadRow, toMessage, toThread } from "./rows.ts";

/** Names a message: one that is elsewhere is not found. */
export interface MessagePlace {
  conversationId: string;
  messageId: string;
}

/** One message, also a deleted one. */
export async function getMessage(caller: Caller, { conversationId, messageId }: MessagePlace): Promise<Message> {
  const text = `select ${MESSAGE_COLUMNS} from public.messages where conversation_id = $1 and id = $2`;
  const rows = await asCaller(caller, (session) => session.query<MessageRow>(text, [conversationId, messageId]));
  return toMessage(takeRow(rows, "message"));
}

/** The tree in the order of time, a parent always before its children: all of it, or what a thread holds. */
export async function listMessages(
  caller: Caller,
  { conversationId, threadId, ...page }: PageRequest & { conversationId: string; threadId: string | null },
): Promise<Page<Message>> {
  return await listPage(caller, { ...page, conversationId, threadId });
}

/** What follows on a message, the oldest first. */
export async function listChildren(
  caller: Caller,
  { conversationId, messageId, ...page }: PageRequest & MessagePlace,
): Promise<Page<Message>> {
  return await listPage(caller, { ...page, conversationId, childrenOf: messageId });
}

/** What follows on the same message, itself included, the oldest first. */
export async function listSiblings(
  caller: Caller,
  { conversationId, messageId, ...page }: PageRequest & MessagePlace,
): Promise<Page<Message>> {
  return await listPage(caller, { ...page, conversationId, siblingsOf: messageId });
}

/** The way from a message up to the first one, the message itself first. A page takes as long as its own length. */
export async function listPath(
  caller: Caller,
  { conversationId, messageId, cursor, limit }: PageRequest & MessagePlace,
): Promise<Page<Message>> {
  const [start] = readCursor(cursor, [CURSOR_PARTS.id]) ?? [messageId];
  // A parent is of the same conversation, and is looked for by its id alone: a plan that was made while there were few
  // messages would go through all of the conversation for each step.
  const text = `
    with recursive path as (
      select message.*, 1 as step from public.messages message where conversation_id = $1 and id = $2
      union all
      select parent.*, path.step + 1 from path
      cross join lateral (select * from public.messages where id = path.parent_id limit 1) parent
      where path.step < $3
    )
    select ${MESSAGE_COLUMNS} from path order by depth desc`;
  const rows = await asCaller(caller, (session) => session.query<MessageRow>(text, [conversationId, start!, limit]));
  takeRow(rows, "message");
  return { data: rows.map(toMessage), nextCursor: rows.at(-1)!.parent_id };
}

/** A conversation's threads, the oldest first. */
export async function listThreads(
  caller: Caller,
  { conversationId, cursor, limit }: PageRequest & { conversationId: string },
): Promise<Page<Thread>> {
  const [after = null] = readCursor(cursor, [CURSOR_PARTS.id]) ?? [];
  const text = `select id, name, root_message_id, created_at from public.threads
    where conversation_id = $1 and id > coalesce($2, uuid '00000000-0000-0000-0000-000000000000') order by id limit $3`;
  const rows = await asCaller(caller, async (session) => {
    await readConversation(session, { caller, id: conversationId });
    return await session.query<ThreadRow>(text, [conversationId, after, limit + 1]);
  });
  const { data, nextCursor } = toPage(rows, { limit, keyOf: ({ id }) => [id] });
  return { data: data.map(toThread), nextCursor };
}

/** Marks a message, and what follows on it, as deleted; returns how many. */
export async function deleteMessage(caller: Caller, place: MessagePlace): Promise<number> {
  return await asCaller(caller, async (session) => {
    takeRow(await session.query(...findMessage(place)), "message");
    const [row] = await session.query<{ count: number }>("select app.delete_message($1) as count", [place.messageId]);
    return row!.count;
  });
}

/** Takes the deletion of a message back, and of what was deleted with it; returns how many. */
export async function restoreMessage(caller: Caller, place: MessagePlace): Promise<number> {
  return await asCaller(caller, async (session) => {
    takeRow(await session.query(...findMessage(place)), "message");
    const [row] = await session.query<{ count: number }>("select app.undelete_message($1) as count", [place.messageId]);
    return row!.count;
  });
}

/** Moves a message, with what follows on it in its thread, to another thread or a new one; returns the thread's id. */
export async function moveSubtree(
  caller: Caller,
  { threadId, name, ...place }: MessagePlace & Move,
): Promise<string> {
  return await asCaller(caller, async (session) => {
    takeRow(await session.query(...findMessage(place)), "message");
    const text = "select app.move_subtree($1, $2, $3) as id";
    const [row] = await session.query<{ id: string }>(text, [place.messageId, threadId, name ?? null]);
    return row!.id;
  });
}

/** Copies the way to a message into a new conversation of the caller's. */
export async function forkConversation(
  caller: Caller,
  { title, ...place }: MessagePlace & { title: string | null },
): Promise<Conversation> {
  return await asCaller(caller, async (session) => {
    takeRow(await session.query(...findMessage(place)), "message");
    const text = "select conversation_id as id from app.fork_conversation($1, $2)";
    const [row] = await session.query<{ id: string }>(text, [place.messageId, title]);
    return await readConversation(session, { caller, id: row!.id });
  });
}

/**
 * What a model is told to answer a message: the message and its ancestors, across threads, from the last summary on.
 *
 * @throws {DomainError} `context_length_exceeded` before any of a branch is read that is too long.
 */
export async function readContext(caller: Caller, messageId: string): Promise<ChatMessage[]> {
  const measure = `
    with path as materialized (
      select depth, message_type, octet_length(content) + coalesce(octet_length(reasoning), 0) +
        coalesce(octet_length(tool_calls::text), 0) as bytes
      from app.message_path($1)
    ), start as (select coalesce(max(depth) filter (where message_type = 'summary'), 0) as depth from path)
    select start.depth as start, coalesce(sum(path.bytes), 0)::bigint as bytes
    from start left join path on path.depth >= start.depth group by start.depth`;
  const text = `select message_type, content, reasoning, tool_calls, tool_call_id from app.message_path($1)
    where depth >= $2`;
  const rows = await asCaller(caller, async (session) => {
    const [size] = await session.query<{ start: number; bytes: number }>(measure, [messageId]);
    checkContextBytes(size!.bytes);
    return await session.query<MessageRow>(text, [messageId, size!.start]);
  });
  return toContext(rows);
}

/** A statement that has a row when the caller can see the message in its conversation. */
export function findMessage({ conversationId, messageId }: MessagePlace): [text: string, values: string[]] {
  const text = `select ${MESSAGE_COLUMNS} from public.messages where conversation_id = $1 and id = $2`;
  return [text, [conversationId, messageId]];
}

/** Which messages a page is of; at most one of the last three. */
interface ListRequest extends PageRequest {
  conversationId: string;
  threadId?: string | null;
  childrenOf?: string;
  siblingsOf?: string;
}

async function listPage(
  caller: Caller,
  { conversationId, cursor, limit, threadId = null, childrenOf, siblingsOf }: ListRequest,
): Promise<Page<Message>> {
  const [after = null] = readCursor(cursor, [CURSOR_PARTS.id]) ?? [];
  const text = `select ${MESSAGE_COLUMNS} from app.list_messages($1, $2, $3, $4, $5, $6)`;
  const values = [conversationId, after, threadId, childrenOf ?? null, siblingsOf ?? null, limit + 1];
  const rows = await asCaller(caller, (session) => session.query<MessageRow>(text, values));
  const { data, nextCursor } = toPage(rows, { limit, keyOf: ({ id }) => [id] });
  return { data: data.map(toMessage), nextCursor };
}
