import type { ChatEvent, DrawnToken as ToldToken, FinishReason, TokenLogprob } from "../contracts/chat.ts";
import type { DomainError } from "../errors.ts";
import { literal } from "../schema/grammar.ts";
import type { AnswerReader, ReadEvent } from "./answer/answer_reader.ts";
import type { DrawnToken, TokenOdds } from "./batch_decoder.ts";
import type { TokenVerdict } from "./job.ts";
import { StopMatcher } from "./stop_matcher.ts";
import { TextAssembler } from "./text_assembler.ts";
import { findSpelling } from "./token_spelling.ts";

/** What an assembler needs of a vocabulary. */
export interface TokenTexts {
  detokenize(tokens: readonly number[], before: readonly number[]): string;
  /** How a control token is written, or null for any other token. */
  spellControl(token: number): string | null;
  /** Tokens of a text that may hold control tokens written out. */
  encodeSpecial(text: string): number[];
}

/** What an answer is assembled with. */
export interface AnswerAssemblerOptions {
  reader: AnswerReader;
  texts: TokenTexts;
  stop: readonly string[];
  /** Whether texts are told with their tokens. */
  logprobs: boolean;
  emit(event: ChatEvent): void;
}

/** How an answer ended. */
export interface AssembledEnding {
  finishReason: FinishReason;
  reasoningTokens: number;
  /** The answer is not what was asked for. */
  error: DomainError | null;
}

/** Turns drawn tokens into the events of an answer: characters are made whole, calls are read, stop texts are found. */
export class AnswerAssembler {
  readonly #options: AnswerAssemblerOptions;
  readonly #characters: TextAssembler;
  readonly #stops: StopMatcher;
  readonly #decoder = new TextDecoder();
  /** Drawn for text that was not told yet; perhaps for something else. */
  #tokens: ToldToken[] = [];
  #stopped = false;
  #hasCalled = false;

  constructor(options: AnswerAssemblerOptions) {
    const { texts, stop } = options;
    this.#options = options;
    this.#characters = new TextAssembler((tokens, before) => texts.detokenize(tokens, before));
    this.#stops = new StopMatcher(stop);
  }

  /** Takes the next token of the answer. */
  push(drawn: DrawnToken): TokenVerdict {
    const { reader, texts, logprobs } = this.#options;
    const control = reader.readsControl ? texts.spellControl(drawn.token) : null;
    const text = control ?? this.#characters.push(drawn.token);
    // Neither what is thought, its markers included, nor what was injected has odds that anybody is told.
    if (logprobs && !reader.reasoning && drawn.bytes.length > 0) this.#tokens.push(this.#describe(drawn));
    const { events, grammar, inject, ended = false } = reader.push({ text, control: control !== null });
    for (const event of events) this.#tell(event);
    if (reader.reasoning) this.#tokens = [];
    return {
      ended: ended || this.#stopped,
      ...(inject === undefined ? {} : { inject: texts.encodeSpecial(inject) }),
      ...(grammar === undefined ? {} : { grammar: toSamplerGrammar(grammar, { token: drawn.token, text }) }),
    };
  }

  /** Ends the answer, `cut` at a token limit. */
  finish({ cut }: { cut: boolean }): AssembledEnding {
    const { reader } = this.#options;
    const rest = this.#characters.flush();
    if (rest !== "" && !this.#stopped) {
      for (const event of reader.push({ text: rest, control: false }).events) this.#tell(event);
    }
    const stoppedEarly = this.#stopped;
    const { events, calls, error } = reader.flush({ cut: cut || stoppedEarly });
    if (!stoppedEarly) { for (const event of events) this.#tell(event); }
    if (!this.#stopped) this.#emitText(this.#stops.flush());
    const { reasoningTokens } = reader;
    if (cut && !this.#stopped) return { finishReason: "length", reasoningTokens, error: null };
    const finishReason = calls > 0 && this.#hasCalled ? "tool_calls" : "stop";
    // What a stop text ended need not be whole.
    return { finishReason, reasoningTokens, error: this.#stopped ? null : error };
  }

  #tell(event: ReadEvent): void {
    if (this.#stopped) return;
    if (event.type === "text") {
      const { text, stopped } = this.#stops.push(event.text);
      this.#emitText(text);
      this.#stopped = stopped;
      return;
    }
    // What is no text ends it: nothing of a stop text can follow.
    if (event.type === "tool_call") {
      this.#emitText(this.#stops.flush());
      this.#hasCalled = true;
    }
    this.#tokens = [];
    this.#options.emit(event);
  }

  #emitText(text: string): void {
    const { emit, logprobs } = this.#options;
    if (text === "") return;
    if (!logprobs) return emit({ type: "text", text });
    const { tokens, rest } = findSpelling(this.#tokens, text);
    this.#tokens = rest;
    emit({ type: "text", text, tokens });
  }

  #describe({ top, ...drawn }: DrawnToken): ToldToken {
    return { ...this.#name(drawn), top: top.map((odds) => this.#name(odds)) };
  }

  #name({ bytes, logprob }: TokenOdds): TokenLogprob {
    return { text: this.#decoder.decode(Uint8Array.from(bytes)), bytes, logprob };
  }
}

/**
 * A grammar that begins behind a marker has to be told of what the marker's own token holds behind it. It is told of the
 * whole token, and so begins with what that holds of the marker.
 */
function toSamplerGrammar(
  grammar: { gbnf: string; written: string } | null,
  last: { token: number; text: string },
): NonNullable<TokenVerdict["grammar"]> {
  if (grammar === null) return { gbnf: null, accepted: [] };
  const { gbnf, written } = grammar;
  if (written === "") return { gbnf, accepted: [] };
  const before = last.text.slice(0, last.text.length - written.length);
  const rest = gbnf.replace(/^root ::=/m, "behind-marker ::=");
  return { gbnf: `root ::= ${literal(before)} behind-marker\n${rest}`, accepted: [last.token] };
}
