import { z } from "@hono/zod-openapi";
import type { Sampling } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";

/** Most answers to one prompt. */
const CHOICES_MAX = 8;
const STOPS_MAX = 16;
const STOP_CHARACTERS_MAX = 256;

/** A whole number of any size: JSON has no others than these, and clients draw seeds of 64 bits. */
const wholeNumber = z.number().refine(Number.isInteger, { error: "expected a whole number" });

/** Fields of a request that OpenAI's and Ollama's APIs have in common. Null counts as absent everywhere. */
export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish().openapi({
    description: "0 always takes the likeliest token; default 0.8",
  }),
  top_p: z.number().min(0).max(1).nullish().openapi({ description: "Default 0.95; 1 keeps all tokens" }),
  top_k: z.int().min(-1).nullish().openapi({ description: "Default 40; 0 and -1 keep all tokens" }),
  min_p: z.number().min(0).max(1).nullish().openapi({ description: "Default 0.05; 0 keeps all tokens" }),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repeat_penalty: z.number().positive().max(10).nullish().openapi({ description: "Default 1, which is off" }),
  seed: wholeNumber.nullish().openapi({ description: "Any whole number; of large ones the lowest 32 bits count" }),
  stop: z.union([z.string(), z.array(z.string())], { error: "expected a text or an array of texts" }).nullish()
    .openapi({ description: `At most ${STOPS_MAX} texts of at most ${STOP_CHARACTERS_MAX} characters` }),
};

/** `n` of OpenAI's completions. */
export const choicesField = z.int().min(1).max(CHOICES_MAX).nullish().openapi({
  description: `How many answers; at most ${CHOICES_MAX}. With a seed each has the next one`,
});

/** `logit_bias` of OpenAI's completions. */
export const logitBiasField = z.record(
  z.string().regex(/^\d{1,7}$/, { error: "expected the id of a token" }),
  z.number().min(-100).max(100),
).nullish().openapi({
  description:
    "Added to the logits of tokens of the model's own vocabulary (`/v1/tokenize` tells them), by their ids; " +
    "-100 forbids one",
});

/** What descriptions of the API say about probabilities. */
export const LOGPROBS_DESCRIPTION = "They are those that the token was drawn by: at temperature 0 the model's own, " +
  "above it what all samplers leave, so that a token they rule out has none";

type SamplingFields = { [Name in keyof typeof samplingFields]?: z.infer<(typeof samplingFields)[Name]> };

/** Translates a request's sampling fields for the engine. */
export function toSampling(fields: SamplingFields): z.input<typeof Sampling> {
  return {
    temperature: fields.temperature ?? null,
    topP: fields.top_p ?? null,
    topK: fields.top_k === -1 ? 0 : fields.top_k ?? null,
    minP: fields.min_p ?? null,
    presencePenalty: fields.presence_penalty ?? null,
    frequencyPenalty: fields.frequency_penalty ?? null,
    repeatPenalty: fields.repeat_penalty ?? null,
    seed: fields.seed === undefined || fields.seed === null ? null : Number(BigInt.asUintN(32, BigInt(fields.seed))),
  };
}

/**
 * A request's stop texts as a list; empty ones stop nothing and are left out.
 *
 * @throws {DomainError} `invalid_request` that names `param` when there are too many or too long ones.
 */
export function toStops(stop: SamplingFields["stop"], param: string): string[] {
  const stops = [stop ?? []].flat().filter((text) => text !== "");
  if (stops.length > STOPS_MAX || stops.some(({ length }) => length > STOP_CHARACTERS_MAX)) {
    const message =
      `Invalid value of "${param}": at most ${STOPS_MAX} texts of at most ${STOP_CHARACTERS_MAX} characters`;
    throw new DomainError("invalid_request", message, { param });
  }
  return stops;
}

/** Makes the error for something that a client asked for and this version does not do. */
export function notServedError(param: string, message: string): DomainError {
  return new DomainError("invalid_request", message, { param });
}
