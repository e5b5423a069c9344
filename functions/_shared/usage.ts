import { z } from "@hono/zod-openapi";
import type { Usage } from "../../lib/contracts/chat.ts";

/** How OpenAI's completions count tokens. */
export const CompletionUsage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({
    cached_tokens: z.int().openapi({ description: "Of the prompt, not computed again" }),
  }),
  completion_tokens_details: z.object({
    reasoning_tokens: z.int().openapi({ description: "Of the completion, thoughts" }),
  }),
}).openapi("CompletionUsage");
/** How OpenAI's completions count tokens. */
export type CompletionUsage = z.infer<typeof CompletionUsage>;

/**
 * Adds up the answers of one request, of which every `perPrompt` in a row are answers to one prompt: that counts once.
 */
export function toCompletionUsage(usages: readonly Usage[], { perPrompt }: { perPrompt: number }): CompletionUsage {
  const firsts = usages.filter((_, index) => index % perPrompt === 0);
  const promptTokens = sum(firsts.map((usage) => usage.promptTokens));
  const completionTokens = sum(usages.map((usage) => usage.completionTokens));
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: sum(firsts.map((usage) => usage.cachedTokens)) },
    completion_tokens_details: { reasoning_tokens: sum(usages.map((usage) => usage.reasoningTokens)) },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
