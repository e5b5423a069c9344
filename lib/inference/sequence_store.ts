/** One sequence of a context: the tokens whose key-value state it holds, and whose they are. */
export interface Sequence {
  readonly index: number;
  /** Null while nothing is held. */
  owner: string | null;
  /** Tokens that were decoded into the sequence, in order. */
  tokens: number[];
  /** True while a request writes to it. */
  busy: boolean;
  /** Rises with each use; the smallest was left alone for longest. */
  lastUse: number;
}

/** Length of the longest common beginning of two token lists. */
export function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** Knows what each sequence of a context holds, and gives a request the one that saves most and destroys least. */
export class SequenceStore {
  readonly #sequences: Sequence[];
  #uses = 0;

  constructor(count: number) {
    this.#sequences = Array.from({ length: count }, (_, index) => ({
      index,
      owner: null,
      tokens: [],
      busy: false,
      lastUse: 0,
    }));
  }

  get busy(): number {
    return this.#sequences.filter((sequence) => sequence.busy).length;
  }

  /**
   * Takes a free sequence for a prompt, or returns null when all are busy. `prefix` is how many of the prompt's tokens
   * it already holds: 0 unless it is the same owner's. First choice is a sequence that the prompt mostly continues,
   * then an empty one, then the one that was left alone for longest: a branch of a conversation does not overwrite its
   * sibling while there is room.
   */
  take(owner: string, prompt: readonly number[]): { sequence: Sequence; prefix: number } | null {
    let best: { sequence: Sequence; prefix: number; rank: number } | null = null;
    for (const sequence of this.#sequences) {
      if (sequence.busy) continue;
      const prefix = sequence.owner === owner ? commonPrefixLength(sequence.tokens, prompt) : 0;
      const rank = this.#rank(sequence, prefix);
      if (best === null || rank > best.rank) best = { sequence, prefix, rank };
    }
    if (best === null) return null;
    best.sequence.busy = true;
    best.sequence.lastUse = ++this.#uses;
    return { sequence: best.sequence, prefix: best.prefix };
  }

  /** The request has left; what the sequence holds stays until somebody needs the room. */
  release(sequence: Sequence): void {
    sequence.busy = false;
    sequence.lastUse = ++this.#uses;
  }

  #rank(sequence: Sequence, prefix: number): number {
    if (prefix > 0 && prefix * 2 >= sequence.tokens.length) return 1 + prefix;
    if (sequence.tokens.length === 0) return 1;
    return -sequence.lastUse;
  }
}
