import { createRoute, z } from "@hono/zod-openapi";
import { anyJsonContent, jsonBody, jsonContent, ownErrors, pickErrors } from "../_shared/documentation.ts";
import * as schemas from "./schemas.ts";

const ROOT = "/api/conversations";
const ONE = `${ROOT}/{id}`;
const MESSAGES = `${ONE}/messages`;
const MESSAGE = `${MESSAGES}/{messageId}`;

const tags = ["Conversations"];
const errors = pickErrors(ownErrors, 400, 401, 403, 404, 409, 413, 415, 429, 500, 502, 503);
const params = schemas.ConversationPath;
const message = schemas.MessagePath;

/** A response of numbered events, each named by its type; `data` is what `schema` says of each, as JSON. */
function eventContent(
  schema: z.ZodType,
  description: string,
): { description: string; content: Record<string, { schema: z.ZodType }> } {
  return { description, content: { "text/event-stream": { schema } } };
}

/** The answer to who sends a message and wants to see it answered. */
const answered = eventContent(schemas.PostEvent, "Events: `posted`, then the answer's, up to `done` or `error`");

/** Clients that come back send it by themselves. A number, as {@linkcode schemas.EventsQuery} has it. */
const lastEventId = {
  name: "Last-Event-ID",
  in: "header",
  description: "The number of the last event that was seen: those after it follow",
  schema: { type: "string", pattern: "^\\d{0,15}$" },
} as const;

export const list = createRoute({
  method: "get",
  path: ROOT,
  summary: "List or search conversations, latest activity first",
  tags,
  request: { query: schemas.ConversationsQuery },
  responses: { 200: jsonContent(schemas.Conversations, "One's own, and those shared with one"), ...errors },
});

export const create = createRoute({
  method: "post",
  path: ROOT,
  summary: "Begin a conversation",
  tags,
  request: { body: jsonBody(schemas.NewConversation) },
  responses: { 201: jsonContent(schemas.Conversation, "The conversation, empty"), ...errors },
});

export const importOne = createRoute({
  method: "post",
  path: `${ROOT}/import`,
  summary: "Make a conversation of an export",
  tags,
  request: { body: jsonBody(schemas.Export) },
  responses: { 201: jsonContent(schemas.Conversation, "The conversation, with ids of its own"), ...errors },
});

export const get = createRoute({
  method: "get",
  path: ONE,
  summary: "Describe a conversation",
  tags,
  request: { params },
  responses: { 200: jsonContent(schemas.Conversation, "The conversation as one sees it"), ...errors },
});

export const change = createRoute({
  method: "patch",
  path: ONE,
  summary: "Rename, archive or pin a conversation, or give it another model",
  tags,
  request: { params, body: jsonBody(schemas.ConversationChanges) },
  responses: { 200: jsonContent(schemas.Conversation, "The conversation as it is now"), ...errors },
});

export const remove = createRoute({
  method: "delete",
  path: ONE,
  summary: "Delete a conversation; it can be brought back",
  tags,
  request: { params },
  responses: { 200: jsonContent(schemas.Done, "It is marked as deleted"), ...errors },
});

export const restore = createRoute({
  method: "post",
  path: `${ONE}/restore`,
  summary: "Bring a deleted conversation back",
  tags,
  request: { params },
  responses: { 200: jsonContent(schemas.Conversation, "The conversation as it is now"), ...errors },
});

export const exportOne = createRoute({
  method: "get",
  path: `${ONE}/export`,
  summary: "Export a conversation, or one branch of it",
  tags,
  request: { params, query: schemas.ExportQuery },
  responses: {
    200: {
      ...anyJsonContent(schemas.Export, "A file"),
      content: {
        ...anyJsonContent(schemas.Export, "").content,
        "text/markdown": { schema: z.string() },
      },
    },
    ...errors,
  },
});

export const chooseBranch = createRoute({
  method: "put",
  path: `${ONE}/branch`,
  summary: "Choose the branch that one looks at",
  tags,
  request: { params, body: jsonBody(schemas.Branch) },
  responses: { 200: jsonContent(schemas.Conversation, "The conversation as one sees it now"), ...errors },
});

export const listThreads = createRoute({
  method: "get",
  path: `${ONE}/threads`,
  summary: "List the threads of a conversation",
  tags,
  request: { params, query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Threads, "The oldest first"), ...errors },
});

export const listMembers = createRoute({
  method: "get",
  path: `${ONE}/members`,
  summary: "List who takes part",
  tags,
  request: { params },
  responses: { 200: jsonContent(schemas.Members, "The first ones first"), ...errors },
});

export const share = createRoute({
  method: "post",
  path: `${ONE}/members`,
  summary: "Share a conversation with an account, or change what it may do",
  tags,
  request: { params, body: jsonBody(schemas.Share) },
  responses: { 200: jsonContent(schemas.UserId, "Who takes part now"), ...errors },
});

