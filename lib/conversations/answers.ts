import type { AnswerSettings, MessageEdit, NewMessage, Posted } from "../contracts/conversation.ts";
import type { Session } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import type { AnswerRunner } from "./answer_runner.ts";
import { asCaller, type Caller, takeRow } from "./caller.ts";
import type { PieceEvent } from "./chunk_writer.ts";
import { getConversation } from "./conversations.ts";
import { toPieces } from "./follow_answer.ts";
import { findMessage, type MessagePlace, readContext } from "./messages.ts";
import type { MessageRow } from "./rows.ts";

/** What is stored before an answer begins, in the same transaction. */
interface Question {
  /** The message that was posted, or null when there was none to post. */
  messageId: string | null;
  /** What the answer follows on. */
  parentId: string;
  beginning: PieceEvent[];
}

/** How a question is stored and answered. */
interface Asking {
  conversationId: string;
  /** Null stores without an answer. */
  answer: AnswerSettings | null;
  store(session: Session): Promise<Question>;
}

/**
 * Stores a message, and an answer in progress that the runtime goes on with by itself.
 *
 * @throws {DomainError} before anything is stored: `model_not_found`, `queue_full`, `forbidden` for readers, `conflict`
 *   behind an answer in progress or a deleted message.
 */
export async function postMessage(
  caller: Caller,
  { runner, conversationId, message }: { runner: AnswerRunner; conversationId: string; message: NewMessage },
): Promise<Posted> {
  const { parentId, type, content, threadName = null, toolCallId = null } = message;
  const isAnswered = type === "user" || type === "tool";
  return await ask(caller, runner, {
    conversationId,
    answer: isAnswered ? message.answer : null,
    store: async (session) => {
      const values = [conversationId, parentId, type, content, threadName, toolCallId];
      const messageId = await takeId(session, "select app.post_message($1, $2, $3, $4, $5, $6) as id", values);
      return { messageId, parentId: messageId, beginning: [] };
    },
  });
}

/**
 * Stores another wording of a message as its sibling. A user's is answered; an assistant's stands as it is.
 *
 * @throws {DomainError} as {@linkcode postMessage} does.
 */
export async function editMessage(
  caller: Caller,
  { runner, edit, ...place }: MessagePlace & { runner: AnswerRunner; edit: MessageEdit },
): Promise<Posted> {
  const { conversationId, messageId } = place;
  const original = await readMessage(caller, place);
  const { message_type: type, parent_id: parentId, tool_call_id } = original;
  if (type === "assistant") {
    return { messageId: await rewordAnswer(caller, { original, content: edit.content, runner }), answerId: null };
  }
  return await ask(caller, runner, {
    conversationId,
    answer: type === "user" || type === "tool" ? edit.answer : null,
    store: async (session) => {
      takeRow(await session.query(...findMessage({ conversationId, messageId })), "message");
      const values = [conversationId, parentId, type, edit.content, tool_call_id];
      const id = await takeId(session, "select app.post_message($1, $2, $3, $4, null, $5) as id", values);
      return { messageId: id, parentId: id, beginning: [] };
    },
  });
}

/**
 * Answers anew: beside an answer, or behind any other message.
 *
 * @throws {DomainError} as {@linkcode postMessage} does.
 */
export async function regenerate(
  caller: Caller,
  { runner, answer, ...place }: MessagePlace & { runner: AnswerRunner; answer: AnswerSettings },
): Promise<Posted> {
  const original = await readMessage(caller, place);
  const parentId = original.message_type === "assistant" ? requireParent(original) : original.id;
  const question = { messageId: null, parentId, beginning: [] };
  return await ask(caller, runner, {
    conversationId: place.conversationId,
    answer: { ...rememberModel(original), ...answer },
    store: () => Promise.resolve(question),
  });
}

/**
 * Goes on with an answer that did not come to its end: as a sibling that begins with what there is.
 *
 * @throws {DomainError} `conflict` for an answer that is complete or in progress; else as {@linkcode postMessage} does.
 */
