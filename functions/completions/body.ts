import { z } from "@hono/zod-openapi";
import { choicesField, logitBiasField, LOGPROBS_DESCRIPTION, samplingFields } from "../_shared/fields.ts";

/** Most prompts of one request. */
export const PROMPTS_MAX = 32;

const tokens = z.array(z.int().min(0));

const fields = {
  prompt: z.union([z.string(), z.array(z.string()).min(1), tokens.min(1), z.array(tokens).min(1)], {
    error: "expected a text or an array of texts",
  }).openapi({
    description: `A text, or at most ${PROMPTS_MAX} of them, continued as they are, without the model's template`,
    example: "The raven is",
  }),
  suffix: z.string().nullish().openapi({
    description: "What follows on the gap that the model fills in; models that cannot do that refuse it",
  }),
  ...samplingFields,
  logit_bias: logitBiasField,
  max_tokens: z.int().min(1).nullish().openapi({
    description: "Default: as many as the context leaves, and not 16 as OpenAI has it",
  }),
  n: choicesField,
  best_of: z.int().min(1).nullish().openapi({ description: "1, or the same as `n`: no answer is thrown away" }),
  echo: z.boolean().nullish().openapi({ description: "Begins each answer with its prompt" }),
  logprobs: z.int().min(0).max(20).nullish().openapi({
    description: `Tells the log-probability of each token, and of so many of the likeliest at its place. ` +
      LOGPROBS_DESCRIPTION,
  }),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
};

/** The body of `POST /v1/completions`. Unknown parameters are accepted, null counts as absent. */
export const CompletionBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  ...fields,
}).openapi("CompletionRequest");
/** The body of a request. */
export type CompletionBody = z.infer<typeof CompletionBody>;

/** The same where the path names the model. */
export const EngineCompletionBody = z.looseObject({ model: z.string().nullish(), ...fields })
  .openapi("EngineCompletionRequest");
