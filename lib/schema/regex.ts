import { type CharSet, invert, unite } from "./char_set.ts";

/** A parsed regular expression. */
export type Regex =
  | { type: "chars"; set: CharSet }
  | { type: "sequence"; parts: Regex[] }
  | { type: "choice"; options: Regex[] }
  | { type: "repeat"; body: Regex; min: number; max: number }
  | { type: "start" }
  | { type: "end" };

/** A regular expression and the lookaheads at its very start, each a pattern of its own. */
export interface ParsedRegex {
  body: Regex;
  looks: { body: Regex; negated: boolean }[];
}

/** Deepest nesting of groups. */
const DEPTH_MAX = 64;

const DIGIT: CharSet = [[0x30, 0x39]];
const WORD: CharSet = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]];
const SPACE = unite([
  ...[[0x09, 0x0d], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a]] as const,
  ...[[0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]] as const,
]);
const NOT_LINE_END = invert([[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]]);
const CLASSES: Record<string, CharSet> = {
  ...{ d: DIGIT, w: WORD, s: SPACE },
  ...{ D: invert(DIGIT), W: invert(WORD), S: invert(SPACE) },
};
const CONTROLS: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

/** Thrown where a regular expression uses what no automaton here can do. The message names it. */
export class UnsupportedRegex extends Error {}

/**
 * Parses a regular expression of ECMAScript, with or without the flag `u`, which has to be well formed.
 *
 * @throws {UnsupportedRegex} at back references, `\b`, `\p`, lookbehind, and lookahead elsewhere than behind a leading `^`.
 */
export function parseRegex(text: string): ParsedRegex {
  return new Parser(text).parse();
}

