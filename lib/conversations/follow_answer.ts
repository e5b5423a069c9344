import type { AnswerEvent } from "../contracts/conversation.ts";
import type { Session } from "../database/database.ts";
import { asCaller, type Caller, takeRow } from "./caller.ts";
import { type PieceEvent, toEvent } from "./chunk_writer.ts";
import type { MessageFeed } from "./message_feed.ts";
import { MESSAGE_COLUMNS, type MessageRow } from "./rows.ts";

/** Most chunks that are read at once; a reader that attaches late gets a long answer in several steps. */
const CHUNKS_MAX = 500;

/** Which message is followed, and from where. */
export interface FollowOptions {
  feed: MessageFeed;
  conversationId: string;
  messageId: string;
  /** The number of the last event that was seen, 0 for none. */
  afterSeq: number;
  /** Ends the iteration without an error. */
  signal: AbortSignal;
}

/**
 * An event with its number. Numbers count up by one from 1, but for a message that is told whole: then only the last ones
 * are there, 0 among them where `done` is the first.
 */
export interface NumberedEvent {
  seq: number;
  event: AnswerEvent;
}

/**
 * What happens to an answer, from any point on and on any runtime, to its `done`: nothing is missed or repeated. Null
 * when the last event was seen already. A message that never was an answer in progress is told as if it had been one. Of
 * an answer whose pieces are not kept any more, what was not seen comes as a `whole`.
 * Every step reads under the caller's claims, so that who loses the right to read hears nothing more.
 *
 * @throws {DomainError} `not_found` when there is no such message for the caller, and what the database refuses an
 *   account with; the iteration throws the same, in the middle.
 */
export async function followAnswer(
  caller: Caller,
  options: FollowOptions,
): Promise<AsyncGenerator<NumberedEvent, void, void> | null> {
  const news = await readNews(caller, options);
  return news.ended && news.events.length === 0 ? null : follow(caller, options, news);
}

async function* follow(
  caller: Caller,
  options: FollowOptions,
  first: News,
): AsyncGenerator<NumberedEvent, void, void> {
  const { feed, signal } = options;
  let { afterSeq } = options;
  // The watch says at once that something may have changed: it may have, since `first` was read.
  using watch = feed.watch({ ...options, userId: caller.claims.sub });
  for (let news = first; !signal.aborted; news = await readNews(caller, { ...options, afterSeq })) {
    for (const numbered of news.events) {
      yield numbered;
      afterSeq = numbered.seq;
    }
    if (news.ended) return;
    if (news.events.length < CHUNKS_MAX) await watch.changed(signal);
  }
}

/** What has happened since; `ended` when that holds the last event, or it was seen before. */
interface News {
  events: NumberedEvent[];
  ended: boolean;
}

async function readNews(
  caller: Caller,
  { conversationId, messageId, afterSeq }: Pick<FollowOptions, "conversationId" | "messageId" | "afterSeq">,
): Promise<News> {
  return await asCaller(caller, async (session) => {
    // The message first: an answer that has ended by then has all of its chunks.
    const found = `select ${MESSAGE_COLUMNS} from public.messages where conversation_id = $1 and id = $2`;
    const message = takeRow(await session.query<MessageRow>(found, [conversationId, messageId]), "message");
    const chunks = await session.query<{ seq: number; kind: string; body: unknown }>(
      "select seq, kind, body from app.list_chunks($1, $2, $3)",
      [messageId, afterSeq, CHUNKS_MAX],
    );
    const events = chunks.map(({ seq, kind, body }) => ({ seq, event: toEvent({ kind, body }) }));
    if (message.state === "in_progress") return { events, ended: false };
    if (events.length > 0) {
      return { events: fillGap(events, { afterSeq, message }), ended: events.at(-1)!.event.type === "done" };
    }
    if (await hasChunks(session, messageId)) return { events, ended: true };
    return { events: tellWhole(message).filter(({ seq }) => seq > afterSeq), ended: true };
  });
}

async function hasChunks(session: Session, messageId: string): Promise<boolean> {
  const text = "select from app.list_chunks($1, 0, 1)";
  return (await session.query(text, [messageId])).length > 0;
}

/**
 * The events, behind a `whole` where there is nothing but `done` although more was said. It has the number of the last
 * piece, so that whoever has seen it needs the `done` alone.
 */
function fillGap(
  events: NumberedEvent[],
  { afterSeq, message }: { afterSeq: number; message: MessageRow },
): NumberedEvent[] {
  const [{ seq, event }] = events as [NumberedEvent];
  const isGap = event.type === "done" && (afterSeq === 0 || seq > afterSeq + 1);
  if (!isGap || toPieces(message).length === 0) return events;
  const { content, reasoning, tool_calls: toolCalls } = message;
  return [{ seq: seq - 1, event: { type: "whole", content, reasoning, toolCalls } }, ...events];
}

/** The events of a message that has no chunks: it was posted, imported or copied. */
function tellWhole(message: MessageRow): NumberedEvent[] {
  const { state, usage, error } = message;
  if (state === "in_progress") throw new Error("A message in progress cannot be told as a whole");
  const events: AnswerEvent[] = [...toPieces(message), { type: "done", state, usage, error }];
  return events.map((event, at) => ({ seq: at + 1, event }));
}

/** What a message holds, as pieces of an answer. */
export function toPieces(
  { content, reasoning, tool_calls }: Pick<MessageRow, "content" | "reasoning" | "tool_calls">,
): PieceEvent[] {
  const pieces: PieceEvent[] = [];
  if (reasoning) pieces.push({ type: "reasoning", text: reasoning });
  if (content) pieces.push({ type: "text", text: content });
  for (const [index, call] of (tool_calls ?? []).entries()) pieces.push({ type: "tool_call", index, ...call });
  return pieces;
}
