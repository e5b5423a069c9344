import type { BatchDecoder, Checkpoint, HeldState } from "./batch_decoder.ts";
import { commonPrefixLength } from "./sequence_store.ts";
import type { StateContent, StateFile, StateFiles } from "./state_files.ts";

/** A state in memory and its checkpoints. */
export interface HeldPlace {
  state: HeldState;
  checkpoints: readonly Checkpoint[];
}

/** A state on its way to a file. */
interface WritingPlace {
  /** Null when it did not get there. */
  written: Promise<StateFile | null>;
  checkpoints: readonly { length: number }[];
}

/** A disk that takes longer than this is slower than reading the prompt, and must not pass for a model that hangs. */
const READ_MS = 30_000;

const TOO_LATE: unique symbol = Symbol("too late");

/** A conversation that is kept beside the sequences: in memory, in a file, or between the two. */
export interface StoredState {
  /** Hash of the owner. */
  readonly owner: string;
  readonly tokens: readonly number[];
  place: HeldPlace | WritingPlace | { file: StateFile };
  /** Rises with each use. */
  lastUse: number;
  lastUsedMs: number;
}

/** Bounds of a {@linkcode StateStore}. */
export interface StateStoreOptions {
  decoder: BatchDecoder;
  /** Most bytes in memory, checkpoints of live sequences included. */
  memoryBytesMax: number;
  /** Null keeps nothing on disk. */
  files: StateFiles | null;
}

/**
 * Keeps the states of sequences that had to make room: in memory, and what has no place there in files. Of states that
 * one holds the beginning of another, only the longer is kept. Its methods call the decoder, and so belong into the
 * scheduler's loop; only the writing of files goes on beside it.
 */
