import { z } from "zod";
import { Reasoning, Sampling, ToolCall } from "./chat.ts";

/** A time as texts carry it, in UTC: RFC 3339. */
const Time = z.iso.datetime({ offset: true });

/** What a message is. Notes and images are for people: no model is told of them. */
export const MessageType = z.enum(["user", "assistant", "system", "tool", "summary", "note", "image"]);
export type MessageType = z.infer<typeof MessageType>;

/**
 * How far a message is: an answer is in progress, then complete, or `stopped` by somebody, `interrupted` by the end of a
 * process, `failed` by what its error says. All but `in_progress` stay as they are for ever.
 */
export const MessageState = z.enum(["complete", "in_progress", "interrupted", "stopped", "failed"]);
export type MessageState = z.infer<typeof MessageState>;

/** What a member may do: everything, write, or read. */
export const MemberRole = z.enum(["owner", "writer", "reader"]);
export type MemberRole = z.infer<typeof MemberRole>;

/** Longest title of a conversation and name of a thread, in characters. */
export const TITLE_CHARACTERS_MAX = 300;

/** Longest content of a message, in characters. */
export const CONTENT_CHARACTERS_MAX = 2_000_000;

/** Postgres' texts hold every character but NUL. */
const Text = z.string().regex(/^[^\0]*$/, { error: "expected a text without the character NUL" });
const Title = Text.transform((text) => text.trim()).pipe(z.string().min(1).max(TITLE_CHARACTERS_MAX));
const Content = Text.max(CONTENT_CHARACTERS_MAX);
const ModelId = Text.min(1).max(256);

/** A conversation as one of its members sees it. */
export const Conversation = z.object({
  id: z.uuid(),
  title: z.string(),
  /** The model that answers unless a request names another one. */
  model: z.string().nullable(),
  ownerId: z.uuid(),
  /** What who asks may do in it. */
  role: MemberRole,
  rootThreadId: z.uuid(),
  /** The end of the branch that who asks has chosen, or null. */
  leafId: z.uuid().nullable(),
  archivedAt: Time.nullable(),
  pinnedAt: Time.nullable(),
  deletedAt: Time.nullable(),
  createdAt: Time,
  /** Of the last activity; lists are in its order. */
  updatedAt: Time,
});
export type Conversation = z.infer<typeof Conversation>;

/** A conversation in a list; `found` is there when a search found its text. */
export const ListedConversation = Conversation.extend({
  found: z.object({ messageId: z.uuid(), snippet: z.string() }).nullable(),
});
export type ListedConversation = z.infer<typeof ListedConversation>;

/** A named part of a conversation's tree: the subtree of its root message, without those of threads within it. */
export const Thread = z.object({
  id: z.uuid(),
  name: z.string(),
  rootMessageId: z.uuid().nullable(),
  createdAt: Time,
});
export type Thread = z.infer<typeof Thread>;

/** Somebody who takes part in a conversation. */
export const Member = z.object({
  userId: z.uuid(),
  role: MemberRole,
  displayName: z.string(),
  email: z.string().nullable(),
  createdAt: Time,
});
export type Member = z.infer<typeof Member>;

/** What an answer took, counted by the model's own tokenizer, and how it ended. Times in milliseconds. */
export const AnswerUsage = z.object({
  promptTokens: z.int(),
  cachedTokens: z.int(),
  completionTokens: z.int(),
  reasoningTokens: z.int(),
  queueMs: z.number(),
  prefillMs: z.number(),
  decodeMs: z.number(),
  /** `length` means that the answer was cut at a limit of tokens and can be continued. */
  finishReason: z.enum(["stop", "length", "tool_calls"]),
});
export type AnswerUsage = z.infer<typeof AnswerUsage>;

/** Why an answer failed or was interrupted. */
export const AnswerError = z.object({ code: z.string(), message: z.string() });
export type AnswerError = z.infer<typeof AnswerError>;

/** A message. Its content, reasoning and calls are empty while it is in progress: its events have them. */
export const Message = z.object({
  id: z.uuid(),
  conversationId: z.uuid(),
  threadId: z.uuid(),
  parentId: z.uuid().nullable(),
  /** Ancestors that it has. */
  depth: z.int(),
  type: MessageType,
  state: MessageState,
  content: z.string(),
  reasoning: z.string().nullable(),
  toolCalls: z.array(ToolCall).nullable(),
  toolCallId: z.string().nullable(),
  model: z.string().nullable(),
  usage: AnswerUsage.nullable(),
  error: AnswerError.nullable(),
  authorId: z.uuid().nullable(),
  createdAt: Time,
  finishedAt: Time.nullable(),
  deletedAt: Time.nullable(),
});
export type Message = z.infer<typeof Message>;

/** One page of a list. `nextCursor` asks for the next one; null says that there is none. */
export interface Page<Item> {
  data: Item[];
  nextCursor: string | null;
}

/** Most items of a page, and how many there are unless a request says it. */
export const PAGE_ITEMS = { max: 200, default: 50 } as const;

/** A request for a conversation. */
export const NewConversation = z.strictObject({ title: Title.optional(), model: ModelId.nullish() });
export type NewConversation = z.infer<typeof NewConversation>;

/** What is to be different; what is left out stays. */
export const ConversationChanges = z.strictObject({
  title: Title.optional(),
  model: ModelId.nullable().optional(),
  archived: z.boolean().optional(),
  pinned: z.boolean().optional(),
});
export type ConversationChanges = z.infer<typeof ConversationChanges>;