export async function continueAnswer(
  caller: Caller,
  { runner, answer, ...place }: MessagePlace & { runner: AnswerRunner; answer: AnswerSettings },
): Promise<Posted> {
  const original = await readMessage(caller, place);
  const isCut = original.state === "complete" && original.usage?.finishReason === "length";
  if (original.message_type !== "assistant" || !(isCut || /interrupted|stopped|failed/.test(original.state))) {
    throw new DomainError("conflict", "Cannot continue this: it is no answer that was cut, stopped or interrupted");
  }
  // Thoughts that led to nothing, and half of a call, cannot be gone on with.
  const { content, reasoning } = original;
  const beginning = content === "" ? [] : toPieces({ content, reasoning, tool_calls: null });
  const question = { messageId: null, parentId: requireParent(original), beginning };
  return await ask(caller, runner, {
    conversationId: place.conversationId,
    answer: { ...rememberModel(original), ...answer },
    store: () => Promise.resolve(question),
  });
}

/** Asks whichever runtime makes an answer to stop; false when it has ended by then. */
export async function stopAnswer(caller: Caller, place: MessagePlace): Promise<boolean> {
  return await asCaller(caller, async (session) => {
    takeRow(await session.query(...findMessage(place)), "message");
    const [row] = await session.query<{ stops: boolean }>("select app.request_stop($1) as stops", [place.messageId]);
    return row!.stops;
  });
}

async function ask(caller: Caller, runner: AnswerRunner, { conversationId, answer, store }: Asking): Promise<Posted> {
  if (answer === null) {
    const { messageId } = await asCaller(caller, store);
    return { messageId, answerId: null };
  }
  const owner = caller.claims.sub;
  const model = await chooseModel(runner.inference, {
    wanted: answer.model ?? (await getConversation(caller, conversationId)).model,
  });
  using place = runner.reserve(owner);
  const { messageId, parentId, beginning, answerId } = await asCaller(caller, async (session) => {
    const question = await store(session);
    const values = [question.parentId, model, runner.instance];
    return { ...question, answerId: await takeId(session, "select app.begin_answer($1, $2, $3) as id", values) };
  });
  const loadContext = () => readContext(caller, parentId);
  place.start({ answerId, owner, model, settings: answer, beginning, loadContext });
  return { messageId, answerId };
}

async function rewordAnswer(
  caller: Caller,
  { original, content, runner }: { original: MessageRow; content: string; runner: AnswerRunner },
): Promise<string> {
  return await asCaller(caller, async (session) => {
    const values = [requireParent(original), original.model, runner.instance];
    const id = await takeId(session, "select app.begin_answer($1, $2, $3) as id", values);
    await session.query("select app.finish_answer($1, 'complete', $2)", [id, content]);
    return id;
  });
}

/** The model that answers: the wanted one, which must be there, or the first that can. */
async function chooseModel(inference: Inference, { wanted }: { wanted: string | null }): Promise<string> {
  if (wanted !== null) {
    const { id, kind } = await inference.describe(wanted);
    if (kind === "chat") return id;
    throw new DomainError("invalid_request", `The model "${id}" does not chat: name one that does`, {
      param: "answer.model",
    });
  }
  const first = (await inference.list()).find(({ kind }) => kind === "chat");
  if (first !== undefined) return first.id;
  throw new DomainError("model_not_found", "There is no model that chats: add one with `deno task models`");
}

async function readMessage(caller: Caller, place: MessagePlace): Promise<MessageRow> {
  return await asCaller(caller, async (session) => {
    return takeRow(await session.query<MessageRow>(...findMessage(place)), "message");
  });
}

function requireParent({ parent_id }: MessageRow): string {
  if (parent_id !== null) return parent_id;
  throw new DomainError("conflict", "This answer follows on no question, so that there is nothing to answer anew");
}

function rememberModel({ model }: MessageRow): AnswerSettings {
  return model === null ? {} : { model };
}

async function takeId(session: Session, text: string, values: Parameters<Session["query"]>[1]): Promise<string> {
  return takeRow(await session.query<{ id: string }>(text, values), "message").id;
}
