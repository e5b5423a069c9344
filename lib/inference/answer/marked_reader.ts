import type { AnswerGrammars } from "./answer_grammar.ts";
import type { AnswerLog } from "./answer_log.ts";
import type { AnswerPiece, AnswerReader, ReadEnding, ReadResult } from "./answer_reader.ts";
import { lengthOfBeginning } from "./argument_reader.ts";
import { type CallableTools, CallScanner } from "./call_scanner.ts";
import type { AnswerStart, CallFormat } from "./families.ts";

/** What a reader is made from. */
export interface ReaderParts {
  start: AnswerStart;
  /** The formats in which calls are looked for; none when nothing can be called. */
  formats: readonly CallFormat[];
  tools: CallableTools;
  callsMax: number;
  grammars: AnswerGrammars;
  log: AnswerLog;
  /** Pieces of thought after which it is ended; null means as many as it takes. */
  thoughtTokensMax: number | null;
}

/** The call that is being read, and what stood before it: white space and its marker. */
interface OpenCall {
  format: CallFormat;
  scanner: CallScanner;
  before: string;
}

/** What a model is made to say when it has thought as long as it may. */
export const LAST_THOUGHT = "\n\nI have thought long enough and answer now.\n";

/** Reads answers in which thoughts and calls stand between markers, as all families but gpt-oss's write them. */
export class MarkedReader implements AnswerReader {
  readonly grammar: string | null;
  readonly readsControl: boolean;
  reasoningTokens = 0;
  #place: "start" | "thought" | "text" | "call" | "list" | "end";
  /** Text that was not told yet: it may be the beginning of a marker, or white space before one. */
  #held = "";
  /** White space is passed over until something else comes. */
  #trims: boolean;
  #mayThink: boolean;
  #isThoughtEnded = false;
  #call: OpenCall | null = null;
  /** The grammar that this piece led to, and whether one was told of before. */
  #grammar: ReadResult["grammar"];
  #isConstrained: boolean;

  constructor(private readonly parts: ReaderParts) {
    const { start, formats, grammars } = parts;
    this.grammar = grammars.first();
    this.#isConstrained = this.grammar !== null;
    this.readsControl = formats.length > 0 || start.thoughts !== null;
    this.#mayThink = start.thoughts !== null && (start.thought === "free" || start.thought === "unlikely");
    this.#trims = grammars.isForced || (start.thoughts !== null && !this.#mayThink);
    this.#place = start.thought === "open" && start.thoughts !== null ? "thought" : "start";
  }

  get reasoning(): boolean {
    return this.#place === "thought";
  }