/** How an answer is to be made; what is left out is the engine's default. */
export const AnswerSettings = z.strictObject({
  /** Default: the conversation's, else the first model there is. */
  model: ModelId.optional(),
  sampling: Sampling.partial().strict().optional(),
  reasoning: Reasoning.strict().optional(),
  /** Null means as many as the context leaves. */
  completionTokensMax: z.int().min(1).nullish(),
});
export type AnswerSettings = z.infer<typeof AnswerSettings>;

/** Types of messages that a client may post; assistants' are made here, or imported. */
const PostedType = z.enum(["user", "system", "tool", "summary", "note"]);

/** A message to post. Only a user's and a tool's are answered. */
export const NewMessage = z.strictObject({
  /** What it follows on; null begins the conversation, also beside another beginning. */
  parentId: z.uuid().nullable(),
  type: PostedType.default("user"),
  content: Content,
  /** Of a tool's message: the call that it answers. */
  toolCallId: Text.max(300).nullish(),
  /** Begins a thread of this name with the message. */
  threadName: Title.nullish(),
  /** Null posts it without an answer. */
  answer: AnswerSettings.nullable().default({}),
});
export type NewMessage = z.infer<typeof NewMessage>;

/** Another wording of a message, as its sibling. */
export const MessageEdit = z.strictObject({ content: Content, answer: AnswerSettings.nullable().default({}) });
export type MessageEdit = z.infer<typeof MessageEdit>;

/** Whom a conversation is shared with. An account's address is known to whoever shares, its id need not be. */
export const Share = z.strictObject({
  email: Text.max(254).transform((text) => text.trim().toLowerCase()),
  role: z.enum(["writer", "reader"]),
});
export type Share = z.infer<typeof Share>;

/** Where a subtree goes: to a thread that there is, or with null to a new one of this name. */
export const Move = z.strictObject({ threadId: z.uuid().nullable(), name: Title.optional() })
  .refine(({ threadId, name }) => threadId !== null || name !== undefined, {
    error: "expected the name of the new thread, or the thread that there is",
    path: ["name"],
  });
export type Move = z.infer<typeof Move>;

/** A time of an import, which Postgres' own range and that of a person's memory hold. */
const PastTime = z.iso.datetime().refine((text) => text >= "1970" && text < "9999", {
  error: "expected a time since 1970",
});

const ExportedId = Text.min(1).max(100);

/** A message as exports hold it. Ids count within the export alone. */
const ExportedMessage = z.object({
  id: ExportedId,
  parentId: ExportedId.nullable(),
  threadId: ExportedId,
  type: MessageType,
  state: MessageState.exclude(["in_progress"]),
  content: Content,
  reasoning: Content.nullable(),
  toolCalls: z.array(z.object({ id: Text, name: Text, arguments: Text })).nullable(),
  toolCallId: Text.max(300).nullable(),
  model: Text.max(300).nullable(),
  usage: AnswerUsage.nullable(),
  error: z.object({ code: Text, message: Text }).nullable(),
  createdAt: PastTime,
  finishedAt: PastTime,
});
/** A message as exports hold it. */
export type ExportedMessage = z.infer<typeof ExportedMessage>;

const ExportedThread = z.object({ id: ExportedId, name: Title, rootMessageId: ExportedId.nullable() });

/** A conversation, or one branch of it, as a file. Parents come before their children. */
export const ConversationExport = z.object({
  format: z.literal("rookery-conversation"),
  version: z.literal(1),
  title: Title,
  model: ModelId.nullable(),
  /** Those beside the first thread; messages of a thread that is not here are in the first one. */
  threads: z.array(ExportedThread).max(10_000)
    .refine((threads) => new Set(threads.map(({ id }) => id)).size === threads.length, {
      error: "expected every thread once",
    }),
  messages: z.array(ExportedMessage).max(100_000),
});
export type ConversationExport = z.infer<typeof ConversationExport>;

/** The messages that were stored: the one that was posted, if any, and its answer in progress, if any. */
export const Posted = z.object({ messageId: z.uuid().nullable(), answerId: z.uuid().nullable() });
export type Posted = z.infer<typeof Posted>;

/**
 * What happens to an answer, in order. Each event has a number, `id` in the stream; who says the last one that was seen
 * (`Last-Event-ID`) gets those after it. Pieces put together are the finished message. The last event is `done`.
 *
 * Pieces are kept for a day. Whoever comes later, and has not seen all of them, gets `whole` in their stead: all that the
 * message says, which takes the place of whatever was seen of it.
 */
export const AnswerEvent = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("reasoning"), text: z.string() }),
  /** A call begins, with its id and name, or goes on with a piece of its arguments, without them. */
  z.object({
    type: z.literal("tool_call"),
    index: z.int(),
    id: z.string().optional(),
    name: z.string().optional(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal("whole"),
    content: z.string(),
    reasoning: z.string().nullable(),
    toolCalls: z.array(ToolCall).nullable(),
  }),
  z.object({
    type: z.literal("done"),
    state: MessageState.exclude(["in_progress"]),
    usage: AnswerUsage.nullable(),
    error: AnswerError.nullable(),
  }),
]);
export type AnswerEvent = z.infer<typeof AnswerEvent>;
