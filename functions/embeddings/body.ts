import { z } from "@hono/zod-openapi";

const Token = z.int().min(0);

const Item = z.union([z.string(), Token, z.array(Token)], { error: "expected a text, a token or an array of tokens" });

const Input = z.union([z.string(), z.array(Item)], {
  error: "expected a text, an array of texts, an array of tokens or an array of those",
});

/** The body of `POST /v1/embeddings`. Unknown parameters are accepted, null counts as absent. */
export const EmbeddingsBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "all-minilm-l6-v2" }),
  input: Input.openapi({
    description: "Texts, or token ids of the model's own vocabulary; at most 2,048 of them",
    example: ["The raven is a bird.", "Ravens live in rookeries."],
  }),
  encoding_format: z.enum(["float", "base64"]).nullish().openapi({
    description: "`float`, or `base64` of little-endian 32-bit floats; default float",
  }),
  dimensions: z.int().min(1).nullish().openapi({
    description: "Keeps the first so many numbers of each vector, made one unit long again",
  }),
  user: z.string().nullish(),
}).openapi("EmbeddingsRequest");
/** The body of a request. */
export type EmbeddingsBody = z.infer<typeof EmbeddingsBody>;

/** The older form names its model in the path. */
export const EngineBody = EmbeddingsBody.omit({ model: true }).openapi("EngineEmbeddingsRequest");

/** What is answered. */
export const EmbeddingsList = z.object({
  object: z.literal("list"),
  data: z.array(z.object({
    object: z.literal("embedding"),
    index: z.int(),
    embedding: z.union([z.array(z.number()), z.string()]).openapi({ description: "One unit long" }),
  })),
  model: z.string(),
  usage: z.object({ prompt_tokens: z.int(), total_tokens: z.int() }),
}).openapi("Embeddings");
/** What is answered. */
export type EmbeddingsList = z.infer<typeof EmbeddingsList>;
