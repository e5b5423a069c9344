/** How hard a client asks a model to think, in the words of OpenAI's `reasoning_effort` and Ollama's `think`. */
export type ReasoningEffort = "low" | "medium" | "high";

/**
 * Tokens of thought that an effort allows. Models know no efforts of their own here, so that it is a budget: a few
 * paragraphs, some pages, or as many as it takes.
 */
export const REASONING_TOKENS_MAX: Record<ReasoningEffort, number | null> = { low: 1_024, medium: 4_096, high: null };
