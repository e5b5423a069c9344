import { z } from "@hono/zod-openapi";
import type { DrawnToken } from "../../lib/contracts/chat.ts";

/** Log-probabilities in the shape that completions had before there were chats. */
export const Logprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())).nullable().openapi({
    description: "The likeliest tokens at each place and the one that was drawn; null when `logprobs` is 0",
  }),
  text_offset: z.array(z.int()).openapi({ description: "Where each token begins in the text, in UTF-16 units" }),
}).openapi("CompletionLogprobs");
/** Log-probabilities in the older shape. */
export type Logprobs = z.infer<typeof Logprobs>;

/** What was drawn for a text that begins at `offset` of its choice. */
export function toLogprobs(
  drawn: readonly DrawnToken[],
  { offset, alternatives }: { offset: number; alternatives: number },
): Logprobs {
  let at = offset;
  return {
    tokens: drawn.map(({ text }) => text),
    token_logprobs: drawn.map(({ logprob }) => logprob),
    top_logprobs: alternatives === 0 ? null : drawn.map((token) => {
      return Object.fromEntries([...token.top, token].map(({ text, logprob }) => [text, logprob]));
    }),
    text_offset: drawn.map(({ text }) => {
      const start = at;
      at += text.length;
      return start;
    }),
  };
}
