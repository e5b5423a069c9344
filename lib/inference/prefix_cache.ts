import { measureFreeMemory } from "../free_memory.ts";
import type { BatchDecoder, Checkpoint, HeldState } from "./batch_decoder.ts";
import { choosePrefix, type PrefixCosts, type PrefixSource } from "./prefix_plan.ts";
import { commonPrefixLength, type Sequence, SequenceStore } from "./sequence_store.ts";
import { hashOwner, type StateFiles } from "./state_files.ts";
import { type HeldPlace, StateStore, type StoredState } from "./state_store.ts";

/** Bounds of a {@linkcode PrefixCache}. */
export interface PrefixCacheOptions {
  /** Most bytes of states in memory, beside the sequences. */
  memoryBytesMax: number;
  /** Null keeps nothing on disk. */
  files: StateFiles | null;
  /** Memory that is free on this machine; tests say how much. */
  measureFreeBytes?: () => number;
}

/** Conversations shorter than this are read again before they are kept. */
const TOKENS_WORTH_KEEPING = 64;
/** Checkpoints of one sequence; with one more, the one that is closest to its neighbour goes. */
const CHECKPOINTS_MAX = 8;
/** Tokens between the checkpoints of a long prompt. */
const CHECKPOINT_DISTANCE_TOKENS = 1_024;

/** What is believed before anything was measured: a small model on a slow machine. */
const FIRST_COSTS: PrefixCosts = { prefillMsPerToken: 2, copyMsPerToken: 0.02, diskMsPerToken: 0.1 };
/** Weight of the newest measurement in the average. */
const NEWEST_SHARE = 0.3;

/** Where the beginning of a prompt can be had. */
type Source = PrefixSource & ({ sequence: Sequence } | { stored: StoredState });

/**
 * Gives each prompt a sequence that holds as much of its beginning as is worth having: the sequence of its own
 * conversation, a copy of one that another answer is using, or a state that had to make room before. What a sequence held
 * is kept before it is overwritten, so that sibling branches do not push each other out. Nothing is ever shared between
 * owners. Its methods belong into the scheduler's loop.
 */
export class PrefixCache {
  readonly #decoder: BatchDecoder;
  readonly #sequences: SequenceStore;
  readonly #store: StateStore;
  readonly #measureFreeBytes: () => number;
  #costs: PrefixCosts = FIRST_COSTS;

  constructor(
    decoder: BatchDecoder,
    { memoryBytesMax, files, measureFreeBytes = measureFreeMemory }: PrefixCacheOptions,
  ) {
    this.#decoder = decoder;
    this.#measureFreeBytes = measureFreeBytes;
    this.#sequences = new SequenceStore(decoder.sequences);
    this.#store = new StateStore({ decoder, memoryBytesMax, files });
  }

  /** Sequences that requests write to. */
  get busy(): number {
    return this.#sequences.busy;
  }

  /** Bytes of states in memory, beside the sequences: those that are kept, and checkpoints. */
  get memoryBytes(): number {
    return this.#store.memoryBytes;
  }

  /** Takes up what was kept on disk. */
  async open(): Promise<void> {
    await this.#store.open();
  }

