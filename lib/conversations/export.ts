import type { Conversation, ExportedMessage } from "../contracts/conversation.ts";
import { asCaller, type Caller } from "./caller.ts";
import { getConversation } from "./conversations.ts";
import { getMessage } from "./messages.ts";
import { MESSAGE_COLUMNS, type MessageRow, type ThreadRow } from "./rows.ts";
import { renderMessage } from "./markdown.ts";

/** What is read at once: so many messages, or fewer when they are long; one that is longer comes alone. */
const BATCH = { messages: 200, bytes: 4_194_304 } as const;

/** What is exported, and how. */
export interface ExportOptions {
  conversationId: string;
  /** The message at the end of the branch, or null for everything. */
  leafId: string | null;
  format: "json" | "markdown";
}

/** A file as it is made: its name, and its text piece by piece. */
export interface ExportedFile {
  name: string;
  texts: AsyncGenerator<string, void, void>;
}

/** What is known of every message before the first is written. */
interface Outline {
  id: string;
  parent_id: string | null;
  thread_id: string;
  /** What it says, in bytes of UTF-8. */
  bytes: number;
}

const OUTLINE_COLUMNS = "id, parent_id, thread_id, " +
  "octet_length(content) + coalesce(octet_length(reasoning), 0) + coalesce(octet_length(tool_calls::text), 0) as bytes";

/**
 * Exports a conversation, or the way to one of its messages, in the order of its tree: a branch, then the next one.
 * Deleted messages and answers in progress are left out. However long it is, a few messages at a time are in memory.
 *
 * @throws {DomainError} `not_found` before the first text.
 */
export async function exportConversation(caller: Caller, options: ExportOptions): Promise<ExportedFile> {
  const { conversationId, leafId, format } = options;
  const conversation = await getConversation(caller, conversationId);
  if (leafId !== null) await getMessage(caller, { conversationId, messageId: leafId });
  const outline = await readOutline(caller, options);
  await asCaller(caller, (session) => {
    const details = { leaf: leafId, format };
    return session.query("select app.record_export($1, $2::jsonb)", [conversationId, details]);
  });
  const texts = format === "json" ? exportJson : exportMarkdown;
  const extension = format === "json" ? "json" : "md";
  return {
    name: `${toFileName(conversation.title)}.${extension}`,
    texts: texts(caller, { conversation, outline }),
  };
}

/** Letters and digits of a title, with dashes between them. */
function toFileName(title: string): string {
  const name = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  return [...name].slice(0, 80).join("") || "conversation";
}

interface Exported {
  conversation: Conversation;
  /** Every message, in the order in which they are written. */
  outline: Outline[];
}

async function* exportJson(
  caller: Caller,
  { conversation, outline }: Exported,
): AsyncGenerator<string, void, void> {
  const { title, model, rootThreadId, id } = conversation;
  const used = new Set(outline.map(({ thread_id }) => thread_id));
  const threads = (await readThreads(caller, id)).filter((thread) => thread.id !== rootThreadId && used.has(thread.id))
    .map((thread) => ({ id: thread.id, name: thread.name, rootMessageId: thread.root_message_id }));
  const head = { format: "rookery-conversation", version: 1, title, model, threads };
  yield `${JSON.stringify(head).slice(0, -1)},"messages":[`;
  let separator = "\n";
  for await (const row of readMessages(caller, { conversation, outline })) {
    yield separator + JSON.stringify(toExported(row));
    separator = ",\n";
  }
  yield "\n]}\n";
}

async function* exportMarkdown(
  caller: Caller,
  { conversation, outline }: Exported,
): AsyncGenerator<string, void, void> {
  const versions = new Map<string, { version: number; versions: number }>();
  for (const siblings of Map.groupBy(outline, ({ parent_id }) => parent_id).values()) {
    for (const [at, { id }] of siblings.entries()) versions.set(id, { version: at + 1, versions: siblings.length });
  }
  yield `# ${conversation.title.replaceAll("\n", " ")}\n`;
  for await (const row of readMessages(caller, { conversation, outline })) {
    yield `\n${renderMessage(row, versions.get(row.id)!)}`;
  }
}

async function readOutline(
  caller: Caller,
  { conversationId, leafId }: ExportOptions,
): Promise<Outline[]> {
  const isWritten = "deleted_at is null and state <> 'in_progress'";
  if (leafId !== null) {
    const text = `select ${OUTLINE_COLUMNS} from app.message_path($1) where ${isWritten} order by depth`;
    return await asCaller(caller, (session) => session.query<Outline>(text, [leafId]));
  }
  const text = `select ${OUTLINE_COLUMNS} from public.messages where conversation_id = $1 and ${isWritten} order by id`;
  return orderByBranch(await asCaller(caller, (session) => session.query<Outline>(text, [conversationId])));
}

/** Each message, then what follows on it, the oldest branch first. Without recursion: a tree may be 10,000 deep. */
function orderByBranch(outline: readonly Outline[]): Outline[] {
  const children = Map.groupBy(outline, ({ parent_id }) => parent_id);
  const ordered: Outline[] = [];
  const waiting = (children.get(null) ?? []).toReversed();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    ordered.push(next);
    for (const child of (children.get(next.id) ?? []).toReversed()) waiting.push(child);
  }
  return ordered;
}

async function* readMessages(
  caller: Caller,
  { conversation, outline }: Exported,
): AsyncGenerator<MessageRow, void, void> {
  const text = `select ${MESSAGE_COLUMNS} from public.messages where conversation_id = $1 and id = any($2::uuid[])`;
  for (const batch of toBatches(outline)) {
    const ids = batch.map(({ id }) => id);
    const rows = await asCaller(caller, (session) => session.query<MessageRow>(text, [conversation.id, ids]));
    const byId = new Map(rows.map((row) => [row.id, row]));
    for (const id of ids) {
      const row = byId.get(id);
      if (row !== undefined) yield row;
    }
  }
}

/** Messages that are read together. */
export function* toBatches<Item extends Pick<Outline, "bytes">>(
  outline: readonly Item[],
): Generator<Item[], void, void> {
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of outline) {
    if (batch.length === BATCH.messages || (batch.length > 0 && bytes + item.bytes > BATCH.bytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += item.bytes;
  }
  if (batch.length > 0) yield batch;
}

async function readThreads(caller: Caller, conversationId: string): Promise<ThreadRow[]> {
  const text =
    "select id, name, root_message_id, created_at from public.threads where conversation_id = $1 order by id";
  return await asCaller(caller, (session) => session.query<ThreadRow>(text, [conversationId]));
}

function toExported(row: MessageRow): ExportedMessage {
  const { state } = row;
  if (state === "in_progress") throw new Error("An answer in progress is not exported");
  return {
    id: row.id,
    parentId: row.parent_id,
    threadId: row.thread_id,
    type: row.message_type,
    state,
    content: row.content,
    reasoning: row.reasoning,
    toolCalls: row.tool_calls,
    toolCallId: row.tool_call_id,
    model: row.model,
    usage: row.usage,
    error: row.error,
    createdAt: row.created_at,
    finishedAt: row.finished_at ?? row.created_at,
  };
}
