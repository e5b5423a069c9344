import type { FinishReason, Timings, Usage } from "../contracts/chat.ts";
import type { DomainError } from "../errors.ts";
import type { DrawnToken, SamplerOptions, TokenSampler } from "./batch_decoder.ts";
import type { Sequence } from "./sequence_store.ts";

/** What a job makes of its newest token; what is absent changes nothing. */
export interface TokenVerdict {
  /** The answer is complete. */
  ended?: boolean;
  /** Tokens that come next, instead of drawn ones. They are told to `onToken` like those. */
  inject?: readonly number[];
  /** A grammar for the tokens after this one, or none; see {@linkcode TokenSampler.setGrammar}. */
  grammar?: { gbnf: string | null; accepted: readonly number[] };
}

/** One answer to compute. The callbacks run inside the scheduler's loop and must neither throw nor wait. */
export interface Job {
  readonly owner: string;
  /** At least one token. */
  readonly promptTokens: readonly number[];
  readonly sampler: SamplerOptions;
  /** The grammar that holds from the first token on, or null. */
  readonly grammar: string | null;
  readonly completionTokensMax: number;
  onStart(start: { cachedTokens: number; queueMs: number }): void;
  /** Takes the next token of the answer. */
  onToken(drawn: DrawnToken): TokenVerdict;
  onDone(result: { finishReason: Exclude<FinishReason, "tool_calls">; usage: TokenCounts; timings: Timings }): void;
  onError(error: DomainError): void;
}

/** What a scheduler counts of an answer. */
export type TokenCounts = Omit<Usage, "reasoningTokens">;

/** Where a job stands. */
export type Phase = "queued" | "prefill" | "decode" | "ended";

/** A job on its way through the scheduler. */
export class Run {
  phase: Phase = "queued";
  sequence: Sequence | null = null;
  sampler: TokenSampler | null = null;
  cachedTokens = 0;
  completionTokens = 0;
  /** Drawn last and not decoded yet. */
  nextToken = 0;
  /** Tokens that come after the next one, instead of drawn ones. */
  injected: number[] = [];
  /** A grammar that has to be set before the next token is drawn. */
  grammar: NonNullable<TokenVerdict["grammar"]> | null = null;
  readonly submittedAt = performance.now();
  startedAt = 0;
  firstTokenAt = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(readonly job: Job) {
    if (job.grammar !== null) this.grammar = { gbnf: job.grammar, accepted: [] };
  }

  get owner(): string {
    return this.job.owner;
  }

  setDeadline(timeoutMs: number, onPassed: () => void): void {
    this.clearDeadline();
    this.#timer = setTimeout(onPassed, timeoutMs);
  }

  clearDeadline(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