  /**
   * Takes a sequence for a prompt; its `tokens` are the beginning of the prompt that needs not be read again, never all
   * of it: only decoding the last token yields the odds of the next one. Null when all sequences are busy.
   *
   * @throws {Error} when the decoder fails.
   */
  async take(owner: string, prompt: readonly number[]): Promise<Sequence | null> {
    const source = choosePrefix(this.#findSources(owner, prompt), this.#costs);
    const inPlace = source !== null && source.kind === "free" && "sequence" in source;
    const sequence = inPlace ? source.sequence : this.#sequences.findSpare();
    if (sequence === null) return null;
    this.#sequences.take(sequence);
    this.#store.pin(source !== null && "stored" in source ? source.stored : null);
    try {
      await this.#keepBefore(sequence, inPlace ? source.prefixTokens : 0);
      if (!inPlace) await this.#empty(sequence);
      if (source !== null && !inPlace) await this.#fill(sequence, { owner, prompt, source });
      await this.#cut(sequence, sharedLength(sequence.tokens, prompt));
      sequence.owner = owner;
      return sequence;
    } catch (error) {
      await this.spoil(sequence);
      this.release(sequence);
      throw error;
    } finally {
      this.#store.pin(null);
    }
  }

  /** The request has left. */
  release(sequence: Sequence): void {
    this.#sequences.release(sequence);
  }

  /** Nobody knows what a sequence holds any more. */
  async spoil(sequence: Sequence): Promise<void> {
    await this.#empty(sequence).catch(() => {});
  }

  /**
   * Told before the first and after each batch that reads a part of a prompt. Where a sequence forgets, it is marked at
   * distances and right before the prompt's last chunk, so that its answer can be had again, or another question be asked
   * there.
   */
  async notePrefill(
    sequence: Sequence,
    { tokensLeft, chunkTokens }: { tokensLeft: number; chunkTokens: number },
  ): Promise<void> {
    if (!this.#decoder.forgets || !this.#store.keepsInMemory || tokensLeft === 0) return;
    const since = sequence.tokens.length - (sequence.checkpoints.at(-1)?.length ?? 0);
    if (since < CHECKPOINT_DISTANCE_TOKENS && (tokensLeft > chunkTokens || since < TOKENS_WORTH_KEEPING)) return;
    const state = await this.#save(sequence, { partial: true });
    if (state === null) return;
    if (!await this.#store.reserve(state.bytes)) return await this.#decoder.dropState(state.id);
    sequence.checkpoints.push({ length: sequence.tokens.length, state });
    if (sequence.checkpoints.length > CHECKPOINTS_MAX) {
      await this.#dropCheckpoint(sequence, findClosest(sequence.checkpoints));
    }
  }

  /** Told how long a batch of prompt tokens took. */
  measurePrefill(tookMs: number, tokens: number): void {
    this.#learn("prefillMsPerToken", tookMs / tokens);
  }

  /** Erases what is kept of an owner. Sequences that requests of this owner still write to are none of it. */
  async forget(owner: string): Promise<void> {
    try {
      for (const sequence of this.#sequences.sequences) {
        if (sequence.owner === owner && !sequence.busy) await this.#empty(sequence);
      }
    } finally {
      await this.#store.forget(hashOwner(owner));
    }
  }

  /** Keeps everything on disk, for the next start, what was used last first: there may not be time for all. */
  async persist(isInTheWay: () => boolean = () => false): Promise<void> {
    if (!this.#store.keepsOnDisk) return;
    for (const sequence of this.#sequences.sequences.toSorted((a, b) => b.lastUse - a.lastUse)) {
      if (isInTheWay()) return;
      const kept = sequence.busy ? null : await this.#keepBefore(sequence, 0);
      if (kept !== null) await this.#store.persist([kept]);
    }
    if (!isInTheWay()) await this.#store.persist(undefined, isInTheWay);
  }

  #findSources(owner: string, prompt: readonly number[]): Source[] {
    const sources: Source[] = [];
    const add = (tokens: readonly number[], checkpoints: readonly { length: number }[], rest: Place) => {
      const prefixTokens = this.#usablePrefix(tokens, prompt, checkpoints);
      sources.push({ ...rest, prefixTokens, heldTokens: tokens.length });
    };
    for (const sequence of this.#sequences.sequences) {
      if (sequence.owner !== owner) continue;
      add(sequence.tokens, sequence.checkpoints, { kind: sequence.busy ? "busy" : "free", sequence });
    }
    for (const stored of this.#store.find(hashOwner(owner))) {
      const { place } = stored;
      const { checkpoints } = "file" in place ? place.file : place;
      add(stored.tokens, checkpoints, { kind: "state" in place ? "memory" : "disk", stored });
    }
    return sources;
  }

  /** How much of a prompt something gives: all that it shares, or where it forgets, up to a checkpoint. */
  #usablePrefix(
    tokens: readonly number[],
    prompt: readonly number[],
    checkpoints: readonly { length: number }[],
  ): number {
    const shared = sharedLength(tokens, prompt);
    if (!this.#decoder.forgets || shared === tokens.length) return shared;
    return checkpoints.findLast(({ length }) => length <= shared)?.length ?? 0;
  }

  /** Keeps what a sequence holds before all but its first `tokensLeft` tokens are overwritten; null when that is nothing new. */
  async #keepBefore(sequence: Sequence, tokensLeft: number): Promise<StoredState | null> {
    const { owner, tokens, lastUsedMs } = sequence;
    if (owner === null || tokens.length - tokensLeft < TOKENS_WORTH_KEEPING) return null;
    if (!this.#store.keepsInMemory && !this.#store.keepsOnDisk) return null;
    const hash = hashOwner(owner);
    if (this.#store.holds(hash, tokens)) return null;
    const startedAt = performance.now();
    const state = await this.#save(sequence, { partial: false });
    if (state === null) return null;
    this.#learn("copyMsPerToken", (performance.now() - startedAt) / tokens.length);
    // Checkpoints go along when nothing of them is needed here.
    const checkpoints = tokensLeft === 0 ? sequence.checkpoints.splice(0) : [];
    for (const checkpoint of checkpoints) this.#store.release(checkpoint.state.bytes);
    return await this.#store.put({ owner: hash, tokens: [...tokens], state, checkpoints, lastUsedMs });
  }

  /** Null when there is no room for a copy: what cannot be kept is read again, and nobody's answer fails for it. */
  async #save({ index }: Sequence, { partial }: { partial: boolean }): Promise<HeldState | null> {
    // Also what goes to disk is in memory first, beside everything else.
    const options = { partial, bytesMax: this.#measureFreeBytes() / 2 };
    return await this.#decoder.saveState(index, options).catch(() => null);
  }

  /** Puts a copy of what a source holds into a sequence. */
  async #fill(sequence: Sequence, { owner, prompt, source }: Filling): Promise<void> {
    if ("sequence" in source) {
      const { tokens, checkpoints } = source.sequence;
      const state = await this.#save(source.sequence, { partial: false });
      if (state === null) return;
      await this.#load(sequence, { owner, prompt, tokens, held: { state, checkpoints } });
      return await this.#decoder.dropState(state.id);
    }
    const { stored } = source;
    const startedAt = performance.now();
    const held = await this.#store.fetch(stored);
    if (held === null) return;
    if (source.kind === "disk") this.#learn("diskMsPerToken", (performance.now() - startedAt) / stored.tokens.length);
    const taken = await this.#load(sequence, { owner, prompt, tokens: stored.tokens, held });
    const { length } = sequence.tokens;
    sequence.checkpoints = await this.#store.settle(stored, held, { length, usedUp: length === stored.tokens.length });
    if (!taken) await this.#store.drop(stored);
  }

  /** False when the model does not take the state, and then the sequence is empty. */
  async #load(sequence: Sequence, { owner, prompt, tokens, held }: Loading): Promise<boolean> {
    const { id } = held.state;
    if (!await this.#decoder.loadState(sequence.index, { state: id, partialLength: null })) return false;
    sequence.owner = owner;
    sequence.tokens = [...tokens];
    await this.#shorten(sequence, sharedLength(tokens, prompt), held.checkpoints);
    return true;
  }

  async #cut(sequence: Sequence, length: number): Promise<void> {
    await this.#shorten(sequence, length, sequence.checkpoints);
    while ((sequence.checkpoints.at(-1)?.length ?? 0) > sequence.tokens.length) {
      await this.#dropCheckpoint(sequence, sequence.checkpoints.length - 1);
    }
  }

  /** Cuts a sequence to its first `length` tokens, or where it has forgotten too much, to a checkpoint before. */
  async #shorten(sequence: Sequence, length: number, checkpoints: readonly Checkpoint[]): Promise<void> {
    if (length === sequence.tokens.length && length > 0) return;
    if (await this.#decoder.cut(sequence.index, length)) {
      sequence.tokens.length = length;
      return;
    }
    const checkpoint = checkpoints.findLast((checkpoint) => checkpoint.length <= length);
    if (checkpoint === undefined) return await this.#empty(sequence);
    const options = { state: checkpoint.state.id, partialLength: checkpoint.length };
    const taken = await this.#decoder.loadState(sequence.index, options);
    sequence.tokens.length = taken ? checkpoint.length : 0;
  }

  async #empty(sequence: Sequence): Promise<void> {
    sequence.tokens.length = 0;
    sequence.owner = null;
    while (sequence.checkpoints.length > 0) await this.#dropCheckpoint(sequence, 0);
    await this.#decoder.cut(sequence.index, 0);
  }