export const unshare = createRoute({
  method: "delete",
  path: `${ONE}/members/{userId}`,
  summary: "Take a member out, or leave",
  tags,
  request: { params: schemas.MemberPath },
  responses: { 200: jsonContent(schemas.Done, "It takes part no more"), ...errors },
});

export const listMessages = createRoute({
  method: "get",
  path: MESSAGES,
  summary: "List the messages of a conversation, parents before children",
  tags,
  request: { params, query: schemas.MessagesQuery },
  responses: { 200: jsonContent(schemas.Messages, "In the order of time"), ...errors },
});

const posted = jsonContent(schemas.Posted, "What was stored; with `Accept: text/event-stream` the answer's events");

export const post = createRoute({
  method: "post",
  path: MESSAGES,
  summary: "Post a message and have it answered",
  tags,
  request: { params, body: jsonBody(schemas.NewMessage) },
  responses: { 201: posted, 200: answered, ...errors },
});

export const getMessage = createRoute({
  method: "get",
  path: MESSAGE,
  summary: "Read a message, also a deleted one",
  tags,
  request: { params: message },
  responses: { 200: jsonContent(schemas.Message, "The message"), ...errors },
});

export const removeMessage = createRoute({
  method: "delete",
  path: MESSAGE,
  summary: "Delete a message and what follows on it; it can be brought back",
  tags,
  request: { params: message },
  responses: { 200: jsonContent(schemas.Count, "How many were marked"), ...errors },
});

export const restoreMessage = createRoute({
  method: "post",
  path: `${MESSAGE}/restore`,
  summary: "Bring a deleted message back, with what was deleted together with it",
  tags,
  request: { params: message },
  responses: { 200: jsonContent(schemas.Count, "How many came back"), ...errors },
});

export const listPath = createRoute({
  method: "get",
  path: `${MESSAGE}/path`,
  summary: "List a message and its ancestors, up to the first one",
  tags,
  request: { params: message, query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Messages, "The message itself first"), ...errors },
});

export const listChildren = createRoute({
  method: "get",
  path: `${MESSAGE}/children`,
  summary: "List what follows on a message",
  tags,
  request: { params: message, query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Messages, "The oldest first"), ...errors },
});

export const listSiblings = createRoute({
  method: "get",
  path: `${MESSAGE}/siblings`,
  summary: "List the versions of a message: all that follow on the same one",
  tags,
  request: { params: message, query: schemas.PageQuery },
  responses: { 200: jsonContent(schemas.Messages, "The oldest first"), ...errors },
});

export const follow = createRoute({
  method: "get",
  path: `${MESSAGE}/events`,
  summary: "Follow an answer, from the event after `Last-Event-ID`",
  tags,
  parameters: [lastEventId],
  request: { params: message, query: schemas.EventsQuery },
  responses: {
    200: eventContent(schemas.FollowEvent, "The answer's events, up to `done` or `error`"),
    204: { description: "The last event was seen already" },
    ...errors,
  },
});

export const edit = createRoute({
  method: "post",
  path: `${MESSAGE}/edit`,
  summary: "Post another wording of a message beside it",
  tags,
  request: { params: message, body: jsonBody(schemas.MessageEdit) },
  responses: { 201: posted, 200: answered, ...errors },
});

export const regenerate = createRoute({
  method: "post",
  path: `${MESSAGE}/regenerate`,
  summary: "Answer anew, beside an answer or behind a message",
  tags,
  request: { params: message, body: jsonBody(schemas.AnswerSettings) },
  responses: { 201: posted, 200: answered, ...errors },
});

export const goOn = createRoute({
  method: "post",
  path: `${MESSAGE}/continue`,
  summary: "Go on with an answer that was cut, stopped or interrupted, beside it",
  tags,
  request: { params: message, body: jsonBody(schemas.AnswerSettings) },
  responses: { 201: posted, 200: answered, ...errors },
});

export const stop = createRoute({
  method: "post",
  path: `${MESSAGE}/stop`,
  summary: "Stop an answer in progress; what there is of it stays",
  tags,
  request: { params: message },
  responses: { 200: jsonContent(schemas.Stopping, "It was asked to stop"), ...errors },
});

export const fork = createRoute({
  method: "post",
  path: `${MESSAGE}/fork`,
  summary: "Copy the way to a message into a new conversation",
  tags,
  request: { params: message, body: jsonBody(schemas.Fork) },
  responses: { 201: jsonContent(schemas.Conversation, "The new conversation"), ...errors },
});

export const move = createRoute({
  method: "post",
  path: `${MESSAGE}/move`,
  summary: "Move a message, with what follows on it, to another thread or a new one",
  tags,
  request: { params: message, body: jsonBody(schemas.Move) },
  responses: { 200: jsonContent(schemas.ThreadId, "The thread in which it is now"), ...errors },
});
