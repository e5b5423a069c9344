import type { Context } from "hono";
import type { Posted } from "../../lib/contracts/conversation.ts";
import type { AnswerRunner } from "../../lib/conversations/answer_runner.ts";
import * as answers from "../../lib/conversations/answers.ts";
import type { Caller } from "../../lib/conversations/caller.ts";
import { followAnswer, type NumberedEvent } from "../../lib/conversations/follow_answer.ts";
import type { MessageFeed } from "../../lib/conversations/message_feed.ts";
import type { MessagePlace } from "../../lib/conversations/messages.ts";
import { StreamPlaces } from "../../lib/conversations/stream_places.ts";
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

/** What is followed with: a place is taken before a message is stored, so that who may not follow posts nothing. */
interface FollowParts extends AnswerParts {
  places: StreamPlaces;
}

/** Adds what is answered, and how answers are followed. */
export function addAnswers(app: App, answerParts: AnswerParts): void {
  const { database, runner } = answerParts;
  const parts: FollowParts = { ...answerParts, places: new StreamPlaces() };

  app.openapi(routes.post, async (c) => {
    const { id: conversationId } = c.req.valid("param");
    const message = c.req.valid("json");
    if (message.answer !== null) requireAnswers(c);
    const caller = requireCaller(c, database);
    return await respondWithPosted(c, parts, {
      conversationId,
      caller,
      post: () => answers.postMessage(caller, { runner, conversationId, message }),
    });
  });

  app.openapi(routes.edit, async (c) => {
    const place = toPlace(c.req.valid("param"));
    const edit = c.req.valid("json");
    if (edit.answer !== null) requireAnswers(c);
    const caller = requireCaller(c, database);
    return await respondWithPosted(c, parts, {
      conversationId: place.conversationId,
      caller,
      post: () => answers.editMessage(caller, { ...place, runner, edit }),
    });
  });

  app.openapi(routes.regenerate, async (c) => {
    const place = toPlace(c.req.valid("param"));
    requireAnswers(c);
    const caller = requireCaller(c, database);
    return await respondWithPosted(c, parts, {
      conversationId: place.conversationId,
      caller,
      post: () => answers.regenerate(caller, { ...place, runner, answer: c.req.valid("json") }),
    });
  });

  app.openapi(routes.goOn, async (c) => {
    const place = toPlace(c.req.valid("param"));
    requireAnswers(c);
    const caller = requireCaller(c, database);
    return await respondWithPosted(c, parts, {
      conversationId: place.conversationId,
      caller,
      post: () => answers.continueAnswer(caller, { ...place, runner, answer: c.req.valid("json") }),
    });
  });

  app.openapi(routes.stop, async (c) => {
    const stopping = await answers.stopAnswer(requireCaller(c, database), toPlace(c.req.valid("param")));
    return c.json({ stopping }, 200);
  });

  app.openapi(routes.follow, async (c) => {
    const afterSeq = readLastEventId(c.req.header("last-event-id")) ?? c.req.valid("query").after ?? 0;
    const place = toPlace(c.req.valid("param"));
    const caller = requireCaller(c, database);
    const leave = parts.places.take(caller.claims.sub);
    const stream = await openEvents(c, parts, { ...place, caller, afterSeq, leave }).catch((error: unknown) => {
      leave();
      throw error;
    });
    if (stream !== null) return respondWithNumberedEvents(c, toPayloads(stream.events), stream.abort);
    leave();
    // To a browser's EventSource this says that it need not come back.
    return c.body(null, 204);
  });
}

/** Answers with ids, or for who asks for a stream with the events of the answer, behind one that tells the ids. */
async function respondWithPosted(
  c: Context<FunctionEnv>,
  parts: FollowParts,
  { conversationId, caller, post }: { conversationId: string; caller: Caller; post(): Promise<Posted> },
) {
  const wantsStream = /\btext\/event-stream\b/.test(c.req.header("accept") ?? "");
  if (!wantsStream) return c.json(await post(), 201);
  const leave = parts.places.take(caller.claims.sub);
  try {
    const posted = await post();
    const { answerId: messageId } = posted;
    const stream = messageId === null
      ? null
      : await openEvents(c, parts, { conversationId, messageId, caller, afterSeq: 0, leave });
    if (stream !== null) {
      const payloads = toPayloads(stream.events, { seq: null, payload: { type: "posted", ...posted } });
      return respondWithNumberedEvents(c, payloads, stream.abort);
    }
    leave();
    return c.json(posted, 201);
  } catch (error) {
    leave();
    throw error;
  }
}

interface EventStream {
  events: AsyncGenerator<NumberedEvent, void, void>;
  /** Ends the stream; the answer goes on. */
  abort(): void;
}

/** Opens what is followed; `leave` gives the place back that the stream has, when it has ended. */
async function openEvents(
  c: Context<FunctionEnv>,
  { feed }: AnswerParts,
  { caller, leave, ...options }: MessagePlace & { caller: Caller; afterSeq: number; leave(): void },
): Promise<EventStream | null> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([leaving.signal, c.get("client").signal]);
  const events = await followAnswer(caller, { ...options, feed, signal });
  if (events === null) return null;
  // A stream that nobody has begun to read ends by `abort` alone.
  const abort = () => {
    leaving.abort();
    leave();
  };
  return { events: endWith(events, leave), abort };
}

async function* endWith<Item>(
  items: AsyncGenerator<Item, void, void>,
  onEnd: () => void,
): AsyncGenerator<Item, void, void> {
  try {
    yield* items;
  } finally {
    onEnd();
  }
}

async function* toPayloads(
  events: AsyncGenerator<NumberedEvent, void, void>,
  first: NumberedPayload | null = null,
): AsyncGenerator<NumberedPayload, void, void> {
  if (first !== null) yield first;
  for await (const { seq, event } of events) yield { seq, payload: event };
}

/** Goes before the address: a browser's EventSource that comes back asks for the same one as before. */
function readLastEventId(header: string | undefined): number | null {
  if (header === undefined || header === "") return null;
  if (/^\d{1,15}$/.test(header)) return Number(header);
  throw new DomainError("invalid_request", 'Invalid value of "Last-Event-ID": expected the id of an event', {
    param: "Last-Event-ID",
  });
}
