import { z } from "@hono/zod-openapi";
import * as contract from "../../lib/contracts/conversation.ts";
import { ownErrors } from "../_shared/documentation.ts";

/** Says that it was done, where there is nothing else to say. */
export const Done = z.object({ status: z.literal("ok") }).openapi("Done");

export const Conversation = contract.Conversation.openapi("Conversation");
export const Message = contract.Message.openapi("Message");
export const Posted = contract.Posted.openapi("PostedMessages");
export const Export = contract.ConversationExport.openapi("ConversationExport", {
  example: {
    format: "rookery-conversation",
    version: 1,
    title: "Birds of the marsh",
    model: null,
    threads: [],
    messages: [],
  },
});

/** A page of a list. */
function pageOf<Item extends z.ZodType>(item: Item, name: string) {
  return z.object({
    data: z.array(item),
    nextCursor: z.string().nullable().openapi({
      description: "Send it as `cursor` for the next page; null ends the list",
    }),
  }).openapi(name);
}

export const Conversations = pageOf(contract.ListedConversation.openapi("ListedConversation"), "Conversations");
export const Messages = pageOf(Message, "Messages");
export const Threads = pageOf(contract.Thread.openapi("Thread"), "Threads");
export const Members = pageOf(contract.Member.openapi("Member"), "Members");

export const NewConversation = contract.NewConversation.openapi("NewConversation", {
  example: { title: "Birds of the marsh", model: "smollm2-135m" },
});
export const ConversationChanges = contract.ConversationChanges.openapi("ConversationChanges", {
  example: { title: "Birds", pinned: true },
});
export const NewMessage = contract.NewMessage.openapi("NewMessage", {
  example: { parentId: null, content: "Which birds nest in a marsh?", answer: {} },
});
export const MessageEdit = contract.MessageEdit.openapi("MessageEdit", {
  example: { content: "Which birds nest in reeds?", answer: {} },
});
export const AnswerSettings = contract.AnswerSettings.openapi("AnswerSettings", {
  example: { model: "smollm2-135m", completionTokensMax: 200 },
});
export const Share = contract.Share.openapi("Share", { example: { email: "bob@example.org", role: "reader" } });
export const Move = contract.Move.openapi("Move", { example: { threadId: null, name: "Reeds" } });
export const Branch = z.strictObject({ leafId: z.uuid() }).openapi("Branch", {
  example: { leafId: "019c2f4e-7a10-7c3e-9b1d-5a0f6c2d8e41" },
});
export const Fork = z.strictObject({ title: contract.NewConversation.shape.title }).openapi("Fork", {
  example: { title: "Reeds alone" },
});

export const ThreadId = z.object({ threadId: z.uuid() }).openapi("ThreadId");
export const UserId = z.object({ userId: z.uuid() }).openapi("UserId");
export const Count = z.object({
  count: z.int().openapi({ description: "Messages that were marked: the one that was named, and what follows on it" }),
}).openapi("MarkedMessages");
export const Stopping = z.object({
  stopping: z.boolean().openapi({ description: "False when the answer had ended by then" }),
}).openapi("Stopping");

/** What stands in the `data` of events that follow an answer; the last one is `done`, or `error` when it cannot go on. */
const AnswerEvent = contract.AnswerEvent.openapi("AnswerEvent");
const PostedEvent = contract.Posted.extend({ type: z.literal("posted") }).openapi("PostedEvent");
const ErrorEvent = ownErrors[500].content["application/json"].schema.extend({ type: z.literal("error") })
  .openapi("ErrorEvent");
export const FollowEvent = z.discriminatedUnion("type", [AnswerEvent, ErrorEvent]).openapi("FollowEvent");
export const PostEvent = z.discriminatedUnion("type", [PostedEvent, AnswerEvent, ErrorEvent]).openapi("PostEvent");

const id = z.uuid().openapi({ param: { in: "path" } });

/** Paths of a conversation, of one of its messages, of one of its members. */
export const ConversationPath = z.object({ id });
export const MessagePath = z.object({ id, messageId: id });
export const MemberPath = z.object({ id, userId: id });

const cursor = z.string().max(200).optional().openapi({ description: "`nextCursor` of the page before" });
const limit = z.coerce.number().int().min(1).max(contract.PAGE_ITEMS.max).default(contract.PAGE_ITEMS.default);
const flag = z.enum(["true", "false"]).transform((text) => text === "true");

/** Queries of lists. */
export const PageQuery = z.object({ cursor, limit });
export const MessagesQuery = PageQuery.extend({
  threadId: z.uuid().optional().openapi({ description: "Only what this thread holds" }),
});
export const ConversationsQuery = PageQuery.extend({
  search: z.string().max(500).regex(/^[^\0]*$/).optional().openapi({
    description: 'Words of the title, or of one message; "in quotes", with `or` and `-not`',
  }),
  archived: flag.optional(),
  pinned: flag.optional(),
  deleted: flag.default(false).openapi({ description: "List what was deleted and can be brought back" }),
});
export const ExportQuery = z.object({
  format: z.enum(["json", "markdown"]).default("json"),
  leafId: z.uuid().optional().openapi({ description: "Only the way to this message" }),
});
export const EventsQuery = z.object({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional().openapi({
    description: "As `Last-Event-ID`, for clients that cannot send the header, which goes before it",
  }),
});