  async #dropCheckpoint(sequence: Sequence, index: number): Promise<void> {
    const [dropped] = sequence.checkpoints.splice(index, 1);
    if (dropped === undefined) return;
    this.#store.release(dropped.state.bytes);
    await this.#decoder.dropState(dropped.state.id);
  }

  #learn(cost: keyof PrefixCosts, ms: number): void {
    this.#costs = { ...this.#costs, [cost]: this.#costs[cost] * (1 - NEWEST_SHARE) + ms * NEWEST_SHARE };
  }
}

type Place = { kind: "free" | "busy"; sequence: Sequence } | { kind: "memory" | "disk"; stored: StoredState };

interface Filling {
  owner: string;
  prompt: readonly number[];
  source: Source;
}

interface Loading {
  owner: string;
  prompt: readonly number[];
  tokens: readonly number[];
  held: HeldPlace;
}

/** How much of a prompt a sequence can give: never all, since its last token has to be decoded. */
function sharedLength(tokens: readonly number[], prompt: readonly number[]): number {
  return Math.min(commonPrefixLength(tokens, prompt), prompt.length - 1);
}

/** The checkpoint that is closest to the one before it, and so missed least. */
function findClosest(checkpoints: readonly Checkpoint[]): number {
  let closest = 0;
  let distance = Infinity;
  for (const [i, { length }] of checkpoints.slice(0, -1).entries()) {
    const apart = length - (checkpoints[i - 1]?.length ?? 0);
    if (apart < distance) [closest, distance] = [i, apart];
  }
  return closest;
}
