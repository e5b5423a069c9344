import type { Sampling } from "../contracts/chat.ts";

/** A token and the natural logarithm of its probability among all tokens, before any sampler changed it. */
export interface TokenOdds {
  token: number;
  /** 0 when nobody asked for it. */
  logprob: number;
  /** UTF-8 of the token; empty when nobody asked for it. */
  bytes: number[];
}

/** A drawn token; the likeliest ones at its place, in falling order, when its sampler tells them. */
export interface DrawnToken extends TokenOdds {
  top: TokenOdds[];
}

/** How tokens are drawn for one request. */
export interface SamplerOptions {
  sampling: Sampling;
  /** How many of the likeliest tokens are told beside the drawn one; null tells no odds at all. */
  logprobs: number | null;
}

/** Draws tokens for one request; holds native memory until it is disposed of. */
export interface TokenSampler {
  /**
   * Lets a grammar hold from the next token on, or none. `accepted` are tokens that it is told of first; false says that
   * it does not take them, and then none holds.
   *
   * @param gbnf In llama.cpp's notation, beginning with the rule `root`.
   * @throws {Error} when it is no grammar.
   */
  setGrammar(gbnf: string | null, accepted: readonly number[]): Promise<boolean>;
  dispose(): void;
}

/** A piece of one sequence to decode; with a sampler, the token that follows it is drawn. */
export interface BatchEntry {
  readonly sequence: number;
  /** Place of the first token in its sequence. */
  readonly position: number;
  readonly tokens: readonly number[];
  readonly sampler: TokenSampler | null;
}

/** A state that the decoder holds beside its sequences, in memory. */
export interface HeldState {
  /** The decoder's number for it. */
  id: number;
  bytes: number;
}

/** The state of what a sequence would forget, at an earlier length of it. */
export interface Checkpoint {
  /** Tokens before it. */
  length: number;
  state: HeldState;
}

/** What of a sequence is saved. */
export interface SaveOptions {
  partial: boolean;
  bytesMax: number;
}

/** What the scheduler asks of a loaded model. Calls never overlap: the scheduler awaits each before the next. */
export interface BatchDecoder {
  /** Sequences that can be decoded side by side. */
  readonly sequences: number;
  /**
   * Whether some layers keep less than the whole sequence: a sliding window, or a recurrent state. Such a sequence can
   * be cut only near its end, or back to a checkpoint.
   */
  readonly forgets: boolean;
  createSampler(options: SamplerOptions): TokenSampler;
  /** Forgets all but the first `length` tokens of a sequence; false when it cannot, and then nothing has changed. */
  cut(sequence: number, length: number): Promise<boolean>;
  /**
   * Decodes all entries in one batch; returns what was drawn for each entry that has a sampler, in their order: a token,
   * or an error that concerns this entry alone.
   *
   * @throws {Error} when the batch could not be decoded; nobody knows what its sequences hold then.
   */
  decode(entries: readonly BatchEntry[]): Promise<(DrawnToken | Error)[]>;
  /** True for tokens that end an answer. */
  isEndToken(token: number): boolean;
  /**
   * Holds a copy of what a sequence holds, or with `partial` only of what its windows and recurrent layers do; null when
   * that is more than `bytesMax`.
   */
  saveState(sequence: number, options: SaveOptions): Promise<HeldState | null>;
  /**
   * Puts a held state into a sequence, in the place of what it holds. A partial one takes the sequence back to the first
   * `length` tokens, at which it was saved. False when the model does not take it: the sequence is empty then.
   */
  loadState(sequence: number, options: { state: number; partialLength: number | null }): Promise<boolean>;
  dropState(state: number): Promise<void>;
  /** Gives a held state away, to be kept elsewhere. */
  exportState(state: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Takes a state that was given away; `bytes` are moved and gone. */
  importState(bytes: Uint8Array<ArrayBuffer>): Promise<HeldState>;
}
