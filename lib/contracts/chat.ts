import { z } from "zod";

/** Who speaks in a prompt. `tool` carries what a tool returned. */
export const ChatRole = z.enum(["system", "user", "assistant", "tool"]);
export type ChatRole = z.infer<typeof ChatRole>;

/** One message of a prompt, its content already reduced to text. */
export const ChatMessage = z.object({ role: ChatRole, content: z.string() });
export type ChatMessage = z.infer<typeof ChatMessage>;

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
});
export type Sampling = z.infer<typeof Sampling>;

/** What an engine is asked: a conversation (rendered with the model's template) or a raw prompt taken as it is. */
export const ChatRequest = z.object({
  /** The request's id, for logs on both sides. */
  id: z.string().min(1).max(128),
  /** Who asks: an account, a key's id, or `local`. Key-value state is never shared between owners. */
  owner: z.string().min(1).max(128),
  /** Exactly one of `messages` and `prompt` is not null. */
  messages: z.array(ChatMessage).min(1).max(10_000).nullable(),
  prompt: z.string().nullable(),
  sampling: Sampling,
  /** Texts that end the answer; none of them is ever part of it. */
  stop: z.array(z.string().min(1).max(256)).max(16).default([]),
  /** Null means as many as the context leaves. */
  completionTokensMax: z.number().int().min(1).nullable().default(null),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

/** Why an answer ended: `stop` at an end token or a stop text, `length` at a token limit. */
export type FinishReason = "stop" | "length";

/** Tokens of one answer, counted by the model's own tokenizer. `cachedTokens` of the prompt were not computed again. */
export interface Usage {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
}

/** Where the time of one answer went, in milliseconds. */
export interface Timings {
  queueMs: number;
  prefillMs: number;
  decodeMs: number;
}

/**
 * What a chat yields, in this order: one `admitted` (the request is valid, counted and queued: a status can be sent),
 * one `started` (it has left the queue), any number of `text`, one `done`.
 */
export type ChatEvent =
  | { type: "admitted"; promptTokens: number }
  | { type: "started"; cachedTokens: number; queueMs: number }
  | { type: "text"; text: string }
  | { type: "done"; finishReason: FinishReason; usage: Usage; timings: Timings };
