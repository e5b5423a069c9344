import { z } from "@hono/zod-openapi";
import type { DrawnToken } from "../../lib/contracts/chat.ts";
import { DrawnLogprob, toDrawnLogprob } from "../_shared/logprobs.ts";

/** The log-probabilities of a choice's content. */
export const Logprobs = z.object({
  content: z.array(DrawnLogprob),
  refusal: z.null(),
}).openapi("ChatLogprobs");
/** The log-probabilities of a choice's content. */
export type Logprobs = z.infer<typeof Logprobs>;

/** What was drawn, in the shape of OpenAI's chat completions. */
export function toLogprobs(tokens: readonly DrawnToken[]): Logprobs {
  return { content: tokens.map(toDrawnLogprob), refusal: null };
}
