import { DomainError } from "../errors.ts";

/** Most context that is served when nobody asked for a number: what Copilot's agent mode wants, at a bearable price. */
const CONTEXT_TOKENS_DEFAULT_MAX = 32_768;
const SEQUENCES_DEFAULT = 4;
const CONTEXT_TOKENS_MIN = 2_048;
/** llama.cpp takes memory in steps of so many tokens, so that a length chosen here is a multiple of it. */
const CONTEXT_TOKENS_STEP = 256;

/** How much is kept per conversation, and how many run at once. */
export interface ContextPlan {
  contextTokens: number;
  sequences: number;
}

/** What {@linkcode planContext} weighs. */
export interface ContextPlanInput {
  modelId: string;
  contextTokensTrained: number;
  /** What the operator asked for, or null. */
  contextTokens: number | null;
  sequences: number | null;
  /** Memory that can be used for weights and contexts together. */
  memoryBytes: number;
  /** Memory that the weights take. */
  weightsBytes: number;
  /** Memory that so many contexts of such a length take. */
  estimateBytes: (plan: ContextPlan) => Promise<number>;
}

/**
 * Chooses context length and number of sequences so that they fit into memory. What the operator asked for is kept or
 * refused, never shortened in silence; of what is left open, sequences are given up before context.
 *
 * @throws {DomainError} `not_enough_memory` with both numbers; `invalid_config` when more context is asked for than the
 *   model was trained for.
 */
export async function planContext(input: ContextPlanInput): Promise<ContextPlan> {
  const { modelId, contextTokensTrained, contextTokens } = input;
  if (contextTokens !== null && contextTokens > contextTokensTrained) {
    throw new DomainError(
      "invalid_config",
      `ROOKERY_CONTEXT is ${contextTokens}, but "${modelId}" was trained for ${contextTokensTrained} tokens at most`,
    );
  }
  let neededBytes = Infinity;
  for (const plan of candidates(input)) {
    neededBytes = input.weightsBytes + await input.estimateBytes(plan);
    if (neededBytes <= input.memoryBytes) return plan;
  }
  throw new DomainError(
    "not_enough_memory",
    `Cannot load model "${modelId}": it needs ${gigabytes(neededBytes)} and ` +
      `${
        gigabytes(input.memoryBytes)
      } can be used; close other programs or raise ROOKERY_MEMORY, take a smaller model, ` +
      "or lower ROOKERY_CONTEXT and ROOKERY_SEQUENCES",
    { details: { neededBytes, availableBytes: input.memoryBytes } },
  );
}

function candidates(input: ContextPlanInput): ContextPlan[] {
  const { contextTokensTrained } = input;
  const most = input.contextTokens ?? roundDown(Math.min(contextTokensTrained, CONTEXT_TOKENS_DEFAULT_MAX));
  const sequences = input.sequences === null ? [SEQUENCES_DEFAULT, 2, 1] : [input.sequences];
  const plans = sequences.map((sequences) => ({ contextTokens: most, sequences }));
  if (input.contextTokens !== null) return plans;
  const fewest = Math.min(...sequences);
  for (let contextTokens = roundDown(most * 3 / 4); contextTokens >= CONTEXT_TOKENS_MIN;) {
    plans.push({ contextTokens, sequences: fewest });
    contextTokens = roundDown(contextTokens * 3 / 4);
  }
  return plans;
}

/** The multiple of the step below `tokens`; a model that was trained for less than one step keeps what it has. */
function roundDown(tokens: number): number {
  return tokens < CONTEXT_TOKENS_STEP ? tokens : tokens - tokens % CONTEXT_TOKENS_STEP;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