  push({ text, control }: AnswerPiece): ReadResult {
    if (this.reasoning) this.reasoningTokens++;
    this.#grammar = undefined;
    if (!control || this.#isMarker(text)) this.#held += text;
    while (this.#advance());
    const inject = this.#endThought();
    return {
      events: this.parts.log.take(),
      ...(this.#grammar === undefined ? {} : { grammar: this.#grammar }),
      ...(inject === null ? {} : { inject }),
      ...(this.#place === "end" ? { ended: true } : {}),
    };
  }

  flush(ending: { cut: boolean }): ReadEnding {
    const { log } = this.parts;
    if (this.#place === "thought") log.reasoning(this.#held);
    else if (this.#call !== null) this.#endCall(this.#call, ending);
    else if (!this.#isNothing(ending)) log.text(this.#held);
    this.#held = "";
    return log.end(ending);
  }

  /** What is held is no text: white space that is passed over, or where only calls may stand, part of a marker. */
  #isNothing({ cut }: { cut: boolean }): boolean {
    const { grammars, log } = this.parts;
    if (this.#place === "end" || (this.#trims && this.#held.trim() === "")) return true;
    return cut && this.#isConstrained && (grammars.isCallForced || log.calls > 0);
  }

  /** Where a call was cut behind its marker, that marker is no text for anybody's eyes. */
  #endCall({ format, scanner, before }: OpenCall, { cut }: { cut: boolean }): void {
    if (scanner.isWhole) this.parts.log.endCall();
    else if (!scanner.isCall && !(cut && format.marker !== "")) this.parts.log.text(before + scanner.seen);
  }

  /** Control tokens that open or close nothing are no part of an answer. */
  #isMarker(control: string): boolean {
    if (this.#place === "call") return true;
    const { formats, start: { thoughts } } = this.parts;
    const markers = [...formats.flatMap(({ marker, end }) => [marker, end]), thoughts?.open, thoughts?.close];
    return markers.some((marker) => marker !== undefined && marker !== "" && marker.includes(control));
  }

  /** Goes on with what is held. Returns false when more has to come first. */
  #advance(): boolean {
    if (this.#held === "" || this.#place === "end") return false;
    if (this.#trims) {
      this.#held = this.#held.trimStart();
      if (this.#held === "") return false;
    }
    if (this.#place === "start") return this.#readStart();
    if (this.#place === "thought") return this.#readThought();
    if (this.#place === "text") return this.#readText();
    return this.#place === "list" ? this.#readList() : this.#readCall();
  }

  #readStart(): boolean {
    const { start: { thoughts }, formats } = this.parts;
    const bare = formats.find(({ marker }) => marker === "");
    const body = this.#held.trimStart();
    if (body === "" && (this.#mayThink || bare !== undefined)) return false;
    if (this.#mayThink && thoughts !== null) {
      if (body.startsWith(thoughts.open)) {
        this.#mayThink = false;
        this.#become("thought", body.slice(thoughts.open.length));
        if (this.#isConstrained) this.#setGrammar(null);
        return true;
      }
      if (thoughts.open.startsWith(body)) return false;
    }
    this.#mayThink = false;
    if (bare === undefined) {
      this.#trims = false;
      this.#place = "text";
    } else this.#beginCall(bare, { before: this.#held.slice(0, -body.length), rest: body, isFirst: true });
    return true;
  }

  #readThought(): boolean {
    this.#trims = false;
    const { start: { thoughts }, grammars, log } = this.parts;
    const close = thoughts!.close;
    const at = this.#held.indexOf(close);
    if (at < 0) {
      log.reasoning(this.#release(lengthOfBeginning(this.#held, close)));
      return false;
    }
    log.reasoning(this.#held.slice(0, at).trimEnd());
    this.#become("start", this.#held.slice(at + close.length));
    if (grammars.isForced) this.#setGrammar({ gbnf: grammars.afterThoughts(), written: this.#held.trimStart() });
    return true;
  }

  #readText(): boolean {
    this.#trims = false;
    const { formats, log } = this.parts;
    const marked = formats.filter(({ marker }) => marker !== "");
    const found =
      marked.map((format) => ({ format, at: this.#held.indexOf(format.marker) })).filter(({ at }) => at >= 0)
        .sort((a, b) => a.at - b.at)[0];
    if (found === undefined) {
      if (formats.length === 0) log.text(this.#releaseAll());
      else log.text(this.#release(Math.max(0, ...marked.map(({ marker }) => lengthOfBeginning(this.#held, marker)))));
      return false;
    }
    const { format, at } = found;
    const text = this.#held.slice(0, at).trimEnd();
    log.text(text);
    const before = this.#held.slice(text.length, at + format.marker.length);
    const rest = this.#held.slice(at + format.marker.length);
    this.#beginCall(format, { before, rest, isFirst: true });
    if (!this.#isConstrained) {
      this.#setGrammar({ gbnf: this.parts.grammars.afterMarker(format), written: rest.trimStart() });
    }
    return true;
  }

  #readCall(): boolean {
    const { format, scanner, before } = this.#call!;
    const held = this.#releaseAll();
    const rest = held.slice(scanner.push(held));
    if (scanner.state === "rejected") {
      // It was text after all.
      this.#call = null;
      if (this.#grammar !== undefined) this.#setGrammar(undefined);
      else if (this.#isConstrained && !this.parts.grammars.isForced) this.#setGrammar(null);
      this.parts.log.text(before);
      this.#trims = false;
      this.#place = "text";
      this.#held = scanner.seen + rest;
      return true;
    }
    if (format.marker === "" && scanner.nameEnd !== null && !this.#isConstrained) {
      const written = scanner.seen.slice(scanner.nameEnd) + rest;
      this.#setGrammar({ gbnf: this.parts.grammars.afterName(format, scanner.name!), written });
    }
    if (scanner.state === "open") return false;
    if (scanner.state === "done") this.parts.log.endCall();
    this.#call = null;
    const isLast = this.parts.log.calls >= this.parts.callsMax || format.separator === null;
    if (scanner.state === "done" && isLast) this.#become("end", "");
    else this.#become(format.end === "" ? "text" : "list", rest);
    return true;
  }

  /** Between the calls of a list, or behind the last. */
  #readList(): boolean {
    const format = this.parts.formats.find(({ end }) => end !== "")!;
    const separator = format.separator!.trim();
    if (this.#held.startsWith(separator)) {
      this.#beginCall(format, { before: separator, rest: this.#held.slice(separator.length), isFirst: false });
    } else this.#become("text", this.#held.startsWith(format.end) ? this.#held.slice(format.end.length) : this.#held);
    return true;
  }

  #beginCall(format: CallFormat, call: { before: string; rest: string; isFirst: boolean }): void {
    const { tools, log } = this.parts;
    const scanner = new CallScanner(format, { tools, listener: log, isFirst: call.isFirst });
    this.#call = { format, scanner, before: call.before };
    this.#place = "call";
    this.#trims = false;
    this.#held = call.rest;
  }

  /** Goes on somewhere else, and passes over the white space between. */
  #become(place: "start" | "thought" | "text" | "list" | "end", held: string): void {
    this.#place = place;
    this.#held = held;
    this.#trims = true;
  }

  #setGrammar(grammar: ReadResult["grammar"]): void {
    this.#grammar = grammar;
    this.#isConstrained = grammar !== undefined && grammar !== null;
  }

  /** Takes out what is held but for its last `length` characters and the white space before them. */
  #release(length: number): string {
    const text = this.#held.slice(0, this.#held.length - length).trimEnd();
    this.#held = this.#held.slice(text.length);
    return text;
  }

  #releaseAll(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** What ends a thought that has become too long, unless the model is just ending it. */
  #endThought(): string | null {
    const { start: { thoughts }, thoughtTokensMax } = this.parts;
    if (thoughts === null || thoughtTokensMax === null || this.#isThoughtEnded || !this.reasoning) return null;
    if (this.reasoningTokens < thoughtTokensMax || lengthOfBeginning(this.#held, thoughts.close) > 0) return null;
    this.#isThoughtEnded = true;
    return LAST_THOUGHT + thoughts.close;
  }
}
