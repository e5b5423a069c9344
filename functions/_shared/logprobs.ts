import { z } from "@hono/zod-openapi";
import type { DrawnToken, TokenLogprob } from "../../lib/contracts/chat.ts";

const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int()).openapi({ description: "UTF-8 of the token, which need not be whole characters" }),
});

/** A token that was drawn, with its likeliest alternatives, as OpenAI and Ollama write it. */
export const DrawnLogprob = tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) });
/** A token that was drawn, with its likeliest alternatives. */
export type DrawnLogprob = z.infer<typeof DrawnLogprob>;

/** A token that was drawn in the shape of {@linkcode DrawnLogprob}. */
export function toDrawnLogprob(token: DrawnToken): DrawnLogprob {
  return { ...toTokenLogprob(token), top_logprobs: token.top.map(toTokenLogprob) };
}

function toTokenLogprob({ text, logprob, bytes }: TokenLogprob): z.infer<typeof tokenLogprob> {
  return { token: text, logprob, bytes };
}
