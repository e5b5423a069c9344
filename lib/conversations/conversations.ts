import type {
  Conversation,
  ConversationChanges,
  ListedConversation,
  Member,
  MemberRole,
  NewConversation,
  Page,
  Share,
} from "../contracts/conversation.ts";
import type { Session, Value } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import { asCaller, type Caller, takeRow } from "./caller.ts";
import { CURSOR_PARTS, type PageRequest, readCursor, toPage } from "./page_cursor.ts";
import { type ConversationRow, toConversation } from "./rows.ts";

/** What a conversation is called until somebody gives it a name. */
const UNTITLED = "New conversation";

/** Which conversations are listed; null does not ask. */
export interface ConversationFilter {
  /** Words of the title, or of a message. */
  search: string | null;
  archived: boolean | null;
  pinned: boolean | null;
  /** Those that were deleted and can be brought back, instead of those that were not. */
  deleted: boolean;
}

const CONVERSATION = `
  select conversation.id, title, model, owner_id, root_thread_id, archived_at, pinned_at, deleted_at,
    conversation.created_at, updated_at, member.role, member.leaf_id
  from public.conversations conversation
  join public.conversation_members member on member.conversation_id = conversation.id and member.user_id = $2
  where conversation.id = $1`;

/** Begins a conversation of the caller's. */
export async function createConversation(caller: Caller, { title, model }: NewConversation): Promise<Conversation> {
  return await asCaller(caller, async (session) => {
    const text = "select conversation_id as id from app.create_conversation($1, $2)";
    const [made] = await session.query<{ id: string }>(text, [title ?? UNTITLED, model ?? null]);
    return await readConversation(session, { caller, id: made!.id });
  });
}

/** One conversation as the caller sees it. */
export async function getConversation(caller: Caller, id: string): Promise<Conversation> {
  return await asCaller(caller, (session) => readConversation(session, { caller, id }));
}

/** The caller's conversations and those that are shared with it, latest activity first. */
export async function listConversations(
  caller: Caller,
  { cursor, limit, search, archived, pinned, deleted }: PageRequest & ConversationFilter,
): Promise<Page<ListedConversation>> {
  const [beforeAt = null, beforeId = null] = readCursor(cursor, [CURSOR_PARTS.time, CURSOR_PARTS.id]) ?? [];
  const values = [search, archived, pinned, deleted, beforeAt, beforeId, limit + 1];
  type Row = ConversationRow & { found_message_id: string | null; snippet: string | null };
  const rows = await asCaller(caller, (session) => {
    return session.query<Row>("select * from app.list_conversations($1, $2, $3, $4, $5, $6, $7)", values);
  });
  const { data, nextCursor } = toPage(rows, { limit, keyOf: (row) => [row.updated_at, row.id] });
  return { data: data.map(toListed), nextCursor };
}

/**
 * Renames, archives and pins a conversation, and gives it another model.
 *
 * @throws {DomainError} `forbidden` when the caller may read it but not write.
 */
export async function changeConversation(
  caller: Caller,
  { id, changes }: { id: string; changes: ConversationChanges },
): Promise<Conversation> {
  const { title, model, archived, pinned } = changes;
  const columns: [string, Value][] = [];
  if (title !== undefined) columns.push(["title = $", title]);
  if (model !== undefined) columns.push(["model = $", model]);
  // What is archived already keeps the time of it.
  if (archived !== undefined) {
    columns.push(["archived_at = case when $?::boolean then coalesce(archived_at, now()) end", archived]);
  }
  if (pinned !== undefined) {
    columns.push(["pinned_at = case when $?::boolean then coalesce(pinned_at, now()) end", pinned]);
  }
  return await asCaller(caller, async (session) => {
    const before = await readConversation(session, { caller, id });
    if (columns.length === 0) return before;
    const sets = columns.map(([column], at) => column.replace(/\$\??/, `$${at + 2}`)).join(", ");
    const text = `update public.conversations set ${sets} where id = $1 returning id`;
    const changed = await session.query(text, [id, ...columns.map(([, value]) => value)]);
    if (changed.length === 0) throw cannotWriteError();
    return await readConversation(session, { caller, id });
  });
}

/** Marks a conversation as deleted; {@linkcode restoreConversation} takes it back. */
export async function deleteConversation(caller: Caller, id: string): Promise<void> {
  await asCaller(caller, (session) => session.query("select app.delete_conversation($1)", [id]));
}

/** Takes a deletion back. */
export async function restoreConversation(caller: Caller, id: string): Promise<Conversation> {
  return await asCaller(caller, async (session) => {
    await session.query("select app.undelete_conversation($1)", [id]);
    return await readConversation(session, { caller, id });
  });
}

/**
 * Chooses the branch that the caller looks at, by the message at its end.
 *
 * @throws {DomainError} `forbidden` for an account that writes nothing.
 */
export async function chooseBranch(
  caller: Caller,
  { id, leafId }: { id: string; leafId: string },
): Promise<Conversation> {
  return await asCaller(caller, async (session) => {
    const found = "select id from public.messages where conversation_id = $1 and id = $2 and deleted_at is null";
    takeRow(await session.query(found, [id, leafId]), "message");
    const text = `update public.conversation_members set leaf_id = $3
      where conversation_id = $1 and user_id = $2 returning user_id`;
    const changed = await session.query(text, [id, caller.claims.sub, leafId]);
    if (changed.length === 0) throw cannotWriteError();
    return await readConversation(session, { caller, id });
  });
}

/** Who takes part, the first ones first; at most 1,000. */
export async function listMembers(caller: Caller, id: string): Promise<Page<Member>> {
  type Row = { user_id: string; role: MemberRole; display_name: string; email: string | null; created_at: string };
  const rows = await asCaller(caller, (session) => session.query<Row>("select * from app.list_members($1)", [id]));
  const data = rows.map((row) => ({
    userId: row.user_id,
    role: row.role,
    displayName: row.display_name,
    email: row.email,
    createdAt: row.created_at,
  }));
  return { data, nextCursor: null };
}

/** Shares a conversation with an account, or changes what it may do in it. */
export async function shareConversation(caller: Caller, { id, email, role }: Share & { id: string }): Promise<string> {
  const rows = await asCaller(caller, (session) => {
    return session.query<{ id: string }>("select app.share($1, $2, $3) as id", [id, email, role]);
  });
  return rows[0]!.id;
}

/** Takes a member out, or lets the caller leave. */
export async function unshareConversation(
  caller: Caller,
  { id, userId }: { id: string; userId: string },
): Promise<void> {
  await asCaller(caller, (session) => session.query("select app.unshare($1, $2)", [id, userId]));
}

/** One conversation, inside a transaction. */
export async function readConversation(
  session: Session,
  { caller, id }: { caller: Caller; id: string },
): Promise<Conversation> {
  const rows = await session.query<ConversationRow>(CONVERSATION, [id, caller.claims.sub]);
  return toConversation(takeRow(rows, "conversation"));
}

function toListed(
  { found_message_id: messageId, snippet, ...row }: ConversationRow & {
    found_message_id: string | null;
    snippet: string | null;
  },
): ListedConversation {
  return { ...toConversation(row), found: messageId === null ? null : { messageId, snippet: snippet ?? "" } };
}

function cannotWriteError(): DomainError {
  const message = "Cannot change this: the account may not write in this conversation, or the conversation is deleted";
  return new DomainError("forbidden", message);
}
