import { z } from "@hono/zod-openapi";
import type { DrawnToken, TokenLogprob } from "../../lib/contracts/chat.ts";

const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).openapi({ description: "UTF-8 of the token, which need not be whole characters" }),
});

/** The log-probabilities of a choice's content. */
export const Logprobs = z.object({
  content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })),
  refusal: z.null(),
}).openapi("ChatLogprobs");
/** The log-probabilities of a choice's content. */
export type Logprobs = z.infer<typeof Logprobs>;

/** What was drawn, in the shape of OpenAI's chat completions. */
export function toLogprobs(tokens: readonly DrawnToken[]): Logprobs {
  const content = tokens.map((token) => ({ ...toTokenLogprob(token), top_logprobs: token.top.map(toTokenLogprob) }));
  return { content, refusal: null };
}

function toTokenLogprob({ text, logprob, bytes }: TokenLogprob): z.infer<typeof tokenLogprob> {
  return { token: text, logprob, bytes };
}
