import type { Context } from "hono";
import type { Posted } from "../../lib/contracts/conversation.ts";
import type { AnswerRunner } from "../../lib/conversations/answer_runner.ts";
import * as answers from "../../lib/conversations/answers.ts";
import type { Caller } from "../../lib/conversations/caller.ts";
import { followAnswer, type NumberedEvent } from "../../lib/conversations/follow_answer.ts";
import type { MessageFeed } from "../../lib/conversations/message_feed.ts";
import type { MessagePlace } from "../../lib/conversations/messages.ts";
import type { Database } from "../../lib/database/database.ts";
import { DomainError } from "../../lib/errors.ts";
import type { App, FunctionEnv } from "../_shared/create_function.ts";
import { type NumberedPayload, respondWithNumberedEvents } from "../_shared/sse.ts";
import { requireAnswers, requireCaller } from "./caller.ts";
import { toPlace } from "./messages.ts";
import * as routes from "./routes.ts";

/** What answers are made and followed with. */
interface AnswerParts {
  database: Database;
  runner: AnswerRunner;
  feed: MessageFeed;
}

/** Adds what is answered, and how answers are followed. */
export function addAnswers(app: App, parts: AnswerParts): void {
  const { database, runner } = parts;

  app.openapi(routes.post, async (c) => {
    const { id: conversationId } = c.req.valid("param");
    const message = c.req.valid("json");
    if (message.answer !== null) requireAnswers(c);
    const caller = requireCaller(c, database);
    const posted = await answers.postMessage(caller, { runner, conversationId, message });
    return await respondWithPosted(c, parts, { conversationId, caller, posted });
  });

  app.openapi(routes.edit, async (c) => {
    const place = toPlace(c.req.valid("param"));
    const edit = c.req.valid("json");
    if (edit.answer !== null) requireAnswers(c);
    const caller = requireCaller(c, database);
    const posted = await answers.editMessage(caller, { ...place, runner, edit });
    return await respondWithPosted(c, parts, { ...place, caller, posted });
  });

  app.openapi(routes.regenerate, async (c) => {
    const place = toPlace(c.req.valid("param"));
    requireAnswers(c);
    const caller = requireCaller(c, database);
    const posted = await answers.regenerate(caller, { ...place, runner, answer: c.req.valid("json") });
    return await respondWithPosted(c, parts, { ...place, caller, posted });
  });

  app.openapi(routes.goOn, async (c) => {
    const place = toPlace(c.req.valid("param"));
    requireAnswers(c);
    const caller = requireCaller(c, database);
    const posted = await answers.continueAnswer(caller, { ...place, runner, answer: c.req.valid("json") });
    return await respondWithPosted(c, parts, { ...place, caller, posted });
  });

  app.openapi(routes.stop, async (c) => {
    const stopping = await answers.stopAnswer(requireCaller(c, database), toPlace(c.req.valid("param")));
    return c.json({ stopping }, 200);
  });

  app.openapi(routes.follow, async (c) => {
    // A browser's EventSource that comes back asks for the same address as before, and tells in the header how far it was.
    const afterSeq = readLastEventId(c.req.header("last-event-id")) ?? c.req.valid("query").after ?? 0;
    const place = toPlace(c.req.valid("param"));
    const stream = await openEvents(c, parts, { ...place, caller: requireCaller(c, database), afterSeq });
    // To a browser's EventSource this says that it need not come back.
    return stream === null ? c.body(null, 204) : respondWithNumberedEvents(c, toPayloads(stream.events), stream.abort);
  });
}

/** Answers with ids, or for who asks for a stream with the events of the answer, behind one that tells the ids. */
async function respondWithPosted(
  c: Context<FunctionEnv>,
  parts: AnswerParts,
  { conversationId, caller, posted }: { conversationId: string; caller: Caller; posted: Posted },
) {
  const { answerId } = posted;
  const wantsStream = /\btext\/event-stream\b/.test(c.req.header("accept") ?? "");
  if (answerId === null || !wantsStream) return c.json(posted, 201);
  const stream = await openEvents(c, parts, { conversationId, messageId: answerId, caller, afterSeq: 0 });
  const payloads = toPayloads(stream!.events, { seq: null, payload: { type: "posted", ...posted } });
  return respondWithNumberedEvents(c, payloads, stream!.abort);
}

interface EventStream {
  events: AsyncGenerator<NumberedEvent, void, void>;
  /** Ends the stream; the answer goes on. */
  abort(): void;
}

async function openEvents(
  c: Context<FunctionEnv>,
  { feed }: AnswerParts,
  { caller, ...options }: MessagePlace & { caller: Caller; afterSeq: number },
): Promise<EventStream | null> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, c.get("client").signal]);
  const events = await followAnswer(caller, { ...options, feed, signal });
  return events === null ? null : { events, abort: () => leaving.abort() };
}

async function* toPayloads(
  events: AsyncGenerator<NumberedEvent, void, void>,
  first: NumberedPayload | null = null,
): AsyncGenerator<NumberedPayload, void, void> {
  if (first !== null) yield first;
  for await (const { seq, event } of events) yield { seq, payload: event };
}

function readLastEventId(header: string | undefined): number | null {
  if (header === undefined || header === "") return null;
  if (/^\d{1,15}$/.test(header)) return Number(header);
  throw new DomainError("invalid_request", 'Invalid value of "Last-Event-ID": expected the id of an event', {
    param: "Last-Event-ID",
  });
}
