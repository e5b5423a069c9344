/** Turns tokens into text the way a tokenizer does; `before` are the tokens that precede them (spaces depend on them). */
export type Detokenize = (tokens: readonly number[], before: readonly number[]) => string;

/** A character takes at most four tokens of one byte; what is still broken after twice that is not going to be mended. */
const PENDING_TOKENS_MAX = 8;
const BEFORE_TOKENS_MAX = 8;

/** Assembles streamed tokens to text, holding a token back while it ends in the middle of a character. */
export class TextAssembler {
  #before: readonly number[] = [];
  #pending: number[] = [];

  constructor(private readonly detokenize: Detokenize) {}

  /** Takes the next token and returns the text that is complete with it, possibly empty. */
  push(token: number): string {
    this.#pending.push(token);
    const text = this.detokenize(this.#pending, this.#before);
    if (text.endsWith("\uFFFD") && this.#pending.length < PENDING_TOKENS_MAX) return "";
    this.#before = [...this.#before, ...this.#pending].slice(-BEFORE_TOKENS_MAX);
    this.#pending = [];
    return text;
  }

  /** The answer has ended: returns what is left, without the half of a character that never came. */
  flush(): string {
    if (this.#pending.length === 0) return "";
    const text = this.detokenize(this.#pending, this.#before);
    this.#pending = [];
    return text.replace(/\uFFFD+$/, "");
  }
}
