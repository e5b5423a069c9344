import { z } from "zod";

/** Who speaks in a prompt. `tool` carries what a tool returned. */
export const ChatRole = z.enum(["system", "user", "assistant", "tool"]);
export type ChatRole = z.infer<typeof ChatRole>;

/** A call of a tool that an assistant made. */
export const ToolCall = z.object({
  /** Names the call within its conversation; a tool's message refers to it. */
  id: z.string(),
  name: z.string(),
  /** The arguments as JSON text. Those of an earlier turn come from clients and may be no JSON at all. */
  arguments: z.string(),
});
export type ToolCall = z.infer<typeof ToolCall>;

/** One message of a prompt, its content already reduced to text. */
export const ChatMessage = z.object({
  role: ChatRole,
  content: z.string(),
  /** What an assistant thought before it answered. */
  reasoning: z.string().optional(),
  /** What an assistant called, in order. */
  toolCalls: z.array(ToolCall).optional(),
  /** Of a tool's message: the id of the call that it answers. Some clients (Home Assistant) say none. */
  toolCallId: z.string().optional(),
  /** Of a tool's message: the name of the tool, when the client says it. */
  toolName: z.string().optional(),
});
export type ChatMessage = z.infer<typeof ChatMessage>;

/** A JSON Schema (draft 2020-12 or 7) as it came: an object or a boolean. */
export const JsonSchema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
export type JsonSchema = z.infer<typeof JsonSchema>;

/** A function that a model may ask its client to call. */
export const Tool = z.object({
  name: z.string().min(1).max(128),
  description: z.string().default(""),
  /** The schema of its one argument, an object. */
  parameters: JsonSchema,
  /** An unsupported keyword in `parameters` is refused instead of passed over. */
  strict: z.boolean().default(false),
});
export type Tool = z.infer<typeof Tool>;

/** Whether tools are called: never, as the model likes, at least one, or the named one. */
export const ToolChoice = z.union([z.enum(["none", "auto", "required"]), z.object({ name: z.string() })]);
export type ToolChoice = z.infer<typeof ToolChoice>;

/** What the text of an answer has to be: anything, a JSON object, or JSON that a schema accepts. */
export const AnswerFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json") }),
  z.object({ type: z.literal("schema"), schema: JsonSchema, strict: z.boolean() }),
]);
export type AnswerFormat = z.infer<typeof AnswerFormat>;

/** How a model that reasons does so. Models that do not reason pass over it; asking them to think is the edge's to refuse. */
export const Reasoning = z.object({
  /** Null leaves it to the model's template. */
  enabled: z.boolean().nullable(),
  /** Tokens of thought after which it has to answer; null means as many as it takes. */
  tokensMax: z.number().int().min(0).nullable(),
});
export type Reasoning = z.infer<typeof Reasoning>;

/**
 * How the next token is drawn. Null means the engine's default, said beside each field (llama.cpp's own).
 * Order of the samplers: penalties, top-k, top-p, min-p, temperature.
 */
export const Sampling = z.object({
  /** 0 always takes the likeliest token. Default 0.8. */
  temperature: z.number().min(0).max(2).nullable().default(null),
  /** Default 0.95; 1 keeps all. */
  topP: z.number().min(0).max(1).nullable().default(null),
  /** Default 40; 0 keeps all. */
  topK: z.number().int().min(0).nullable().default(null),
  /** Default 0.05; 0 keeps all. */
  minP: z.number().min(0).max(1).nullable().default(null),
  /** Subtracted once from a token that this answer already holds. Default 0. */
  presencePenalty: z.number().min(-2).max(2).nullable().default(null),
  /** Subtracted per occurrence in this answer. Default 0. */
  frequencyPenalty: z.number().min(-2).max(2).nullable().default(null),
  /** Divides the logit of a token that this answer already holds. Default 1 (off). */
  repeatPenalty: z.number().min(0).max(10).nullable().default(null),
  /** Null draws a fresh seed for this request. */
  seed: z.number().int().min(0).max(0xffffffff).nullable().default(null),
  /** Added to the logits of tokens, by token id; -100 and less forbids one. */
  logitBias: z.record(z.string().regex(/^\d{1,7}$/), z.number().min(-100).max(100)).default({}),
});
export type Sampling = z.infer<typeof Sampling>;

