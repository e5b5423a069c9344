import type { Reasoning } from "../../lib/contracts/chat.ts";

/** How hard a client asks a model to think, in the words of OpenAI's `reasoning_effort` and Ollama's `think`. */
export type ReasoningEffort = "minimal" | "low" | "medium" | "high" | "xhigh";

/**
 * Tokens of thought that an effort allows. Models know no efforts of their own here, so that it is a budget: a paragraph,
 * a few of them, some pages, or as many as it takes.
 */
const REASONING_TOKENS_MAX: Record<ReasoningEffort, number | null> = {
  minimal: 256,
  low: 1_024,
  medium: 4_096,
  high: null,
  xhigh: null,
};

/** The efforts of OpenAI's API, `none` included. */
export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;

/** What descriptions of the API say about them. */
export const EFFORTS_DESCRIPTION = "How much a model that reasons may think: `none` not at all, " +
  `\`minimal\` ${REASONING_TOKENS_MAX.minimal} tokens, \`low\` ${REASONING_TOKENS_MAX.low}, ` +
  `\`medium\` ${REASONING_TOKENS_MAX.medium}, \`high\` and \`xhigh\` as many as it takes. Other models pass over it.`;

/** Translates an effort for the engine; without one the model's template decides. */
export function toReasoning(effort: (typeof EFFORTS)[number] | null | undefined): Reasoning {
  if (effort === null || effort === undefined) return { enabled: null, tokensMax: null };
  if (effort === "none") return { enabled: false, tokensMax: null };
  return { enabled: true, tokensMax: REASONING_TOKENS_MAX[effort] };
}
