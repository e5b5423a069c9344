import type { BatchDecoder, HeldState } from "./batch_decoder.ts";
import { commonPrefixLength } from "./sequence_store.ts";
import type { StateFile, StateFiles } from "./state_files.ts";

/** The state of what a sequence would forget, at an earlier length of it. */
export interface Checkpoint {
  /** Tokens before it. */
  length: number;
  state: HeldState;
}

/** A conversation that is kept beside the sequences: in memory, or in a file. */
export interface StoredState {
  /** Hash of the owner. */
  readonly owner: string;
  readonly tokens: readonly number[];
  readonly bytes: number;
  place: { state: HeldState; checkpoints: Checkpoint[] } | { file: StateFile };
  /** Rises with each use. */
  lastUse: number;
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
 * one holds the beginning of another, only the longer is kept. All methods but {@linkcode write} belong into the
 * scheduler's loop, since they call the decoder.
 */
export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #stored = new Set<StoredState>();
  #memoryBytes = 0;
  #uses = 0;
  #writing: Promise<void> = Promise.resolve();
  #writingBytes = 0;

  constructor(options: StateStoreOptions) {
    this.#options = options;
  }

  /** Bytes that are held in memory, those that are being written included. */
  get memoryBytes(): number {
    return this.#memoryBytes + this.#writingBytes;
  }

  /** Takes up what an earlier process left. */
  async open(): Promise<void> {
    const files = await this.#options.files?.open() ?? [];
    for (const file of files.sort((a, b) => a.lastUsedMs - b.lastUsedMs)) this.#addFile(file);
  }

  /** What is kept of an owner, given as a hash. */
  find(owner: string): StoredState[] {
    return [...this.#stored].filter((stored) => stored.owner === owner);
  }

  /** Whether a state is kept that holds all of these tokens. */
  holds(owner: string, tokens: readonly number[]): boolean {
    return this.find(owner).some((stored) => commonPrefixLength(stored.tokens, tokens) === tokens.length);
  }

  /** Keeps a state and its checkpoints, which are the store's from now on. */
  async put(kept: { owner: string; tokens: number[]; state: HeldState; checkpoints: Checkpoint[] }): Promise<void> {
    const { owner, tokens, state, checkpoints } = kept;
    for (const stored of this.find(owner)) {
      if (commonPrefixLength(stored.tokens, tokens) === stored.tokens.length) await this.#drop(stored);
    }
    const bytes = checkpoints.reduce((sum, { state }) => sum + state.bytes, state.bytes);
    this.#stored.add({ owner, tokens, bytes, place: { state, checkpoints }, lastUse: ++this.#uses });
    this.#memoryBytes += bytes;
    await this.#makeRoom(0);
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
  async fetch(stored: StoredState): Promise<{ state: HeldState; checkpoints: Checkpoint[] } | null> {
    stored.lastUse = ++this.#uses;
    if (!("file" in stored.place)) return stored.place;
    const { decoder, files } = this.#options;
    const { file } = stored.place;
    const content = await files!.read(file);
    if (content === null) {
      this.#stored.delete(stored);
      return null;
    }
    // It goes on being counted as on disk: who fetched it takes what it needs and lets it go.
    const checkpoints: Checkpoint[] = [];
    for (const { length, state } of content.checkpoints) {
      checkpoints.push({ length, state: await decoder.importState(state) });
    }
    return { state: await decoder.importState(content.state), checkpoints };
  }

  /** Lets go what {@linkcode fetch} brought from disk; what is kept in memory stays. */
  async settle(stored: StoredState, fetched: { state: HeldState; checkpoints: Checkpoint[] }): Promise<void> {
    if (stored.place !== fetched) await this.#dropHeld(fetched);
  }

  /** Erases everything of an owner, given as a hash. */
  async forget(owner: string): Promise<void> {
    for (const stored of this.find(owner)) await this.#drop(stored);
    await this.#writing;
    // What was being written meanwhile has become a file.
    for (const stored of this.find(owner)) await this.#drop(stored);
    await this.#options.files?.forget(owner);
  }

  /** Writes everything that is in memory to disk, latest used first, as far as it may be kept there. */
  async persist(): Promise<void> {
    const inMemory = [...this.#stored].filter(({ place }) => !("file" in place)).sort((a, b) => b.lastUse - a.lastUse);
    for (const stored of inMemory) await this.#spill(stored);
    await this.#writing;
  }

  /** Frees memory, least lately used first; false when that does not make enough room. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const { memoryBytesMax } = this.#options;
    const inMemory = [...this.#stored].filter(({ place }) => !("file" in place)).sort((a, b) => a.lastUse - b.lastUse);
    for (const stored of inMemory) {
      if (this.#memoryBytes + bytes <= memoryBytesMax) break;
      await this.#spill(stored);
    }
    return this.#memoryBytes + bytes <= memoryBytesMax;
  }

  /** Moves a state from memory to disk. When the disk is slower than what comes, it is given up instead. */
  async #spill(stored: StoredState): Promise<void> {
    const { decoder, files, memoryBytesMax } = this.#options;
    if ("file" in stored.place) return;
    const { state, checkpoints } = stored.place;
    if (files === null || this.#writingBytes + stored.bytes > Math.max(memoryBytesMax, stored.bytes)) {
      return await this.#drop(stored);
    }
    this.#stored.delete(stored);
    this.#memoryBytes -= stored.bytes;
    const content = {
      state: await decoder.exportState(state.id),
      checkpoints: [] as { length: number; state: Uint8Array<ArrayBuffer> }[],
    };
    for (const { length, state } of checkpoints) {
      content.checkpoints.push({ length, state: await decoder.exportState(state.id) });
    }
    this.#writingBytes += stored.bytes;
    this.#writing = this.#writing.then(async () => {
      const { owner, tokens } = stored;
      const file = await files.write({ owner, tokens, ...content }, (gone) => this.#removeFile(gone)).catch(() => null);
      this.#writingBytes -= stored.bytes;
      if (file !== null) this.#addFile(file, stored.lastUse);
    });
  }

  #addFile(file: StateFile, lastUse = ++this.#uses): void {
    this.#stored.add({ owner: file.owner, tokens: file.tokens, bytes: file.sizeBytes, place: { file }, lastUse });
  }

  #removeFile(file: StateFile): void {
    for (const stored of this.#stored) {
      if ("file" in stored.place && stored.place.file === file) this.#stored.delete(stored);
    }
  }

  async #drop(stored: StoredState): Promise<void> {
    this.#stored.delete(stored);
    if ("file" in stored.place) return await this.#options.files?.remove(stored.place.file);
    this.#memoryBytes -= stored.bytes;
    await this.#dropHeld(stored.place);
  }

  async #dropHeld({ state, checkpoints }: { state: HeldState; checkpoints: Checkpoint[] }): Promise<void> {
    for (const { id } of [state, ...checkpoints.map(({ state }) => state)]) await this.#options.decoder.dropState(id);
  }
}
