import type { ErrorCode, ErrorReport } from "../../contracts/error.ts";
import type { BatchEntry, DrawnToken, HeldState, SamplerOptions, SaveOptions } from "../batch_decoder.ts";
import type { BatchSpeed } from "../calibrate.ts";

/** What is loaded: a model and one context of it. */
export interface LoadOptions {
  /** Path of llama.cpp's library. */
  libraryPath: string;
  modelPath: string;
  /** Layers that go to the GPU. */
  gpuLayers: number;
  /** Tokens of each sequence. */
  contextTokens: number;
  sequences: number;
  batchTokensMax: number;
  /** A shared byte that ends loading once it is not 0. */
  stop: SharedArrayBuffer;
}

/** An entry whose sampler is the number of one that was created. */
export interface NativeEntry extends Omit<BatchEntry, "sampler"> {
  readonly sampler: number | null;
}

/** Everything that the thread with the model does, by name: what it takes and what it answers. */
export interface NativeCalls {
  /** Says whether layers of the model forget. */
  load(options: LoadOptions): { forgets: boolean };
  createSampler(options: SamplerOptions & { sampler: number }): void;
  disposeSampler(options: { sampler: number }): void;
  /**
   * Lets a grammar hold for a sampler, or none. `accepted` are tokens that it is told of first; false says that it does
   * not take them, and then none holds.
   */
  setGrammar(options: { sampler: number; gbnf: string | null; accepted: readonly number[] }): boolean;
  /** This and the rest is as in {@linkcode BatchDecoder}. */
  decode(options: { entries: readonly NativeEntry[]; threads: number }): (DrawnToken | ErrorReport)[];
  cut(options: { sequence: number; length: number }): boolean;
  saveState(options: SaveOptions & { sequence: number }): HeldState | null;
  loadState(options: { sequence: number; state: number; partialLength: number | null }): boolean;
  dropState(options: { state: number }): void;
  exportState(options: { state: number }): Uint8Array<ArrayBuffer>;
  importState(options: { bytes: Uint8Array<ArrayBuffer> }): HeldState;
  /** How fast batches of so many tokens go, drawing included; spoils all sequences. */
  measure(options: { batchTokens: number; threads: number; token: number }): BatchSpeed;
  unload(): void;
}

/** A call on its way to the thread. */
export type NativeRequest = {
  [Name in keyof NativeCalls]: { id: number; name: Name; options: Parameters<NativeCalls[Name]>[0] };
}[keyof NativeCalls];

/** What comes back: a result, or what was thrown, with its code when it was a {@linkcode DomainError}. */
export type NativeResponse = { id: number; result: unknown } | { id: number; error: string; code: ErrorCode | null };
