import { z } from "zod";

/** Most texts of one request for embeddings, as OpenAI's API has it. */
export const EMBEDDING_INPUTS_MAX = 2_048;

/** What an engine is asked to embed. */
export const EmbedRequest = z.object({
  /** The request's id, for logs on both sides. */
  id: z.string().min(1).max(128),
  /** Who asks: an account, a key's id, or `local`. */
  owner: z.string().min(1).max(128),
  /** The model's id. */
  model: z.string().min(1).max(256),
  /** Texts, or token ids of the model's own tokenizer. */
  inputs: z.array(z.union([z.string(), z.array(z.number().int().min(0))])).min(1).max(EMBEDDING_INPUTS_MAX),
  /** Keeps the first so many numbers of each vector, made one unit long again; null keeps all. */
  dimensions: z.number().int().min(1).nullable().default(null),
  /** Cuts an input at the model's limit instead of refusing it. */
  truncate: z.boolean().default(false),
  /** As in a chat request. */
  keepAliveMs: z.number().int().min(-1).nullable().default(null),
});
export type EmbedRequest = z.infer<typeof EmbedRequest>;

/** One vector for each input, in order, each one unit long. */
export interface Embeddings {
  vectors: Float32Array[];
  promptTokens: number;
}