export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #stored = new Set<StoredState>();
  /** What a prompt is being served from: it stays where it is meanwhile. */
  #pinned: StoredState | null = null;
  #memoryBytes = 0;
  #uses = 0;
  #writing: Promise<unknown> = Promise.resolve();
  #writingBytes = 0;

  constructor(options: StateStoreOptions) {
    this.#options = options;
  }

  /** Bytes that are held in memory, those that are being written included. */
  get memoryBytes(): number {
    return this.#memoryBytes + this.#writingBytes;
  }

  get keepsInMemory(): boolean {
    return this.#options.memoryBytesMax > 0;
  }

  /** Whether anything outlives the process. */
  get keepsOnDisk(): boolean {
    return this.#options.files !== null;
  }

  /** Takes up what an earlier process left. */
  async open(): Promise<void> {
    for (const file of await this.#options.files?.open() ?? []) {
      const { owner, tokens, lastUsedMs } = file;
      this.#stored.add({ owner, tokens, place: { file }, lastUse: ++this.#uses, lastUsedMs });
    }
  }

  /** What is kept of an owner, given as a hash. */
  find(owner: string): StoredState[] {
    return [...this.#stored].filter((stored) => stored.owner === owner);
  }

  /** Whether a state is kept that holds all of these tokens. */
  holds(owner: string, tokens: readonly number[]): boolean {
    return this.find(owner).some((stored) => commonPrefixLength(stored.tokens, tokens) === tokens.length);
  }

  /** What {@linkcode fetch} is going to be asked for: no other state takes its place until then. */
  pin(stored: StoredState | null): void {
    this.#pinned = stored;
  }

  /** Keeps a state and its checkpoints, which are the store's from now on. */
  async put(
    kept: HeldPlace & { owner: string; tokens: readonly number[]; lastUsedMs: number },
  ): Promise<StoredState> {
    const { owner, tokens, state, checkpoints, lastUsedMs } = kept;
    for (const stored of this.find(owner)) {
      if (stored === this.#pinned) continue;
      if (commonPrefixLength(stored.tokens, tokens) === stored.tokens.length) await this.#drop(stored);
    }
    const added = { owner, tokens, place: { state, checkpoints }, lastUse: ++this.#uses, lastUsedMs };
    this.#stored.add(added);
    this.#memoryBytes += bytesOf(kept);
    await this.#makeRoom(0);
    return added;
  }

  /** Counts a checkpoint of a live sequence; false when there is no room for it. */
  async reserve(bytes: number): Promise<boolean> {
    if (!await this.#makeRoom(bytes)) return false;
    this.#memoryBytes += bytes;
    return true;
  }

  /** A checkpoint is gone, or goes over to {@linkcode put}. */
  release(bytes: number): void {
    this.#memoryBytes -= bytes;
  }

  /** Brings a state into memory when it is on disk; null when its file is not whole. */
  async fetch(stored: StoredState): Promise<HeldPlace | null> {
    stored.lastUse = ++this.#uses;
    stored.lastUsedMs = Date.now();
    if ("state" in stored.place) return stored.place;
    const content = await orTooLate(this.#readFile(stored.place));
    if (content === TOO_LATE) return null;
    if (content === null) {
      this.#stored.delete(stored);
      return null;
    }
    // It goes on being counted as on disk: who fetched it takes what it needs and lets it go.
    return await this.#import(content);
  }

  async #readFile(place: Exclude<StoredState["place"], HeldPlace>): Promise<StateContent | null> {
    const file = "file" in place ? place.file : await place.written;
    return file === null ? null : await this.#options.files!.read(file);
  }

  /**
   * Done with what {@linkcode fetch} gave. What is in memory stays there, unless it was `used up`: then it goes, since the
   * sequence holds all of it. What came from disk goes, since it is still there. In both cases the caller is given the
   * checkpoints up to `length` that it may keep: they are counted like reserved ones, and its own from now on.
   */
  async settle(
    stored: StoredState,
    fetched: HeldPlace,
    { length, usedUp }: { length: number; usedUp: boolean },
  ): Promise<Checkpoint[]> {
    const isInMemory = stored.place === fetched;
    if (isInMemory && !usedUp) return [];
    if (isInMemory) {
      this.#stored.delete(stored);
      this.#memoryBytes -= bytesOf(fetched);
    }
    await this.#options.decoder.dropState(fetched.state.id);
    const given: Checkpoint[] = [];
    for (const checkpoint of fetched.checkpoints) {
      if (checkpoint.length <= length && await this.reserve(checkpoint.state.bytes)) given.push(checkpoint);
      else await this.#options.decoder.dropState(checkpoint.state.id);
    }
    return given;
  }

  /** A state that turned out to be of no use. */
  async drop(stored: StoredState): Promise<void> {
    if (this.#stored.has(stored)) await this.#drop(stored);
  }

  /** Erases everything of an owner, given as a hash. */
  async forget(owner: string): Promise<void> {
    try {
      for (const stored of this.find(owner)) await this.#drop(stored);
    } finally {
      // Files go even when the decoder is dead, and those too that are being written just now.
      await this.#writing;
      await this.#options.files?.forget(owner);
    }
  }

  /** Writes what is in memory to disk, as far as it may be kept there: everything, latest used first, unless told what. */
  async persist(
    wanted: readonly StoredState[] = this.#listHeld().reverse(),
    isInTheWay: () => boolean = () => false,
  ): Promise<void> {
    if (!this.keepsOnDisk) return;
    for (const stored of wanted) {
      if (isInTheWay()) break;
      // One after another: nothing is given up because the disk is slow.
      await this.#writing;
      if (this.#stored.has(stored)) await this.#spill(stored);
    }
    await this.#writing;
  }

  /** What is in memory, least lately used first. */
  #listHeld(): StoredState[] {
    return [...this.#stored].filter(({ place }) => "state" in place).sort((a, b) => a.lastUse - b.lastUse);
  }

  /** Frees memory, least lately used first; false when that does not make enough room. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const { memoryBytesMax } = this.#options;
    for (const stored of this.#listHeld()) {
      if (this.#memoryBytes + bytes <= memoryBytesMax) break;
      if (stored !== this.#pinned) await this.#spill(stored);
    }
    return this.#memoryBytes + bytes <= memoryBytesMax;
  }

  /** Moves a state from memory to disk. When the disk is slower than what comes, it is given up instead. */
  async #spill(stored: StoredState): Promise<void> {
    const { files, memoryBytesMax } = this.#options;
    const { place } = stored;
    if (!("state" in place)) return;
    const bytes = bytesOf(place);
    if (files === null || this.#writingBytes + bytes > Math.max(memoryBytesMax, bytes)) return await this.#drop(stored);
    const content = await this.#export(place);
    this.#memoryBytes -= bytes;
    this.#writingBytes += bytes;
    const written = this.#writing.then(() => this.#write(stored, { files, content })).finally(() => {
      this.#writingBytes -= bytes;
    });
    stored.place = { written, checkpoints: content.checkpoints.map(({ length }) => ({ length })) };
    this.#writing = written;
  }

  async #write(
    stored: StoredState,
    { files, content }: { files: StateFiles; content: StateContent },
  ): Promise<StateFile | null> {
    // Nobody wants it any more.
    if (!this.#stored.has(stored)) return null;
    const { owner, tokens, lastUsedMs } = stored;
    const file = await files.write({ owner, tokens, lastUsedMs, ...content }, (path) => this.#removePath(path))
      .catch(() => null);
    if (file === null) this.#stored.delete(stored);
    else if (this.#stored.has(stored)) stored.place = { file };
    else await files.remove(file);
    return file;
  }

  #removePath(path: string): void {
    for (const stored of this.#stored) {
      if ("file" in stored.place && stored.place.file.path === path) this.#stored.delete(stored);
    }
  }

  async #drop(stored: StoredState): Promise<void> {
    this.#stored.delete(stored);
    const { place } = stored;
    if ("file" in place) return await this.#options.files?.remove(place.file);
    // What is being written removes itself.
    if (!("state" in place)) return;
    this.#memoryBytes -= bytesOf(place);
    await this.#dropHeld(place);
  }

  async #dropHeld({ state, checkpoints }: HeldPlace): Promise<void> {
    for (const { id } of [state, ...checkpoints.map(({ state }) => state)]) await this.#options.decoder.dropState(id);
  }

  async #export({ state, checkpoints }: HeldPlace): Promise<StateContent> {
    const { decoder } = this.#options;
    const content: StateContent = { state: await decoder.exportState(state.id), checkpoints: [] };
    for (const { length, state } of checkpoints) {
      content.checkpoints.push({ length, state: await decoder.exportState(state.id) });
    }
    return content;
  }

  async #import(content: StateContent): Promise<HeldPlace> {
    const { decoder } = this.#options;
    const checkpoints: Checkpoint[] = [];
    for (const { length, state } of content.checkpoints) {
      checkpoints.push({ length, state: await decoder.importState(state) });
    }
    return { state: await decoder.importState(content.state), checkpoints };
  }
}

function bytesOf({ state, checkpoints }: HeldPlace): number {
  return checkpoints.reduce((sum, { state }) => sum + state.bytes, state.bytes);
}

async function orTooLate<Result>(reading: Promise<Result>): Promise<Result | typeof TOO_LATE> {
  const late = Promise.withResolvers<typeof TOO_LATE>();
  const timer = setTimeout(() => late.resolve(TOO_LATE), READ_MS);
  try {
    return await Promise.race([reading, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
