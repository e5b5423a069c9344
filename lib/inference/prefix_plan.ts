/** Something that holds a conversation whose beginning a prompt may share. */
export interface PrefixSource {
  /** A sequence that nobody uses, one that is in use, a state in memory, a state on disk. */
  kind: "free" | "busy" | "memory" | "disk";
  /** Tokens of the prompt that it can give. */
  prefixTokens: number;
  /** Tokens that it holds. */
  heldTokens: number;
}

/** How long things take here, in milliseconds, as they were measured. */
export interface PrefixCosts {
  /** To read one token of a prompt. */
  prefillMsPerToken: number;
  /** To copy the state of one token from or to memory. */
  copyMsPerToken: number;
  /** To read the state of one token from disk. */
  diskMsPerToken: number;
}

/** Fewer tokens than this are read again before anything is copied for them. */
const TOKENS_WORTH_COPYING = 64;

/**
 * Chooses where a prompt's beginning comes from: the source with which the first token is there soonest, or null when
 * reading the prompt from its first token is as fast. A free sequence is used where it is; what it loses by that is
 * copied to memory before, unless it is little.
 */
export function choosePrefix<Source extends PrefixSource>(
  sources: readonly Source[],
  costs: PrefixCosts,
): Source | null {
  let best: { source: Source; savedMs: number } | null = null;
  for (const source of sources) {
    const { prefixTokens } = source;
    if (prefixTokens === 0 || (prefixTokens < TOKENS_WORTH_COPYING && !isCheap(source))) continue;
    const savedMs = prefixTokens * costs.prefillMsPerToken - fetchMs(source, costs);
    if (savedMs > 0 && (best === null || savedMs > best.savedMs)) best = { source, savedMs };
  }
  return best?.source ?? null;
}

/** A free sequence that the prompt goes on with, or nearly so: nothing has to be copied. */
function isCheap({ kind, prefixTokens, heldTokens }: PrefixSource): boolean {
  return kind === "free" && heldTokens - prefixTokens < TOKENS_WORTH_COPYING;
}

function fetchMs(source: PrefixSource, costs: PrefixCosts): number {
  const { kind, heldTokens } = source;
  if (isCheap(source)) return 0;
  // A sequence in use is copied out and in again.
  if (kind === "busy") return 2 * heldTokens * costs.copyMsPerToken;
  return heldTokens * (costs.copyMsPerToken + (kind === "disk" ? costs.diskMsPerToken : 0));
}
