import type { Checkpoint } from "./batch_decoder.ts";

/** One sequence of a context: the tokens whose key-value state it holds, and whose they are. */
export interface Sequence {
  readonly index: number;
  /** Null while nothing is held. */
  owner: string | null;
  /** Tokens that were decoded into the sequence, in order. */
  tokens: number[];
  /** Where a sequence that forgets can be cut back to, in rising order. */
  checkpoints: Checkpoint[];
  /** True while a request writes to it. */
  busy: boolean;
  /** Rises with each use; the smallest was left alone for longest. */
  lastUse: number;
  lastUsedMs: number;
}

/** Length of the longest common beginning of two token lists. */
export function commonPrefixLength(a: readonly number[], b: readonly number[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** Knows what each sequence of a context holds and who uses it. */
export class SequenceStore {
  readonly sequences: readonly Sequence[];
  #uses = 0;

  constructor(count: number) {
    this.sequences = Array.from({ length: count }, (_, index) => ({
      index,
      owner: null,
      tokens: [],
      checkpoints: [],
      busy: false,
      lastUse: 0,
      lastUsedMs: 0,
    }));
  }

  get busy(): number {
    return this.sequences.filter((sequence) => sequence.busy).length;
  }

  /** The free sequence that is missed least: an empty one, or the one that was left alone for longest; null when all are busy. */
  findSpare(): Sequence | null {
    let spare: Sequence | null = null;
    for (const sequence of this.sequences) {
      if (sequence.busy) continue;
      if (sequence.tokens.length === 0) return sequence;
      if (spare === null || sequence.lastUse < spare.lastUse) spare = sequence;
    }
    return spare;
  }

  /** A request writes to it from now on. */
  take(sequence: Sequence): void {
    sequence.busy = true;
    this.#touch(sequence);
  }

  /** The request has left; what the sequence holds stays until somebody needs the room. */
  release(sequence: Sequence): void {
    sequence.busy = false;
    this.#touch(sequence);
  }

  #touch(sequence: Sequence): void {
    sequence.lastUse = ++this.#uses;
    sequence.lastUsedMs = Date.now();
  }
}
