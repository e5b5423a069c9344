/** Marks the places where a text was cut; a noncharacter of Unicode, so no text has a use for it. */
const CUT = "\uFDD0";

/**
 * Keeps the special tokens of a model out of what people write. A prompt is rendered to one text in which the template's
 * own `<|im_end|>` must become a special token, and a user's must not: so the user's is cut in two before rendering, and
 * the rendered text is tokenized in the pieces between the cuts.
 */
export class SpecialTexts {
  /** Special texts by their first character: the lengths to look for, longest first. */
  readonly #lengths = new Map<string, number[]>();
  readonly #texts: ReadonlySet<string>;
  readonly #lengthMax: number;

  /** @param texts How the model's control tokens are written, e.g. `<|im_end|>`. Single characters are passed over. */
  constructor(texts: Iterable<string>) {
    this.#texts = new Set([...texts].filter((text) => text.length > 1));
    this.#lengthMax = Math.max(0, ...[...this.#texts].map(({ length }) => length));
    for (const text of this.#texts) {
      const lengths = this.#lengths.get(text[0]!) ?? [];
      if (!lengths.includes(text.length)) lengths.push(text.length);
      this.#lengths.set(text[0]!, lengths.sort((a, b) => b - a));
    }
  }

  /** Cuts every special text that stands in `text`; a cut that was there before is taken out. */
  cut(text: string): string {
    const clean = text.includes(CUT) ? text.replaceAll(CUT, "") : text;
    let result = "";
    let copied = 0;
    for (let i = 0; i < clean.length; i++) {
      const lengths = this.#lengths.get(clean[i]!);
      if (lengths === undefined || !lengths.some((length) => this.#texts.has(clean.slice(i, i + length)))) continue;
      result += clean.slice(copied, i + 1) + CUT;
      copied = i + 1;
    }
    return result + clean.slice(copied);
  }

  /**
   * Cuts a long piece into parts of at most `lengthMax` UTF-16 units, or a character more: behind the last line that
   * ends within each part, where tokens seldom reach across, and never within a special text.
   */
  *parts(piece: string, lengthMax: number): Generator<string> {
    let start = 0;
    while (piece.length - start > lengthMax) {
      const lineEnd = piece.lastIndexOf("\n", start + lengthMax - 1) + 1;
      let end = this.#leaveWhole(piece, lineEnd > start ? lineEnd : start + lengthMax, start);
      // Half a surrogate pair is no character.
      if (/[\uDC00-\uDFFF]/.test(piece[end] ?? "")) end++;
      yield piece.slice(start, end);
      start = end;
    }
    yield piece.slice(start);
  }

  /** The place of a cut at `end`, or the beginning of the special text that it would go through. */
  #leaveWhole(piece: string, end: number, start: number): number {
    for (let i = Math.max(start + 1, end - this.#lengthMax); i < end; i++) {
      const lengths = this.#lengths.get(piece[i]!) ?? [];
      if (lengths.some((length) => i + length > end && this.#texts.has(piece.slice(i, i + length)))) return i;
    }
    return end;
  }

  /** Undoes {@linkcode cut}: the pieces of a rendered text, to be tokenized one by one. */
  static pieces(rendered: string): string[] {
    return rendered.split(CUT).filter((piece) => piece !== "");
  }
}