class Parser {
  readonly #chars: string[];
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#chars = [...text];
  }

  parse(): ParsedRegex {
    const looks: ParsedRegex["looks"] = [];
    const start = this.#at;
    if (this.#take("^")) {
      while (this.#startsWith("(?=") || this.#startsWith("(?!")) {
        const negated = this.#startsWith("(?!");
        this.#at += 3;
        const parts: Regex[] = [{ type: "start" }, this.#parseChoice()];
        this.#take(")");
        looks.push({ body: { type: "sequence", parts }, negated });
      }
      // With an alternative that has no such start, they would not hold for all of it.
      const resume = this.#at;
      if (looks.length > 0) this.#refuseChoice();
      this.#at = looks.length > 0 ? resume : start;
    }
    const body = this.#parseChoice();
    if (looks.length === 0) return { body, looks };
    return { body: { type: "sequence", parts: [{ type: "start" }, body] }, looks };
  }

  #refuseChoice(): void {
    this.#parseSequence();
    if (this.#peek() === "|") throw new UnsupportedRegex("a lookahead in one of several alternatives");
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #startsWith(text: string): boolean {
    return [...text].every((char, index) => this.#chars[this.#at + index] === char);
  }

  #parseChoice(): Regex {
    if (++this.#depth > DEPTH_MAX) throw new UnsupportedRegex(`groups nested deeper than ${DEPTH_MAX}`);
    const options = [this.#parseSequence()];
    while (this.#take("|")) options.push(this.#parseSequence());
    this.#depth--;
    return options.length === 1 ? options[0]! : { type: "choice", options };
  }

  #parseSequence(): Regex {
    const parts: Regex[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      parts.push(this.#parseRepeat(this.#parseAtom()));
    }
    return parts.length === 1 ? parts[0]! : { type: "sequence", parts };
  }

  #parseAtom(): Regex {
    const char = this.#chars[this.#at++]!;
    if (char === "^") return { type: "start" };
    if (char === "$") return { type: "end" };
    if (char === ".") return { type: "chars", set: NOT_LINE_END };
    if (char === "[") return { type: "chars", set: this.#parseClass() };
    if (char === "(") return this.#parseGroup();
    if (char !== "\\") return oneChar(char.codePointAt(0)!);
    const next = this.#peek()!;
    if (CLASSES[next] !== undefined) {
      this.#at++;
      return { type: "chars", set: CLASSES[next] };
    }
    if (next === "b" || next === "B") throw new UnsupportedRegex("a word boundary");
    if (/[1-9k]/.test(next)) throw new UnsupportedRegex("a back reference");
    return oneChar(this.#parseEscape());
  }

  #parseGroup(): Regex {
    if (this.#startsWith("?=") || this.#startsWith("?!")) {
      throw new UnsupportedRegex("a lookahead that is not at the start");
    }
    if (this.#startsWith("?<=") || this.#startsWith("?<!")) throw new UnsupportedRegex("a lookbehind");
    if (this.#startsWith("?:")) this.#at += 2;
    else if (this.#startsWith("?<")) { while (!this.#take(">")) this.#at++; }
    else if (this.#startsWith("?")) throw new UnsupportedRegex("flags within a pattern");
    const body = this.#parseChoice();
    this.#take(")");
    return body;
  }

  #parseRepeat(body: Regex): Regex {
    const bounds = this.#parseQuantifier();
    if (bounds === null) return body;
    // Whether as few or as many as possible are taken makes no difference to whether a text matches.
    this.#take("?");
    return { type: "repeat", body, ...bounds };
  }

  #parseQuantifier(): { min: number; max: number } | null {
    if (this.#take("*")) return { min: 0, max: Infinity };
    if (this.#take("+")) return { min: 1, max: Infinity };
    if (this.#take("?")) return { min: 0, max: 1 };
    if (this.#peek() !== "{") return null;
    // Without the flag `u` a brace that begins no quantifier is a character.
    const found = /^\{(\d+)(,(\d*))?\}/.exec(this.#chars.slice(this.#at, this.#at + 24).join(""));
    if (found === null) return null;
    this.#at += found[0].length;
    const min = Number(found[1]);
    if (found[2] === undefined) return { min, max: min };
    return { min, max: found[3] === "" ? Infinity : Number(found[3]) };
  }

  #parseClass(): CharSet {
    const negated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      const low = this.#parseClassItem();
      const isRange = this.#peek() === "-" && this.#chars[this.#at + 1] !== "]";
      if (!isRange || typeof low !== "number") {
        ranges.push(...(typeof low === "number" ? [[low, low] as const] : low));
        continue;
      }
      this.#at++;
      const high = this.#parseClassItem();
      if (typeof high === "number") ranges.push([low, high]);
      // Without the flag `u`, `[a-\d]` is three things.
      else ranges.push([low, low], [0x2d, 0x2d], ...high);
    }
    const set = unite(ranges);
    return negated ? invert(set) : set;
  }

  #parseClassItem(): number | CharSet {
    const char = this.#chars[this.#at++]!;
    if (char !== "\\") return char.codePointAt(0)!;
    const next = this.#peek()!;
    const set = CLASSES[next];
    if (set === undefined) return next === "b" && this.#take("b") ? 8 : this.#parseEscape();
    this.#at++;
    return set;
  }

  /** An escape that is one character; its backslash is read. */
  #parseEscape(): number {
    const char = this.#chars[this.#at++]!;
    if (CONTROLS[char] !== undefined) return CONTROLS[char];
    if (char === "p" || char === "P") throw new UnsupportedRegex("a property of Unicode");
    const rest = this.#chars.slice(this.#at, this.#at + 12).join("");
    const read = (found: RegExpExecArray | null, codePoint: (digits: string) => number) => {
      if (found === null) return char.codePointAt(0)!;
      this.#at += found[0].length;
      return codePoint(found[1]!);
    };
    const hex = (digits: string) => parseInt(digits, 16);
    if (char === "x") return read(/^([0-9a-f]{2})/i.exec(rest), hex);
    if (char === "c") return read(/^([a-z])/i.exec(rest), (letter) => letter.charCodeAt(0) % 32);
    if (char === "u") {
      const pair = /^(d[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})/i.exec(rest);
      if (pair !== null) {
        return read(
          pair,
          (digits) => ((hex(digits.slice(0, 4)) - 0xd800) << 10) + hex(digits.slice(6)) - 0xdc00 + 0x10000,
        );
      }
      return read(/^([0-9a-f]{4})/i.exec(rest) ?? /^\{([0-9a-f]{1,8})\}/i.exec(rest), hex);
    }
    if (char === "0") return read(/^([0-7]{0,2})/.exec(rest), (digits) => parseInt(`0${digits}`, 8));
    return char.codePointAt(0)!;
  }
}

function oneChar(codePoint: number): Regex {
  return { type: "chars", set: [[codePoint, codePoint]] };
}

/** A pattern that matches a text as a whole. */
export function exactly(texts: readonly string[]): Regex {
  const options = texts.map((text): Regex => ({
    type: "sequence",
    parts: [...text].map((char) => oneChar(char.codePointAt(0)!)),
  }));
  return { type: "sequence", parts: [{ type: "start" }, { type: "choice", options }, { type: "end" }] };
}
