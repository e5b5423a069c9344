import type { DomainError } from "../../errors.ts";

/** What one drawn token adds to an answer. */
export interface AnswerPiece {
  /** May be empty, while a character is not whole yet. */
  text: string;
  /** A control token of the model, written out: `<|im_end|>`, `[TOOL_CALLS]`. */
  control: boolean;
}

/** What a reader finds in an answer. A call's arguments follow on it, and all of them before the next call. */
export type ReadEvent =
  | { type: "reasoning"; text: string }
  | { type: "text"; text: string }
  | { type: "tool_call"; index: number; id: string; name: string }
  | { type: "tool_arguments"; index: number; text: string };

/** What one piece led to. */
export interface ReadResult {
  events: ReadEvent[];
  /**
   * From here on this grammar holds (GBNF; its root says what may follow on the marker that was read), null lifts the
   * one that held; absent changes nothing. `written` is what this very piece already holds behind the marker: the
   * grammar has to be told of it first, and accepts it always.
   */
  grammar?: { gbnf: string; written: string } | null;
  /**
   * What the model has to write next, control tokens as text, e.g. `</think>` when the budget of thought is used up.
   * It is decoded and pushed like drawn tokens; a grammar that comes meanwhile is told of what follows on it.
   */
  inject?: string;
  /** The answer is complete here, e.g. after the one call that was allowed. */
  ended?: boolean;
}

/** How an answer ended, as its reader saw it. */
export interface ReadEnding {
  /** What was held back, until it was certain that no marker follows. */
  events: ReadEvent[];
  /** Complete calls; the answer's finish reason is `tool_calls` when there are any and the last was not cut. */
  calls: number;
  /** The answer is not what was asked for, though it was not cut: `answer_invalid`. */
  error: DomainError | null;
}

/**
 * Takes an answer token by token and tells thoughts, text and calls apart, whatever the model's family writes them like.
 * Which pieces the answer comes in makes no difference to the events' texts. It never throws.
 */
export interface AnswerReader {
  /** The grammar that holds from the first token on (GBNF), or null. */
  readonly grammar: string | null;
  /** True when markers may come: pieces have to show control tokens then. Otherwise they may be left out. */
  readonly readsControl: boolean;
  /** True while the model thinks. */
  readonly reasoning: boolean;
  /** Pieces that were pushed while it thought. */
  readonly reasoningTokens: number;
  push(piece: AnswerPiece): ReadResult;
  /**
   * Ends the answer. `cut` says that it did not end by itself but at a token limit or a stop text: a call that was being
   * written then does not count, and nothing is validated.
   */
  flush(ending: { cut: boolean }): ReadEnding;
}
