import type { AnswerPiece, AnswerReader, ReadEnding, ReadResult } from "./answer_reader.ts";
import { JsonArgumentReader, lengthOfBeginning } from "./argument_reader.ts";
import { LAST_THOUGHT, type ReaderParts } from "./marked_reader.ts";

const MESSAGE = "<|message|>";
const ENDS = ["<|end|>", "<|return|>", "<|call|>", "<|start|>"];
const RECIPIENT = "to=functions.";

/**
 * Reads answers in gpt-oss's response format: messages, each with a header that names its channel (`analysis` for
 * thoughts, `final` and `commentary` for text) and, of a call, the function that it goes to. Follows OpenAI's "Harmony
 * response format".
 */
export class HarmonyReader implements AnswerReader {
  readonly grammar: string | null;
  readonly readsControl = true;
  reasoningTokens = 0;
  #place: "header" | "thought" | "text" | "call" | "end" = "header";
  /** The header so far, or of a message what may be its end. */
  #held = "";
  #arguments: JsonArgumentReader | null = null;
  #hasText = false;
  #isThoughtEnded = false;
  #grammar: ReadResult["grammar"];
  /** A grammar holds: from the beginning, or since a recipient was named. */
  #isConstrained: boolean;

  constructor(private readonly parts: ReaderParts) {
    this.grammar = parts.grammars.first();
    this.#isConstrained = this.grammar !== null;
  }

  get reasoning(): boolean {
    return this.#place === "thought";
  }

  push({ text }: AnswerPiece): ReadResult {
    if (this.reasoning) this.reasoningTokens++;
    this.#grammar = undefined;
    this.#held += text;
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
    if (this.#place === "thought") this.parts.log.reasoning(this.#held);
    else if (this.#place === "text" || !this.#held.includes("<|")) this.parts.log.text(this.#held);
    this.#held = "";
    return this.parts.log.end(ending);
  }

  #advance(): boolean {
    if (this.#held === "" || this.#place === "end") return false;
    if (this.#place === "header") return this.#readHeader();
    if (this.#place === "call") return this.#readCall();
    return this.#readMessage();
  }

  #readHeader(): boolean {
    const isHeader = /^\s*(<\||<$|to=|$)/.test(this.#held) || /^\s*t?o?$/.test(this.#held);
    if (!isHeader) {
      // A message without a header: the model has fallen out of its format.
      this.#beginText();
      return true;
    }
    const at = this.#held.indexOf(MESSAGE);
    const header = at < 0 ? this.#held : this.#held.slice(0, at);
    const recipient = header.indexOf(RECIPIENT);
    if (at < 0) {
      if (recipient >= 0 && !this.#isConstrained && this.parts.tools.names.length > 0) {
        this.#constrain(this.#held.slice(recipient + RECIPIENT.length));
      }
      return false;
    }
    this.#held = this.#held.slice(at + MESSAGE.length);
    const name = recipient < 0 ? null : this.#findName(header.slice(recipient + RECIPIENT.length));
    if (name !== null) {
      if (!this.#isConstrained) this.#constrain(header.slice(recipient + RECIPIENT.length) + MESSAGE + this.#held);
      this.#place = "call";
      this.#arguments = new JsonArgumentReader();
      this.parts.log.onName(name);
    } else if (header.includes("<|channel|>analysis")) this.#beginThought();
    else this.#beginText();
    return true;
  }

  /** The tool that the rest of a header begins with. */
  #findName(rest: string): string | null {
    const isNamed = (name: string) => rest.startsWith(name) && /^(\s|<|$)/.test(rest.slice(name.length));
    return this.parts.tools.names.find(isNamed) ?? null;
  }

  #beginThought(): void {
    this.#place = "thought";
    if (this.#isConstrained) this.#setGrammar(null);
  }

  #beginText(): void {
    this.#place = "text";
    if (this.#hasText) this.parts.log.text("\n\n");
    this.#hasText = true;
  }

  #readMessage(): boolean {
    const { log, grammars } = this.parts;
    const tell = (text: string) => this.#place === "thought" ? log.reasoning(text) : log.text(text);
    const end = ENDS.map((mark) => ({ mark, at: this.#held.indexOf(mark) })).filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)[0];
    if (end === undefined) {
      const kept = Math.max(...ENDS.map((mark) => lengthOfBeginning(this.#held, mark)));
      tell(this.#held.slice(0, this.#held.length - kept));
      this.#held = this.#held.slice(this.#held.length - kept);
      return false;
    }
    tell(this.#held.slice(0, end.at));
    const wasThought = this.#place === "thought";
    this.#place = "header";
    this.#held = this.#held.slice(end.mark === "<|start|>" ? end.at : end.at + end.mark.length);
    if (wasThought && grammars.isForced) this.#setGrammar({ gbnf: grammars.afterThoughts(), written: this.#held });
    return true;
  }

  #readCall(): boolean {
    let read = 0;
    let isWhole = false;
    for (const char of this.#held) {
      const taken = this.#arguments!.take(char);
      if (taken === "misfit") break;
      read += char.length;
      isWhole = taken === "last";
      if (isWhole) break;
    }
    const isBroken = !isWhole && read < this.#held.length;
    this.parts.log.onArguments(this.#arguments!.drain());
    this.#held = this.#held.slice(read);
    if (isWhole) {
      this.parts.log.endCall();
      this.#place = "end";
    } else if (isBroken) this.#place = "text";
    return isBroken;
  }

  #constrain(written: string): void {
    this.#setGrammar({ gbnf: this.parts.grammars.afterMarker(this.parts.start.calls), written });
  }

  #setGrammar(grammar: ReadResult["grammar"]): void {
    this.#grammar = grammar;
    this.#isConstrained = grammar !== null;
  }

  #endThought(): string | null {
    const { thoughtTokensMax } = this.parts;
    if (thoughtTokensMax === null || this.#isThoughtEnded || !this.reasoning || this.#held !== "") return null;
    if (this.reasoningTokens < thoughtTokensMax) return null;
    this.#isThoughtEnded = true;
    return `${LAST_THOUGHT}<|end|>`;
  }
}
