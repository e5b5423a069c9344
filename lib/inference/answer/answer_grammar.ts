import type { AnswerFormat } from "../../contracts/chat.ts";
import { GrammarBuilder, literal } from "../../schema/grammar.ts";
import { CallGrammar, type PlacedTool } from "./call_grammar.ts";
import { type AnswerStart, type CallFormat, HARMONY_CALL, HARMONY_FINAL } from "./families.ts";

/** What the grammars of an answer are made for. */
export interface GrammarDemands {
  /** Tools that may be called. */
  tools: readonly PlacedTool[];
  /** A call must be made. */
  isCallForced: boolean;
  callsMax: number;
  format: AnswerFormat;
  start: AnswerStart;
}

/** The grammars of one kind of answer, each written when it is first needed. */
export class AnswerGrammars {
  /** The answer has a form from its first token on, or from the end of its thoughts. */
  readonly isForced: boolean;
  /** It is calls and nothing else. */
  readonly isCallForced: boolean;
  readonly #builder = new GrammarBuilder();
  readonly #calls: CallGrammar | null;
  readonly #body: string;
  readonly #texts = new Map<string, string>();

  /** @throws {DomainError} `invalid_request` for a schema that cannot be held to; it names the field. */
  constructor(private readonly demands: GrammarDemands) {
    const { tools, isCallForced, callsMax, format, start } = demands;
    this.#calls = tools.length === 0 ? null : new CallGrammar(this.#builder, tools, callsMax);
    // What cannot be written as a grammar is refused now, and not when a call has begun.
    const called = this.#calls === null ? null : this.#forceCall(this.#calls);
    const json = isCallForced ? null : this.#forceFormat();
    this.isCallForced = isCallForced;
    this.isForced = isCallForced || format.type !== "text";
    const lead = start.calls.id === "harmony" ? "" : "[ \\t\\r\\n]{0,2} ";
    this.#body = lead + (called !== null && json !== null ? `(${called} | ${json})` : called ?? json ?? "");
  }

  /** The grammar that holds from the first token on, or null. */
  first(): string | null {
    const { thoughts, thought } = this.demands.start;
    if (!this.isForced || thought === "open") return null;
    if (thoughts === null || thought !== "free") return this.#text("first", () => this.#body);
    // A thought that begins is lifted out of the grammar; what it would be is not worth a sampler's time.
    return this.#text("first", () => `[ \\t\\r\\n]{0,2} ${literal(thoughts.open)} [^\\x00]* | ${this.#body}`);
  }

  /** The grammar that holds behind the thoughts of an answer that has a form. */
  afterThoughts(): string {
    const isHarmony = this.demands.start.calls.id === "harmony";
    return this.#text("thoughts", () => isHarmony ? `${literal("<|start|>assistant")} (${this.#body})` : this.#body);
  }

  /** The grammar that holds behind a format's marker. */
  afterMarker(format: CallFormat): string {
    const follow = (calls: CallGrammar) =>
      format.id === "harmony" ? calls.followHead(format) : calls.followMarker(format);
    return this.#text(`marker-${format.id}`, () => follow(this.#calls!));
  }

  /** The grammar that holds behind the name of a tool. */
  afterName(format: CallFormat, name: string): string {
    return this.#text(`name-${format.id}-${name}`, () => this.#calls!.followName(format, name));
  }

  #forceCall(calls: CallGrammar): string {
    const { calls: format } = this.demands.start;
    if (format.id === "harmony") return `${literal(HARMONY_CALL)} ${calls.followHead(format)}`;
    return `${format.marker === "" ? "" : `${literal(format.marker)} `}${calls.followMarker(format)}`;
  }

  #forceFormat(): string | null {
    const { format, start } = this.demands;
    if (format.type === "text") return null;
    const { schema, strict } = format.type === "json" ? { schema: { type: "object" }, strict: false } : format;
    const json = this.#builder.addSchema(schema, { strict, param: "response_format.json_schema.schema" });
    return start.calls.id === "harmony" ? `${literal(HARMONY_FINAL)} ${json}` : json;
  }

  #text(key: string, write: () => string): string {
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = this.#builder.toGbnf(write());
      this.#texts.set(key, text);
    }
    return text;
  }
}