/** Most tools of one request: what Copilot's agent mode sends at most. */
export const TOOLS_MAX = 128;

/** What an engine is asked: a conversation (rendered with the model's template) or a raw prompt taken as it is. */
export const ChatRequest = z.object({
  /** The request's id, for logs on both sides. */
  id: z.string().min(1).max(128),
  /** Who asks: an account, a key's id, or `local`. Key-value state is never shared between owners. */
  owner: z.string().min(1).max(128),
  /** The model's id. */
  model: z.string().min(1).max(256),
  /** Exactly one of `messages` and `prompt` is not null. */
  messages: z.array(ChatMessage).min(1).max(10_000).nullable(),
  prompt: z.string().nullable(),
  /**
   * How the answer to `messages` begins: the model goes on from there, without thinking any more, and no event repeats it.
   * Null lets it begin by itself.
   */
  answerBeginning: z.string().min(1).nullable().default(null),
  /** What follows on the gap that a raw `prompt` precedes and the model fills in; null leaves nothing to fill. */
  suffix: z.string().nullable().default(null),
  sampling: Sampling,
  /** Texts that end the answer; none of them is ever part of it. */
  stop: z.array(z.string().min(1).max(256)).max(16).default([]),
  /** Null means as many as the context leaves. */
  completionTokensMax: z.number().int().min(1).nullable().default(null),
  tools: z.array(Tool).max(TOOLS_MAX).default([]),
  toolChoice: ToolChoice.default("auto"),
  /** Whether one answer may call several tools. */
  parallelToolCalls: z.boolean().default(true),
  format: AnswerFormat.default({ type: "text" }),
  reasoning: Reasoning.default({ enabled: null, tokensMax: null }),
  /** How many of the likeliest alternatives are told beside each token, 0 to 20; null tells no probabilities at all. */
  logprobs: z.number().int().min(0).max(20).nullable().default(null),
  /**
   * Milliseconds for which the model stays loaded after this request; null leaves it to the settings, -1 means for ever,
   * 0 unloads it as soon as nobody uses it.
   */
  keepAliveMs: z.number().int().min(-1).nullable().default(null),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

/** Why an answer ended: `stop` at an end token or a stop text, `length` at a token limit, `tool_calls` after calls. */
export type FinishReason = "stop" | "length" | "tool_calls";

/** A token and the natural logarithm of its probability. */
export interface TokenLogprob {
  text: string;
  /** UTF-8 of the token, which need not be whole characters. */
  bytes: number[];
  logprob: number;
}

/** A token of an answer with the likeliest ones at its place, itself perhaps among them, in falling order. */
export interface DrawnToken extends TokenLogprob {
  top: TokenLogprob[];
}

/** Tokens of one answer, counted by the model's own tokenizer. `cachedTokens` of the prompt were not computed again. */
export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** Of the completion's tokens, those of thoughts. */
  reasoningTokens: number;
}

/** Where the time of one answer went, in milliseconds. */
export interface Timings {
  queueMs: number;
  prefillMs: number;
  decodeMs: number;
}

/**
 * What a chat yields, in this order: one `admitted` (the request is valid, counted and queued: a status can be sent),
 * one `started` (it has left the queue), then any number of `reasoning`, `text`, `tool_call` and `tool_arguments`, one
 * `done`. A call's arguments follow it before the next call begins; put together they are JSON that the tool's schema
 * accepts.
 */
export type ChatEvent =
  | { type: "admitted"; promptTokens: number }
  | { type: "started"; cachedTokens: number; queueMs: number }
  | { type: "reasoning"; text: string }
  /** `tokens` are there when they were asked for: those that were drawn for this text. */
  | { type: "text"; text: string; tokens?: DrawnToken[] }
  /** A call begins. `index` counts the answer's calls from 0. */
  | { type: "tool_call"; index: number; id: string; name: string }
  | { type: "tool_arguments"; index: number; text: string }
  | { type: "done"; finishReason: FinishReason; usage: Usage; timings: Timings };
