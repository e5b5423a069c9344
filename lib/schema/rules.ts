import { DomainError } from "../errors.ts";

/** Most characters of a grammar's text. 128 tools of Copilot's agent mode come to some 100,000. */
const TEXT_LENGTH_MAX = 2_000_000;
/** Most rules of a grammar. */
const RULES_MAX = 20_000;
/** Most steps spent on the patterns of a grammar: a second or two. */
const STEPS_MAX = 4_000_000;
/** Most rules into which llama.cpp may expand the counted repetitions `{m,n}` of a grammar. */
const REPETITIONS_MAX = 200_000;

/**
 * Text that stands for itself in a grammar, quoted and escaped.
 * Follows llama.cpp's grammars/README.md ("GBNF Guide").
 */
export function literal(text: string): string {
  return `"${text.replace(/["\\\p{Cc}]/gu, (char) => escapeChar(char.charCodeAt(0)))}"`;
}

/** One code point as it may stand in a literal or between the brackets of a class. */
export function escapeChar(codePoint: number): string {
  const char = String.fromCodePoint(codePoint);
  if (/["\\[\]-]/.test(char)) return `\\${char}`;
  if (char === "\n") return "\\n";
  const isPlain = codePoint > 0x20 && codePoint < 0x7f && char !== "^";
  if (isPlain || codePoint === 0x20) return char;
  const hex = codePoint.toString(16).toUpperCase();
  if (codePoint <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  return codePoint <= 0xffff ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

/** The named rules of one grammar: their names never clash, and rules of the same text are one rule. */
export class RuleSet {
  readonly #bodies = new Map<string, string>();
  readonly #names = new Set<string>(["root"]);
  /** The number to try next behind a name that is taken. */
  readonly #nextNumbers = new Map<string, number>();
  readonly #shared = new Map<string, string | null>();
  readonly #byBody = new Map<string, string>();
  #textLength = 0;
  #repetitions = 0;
  #steps = 0;

  /** Takes a name like `hint` that no other rule has. The rule has to be defined later. */
  reserve(hint: string): string {
    const base = hint.replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40) || "rule";
    let name = base;
    let number = this.#nextNumbers.get(base) ?? 2;
    while (this.#names.has(name)) name = `${base}-${number++}`;
    this.#nextNumbers.set(base, number);
    this.#names.add(name);
    return name;
  }

  /**
   * Gives a reserved name its rule.
   *
   * @throws {DomainError} `invalid_request` when the grammar has become too large to be used.
   */
  define(name: string, body: string): void {
    this.#textLength += name.length + body.length;
    for (const [, , bound] of body.matchAll(/\{(\d+,)?(\d+)\}/g)) this.#repetitions += Number(bound);
    const isTooMany = this.#bodies.size >= RULES_MAX || this.#repetitions > REPETITIONS_MAX;
    if (isTooMany || this.#textLength > TEXT_LENGTH_MAX) {
      throw new DomainError("invalid_request", "The schema is too large: shorten it, or lower its bounds on lengths");
    }
    this.#bodies.set(name, body);
  }

  /** Adds a rule, or finds the one that has the same text. Returns its name. */
  add(hint: string, body: string): string {
    const known = this.#byBody.get(body);
    if (known !== undefined) return known;
    const name = this.reserve(hint);
    this.#byBody.set(body, name);
    this.define(name, body);
    return name;
  }

  /**
   * Counts steps of work on patterns and on the values of lists.
   *
   * @throws {DomainError} `invalid_request` when there have been too many.
   */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > STEPS_MAX) {
      throw new DomainError("invalid_request", "The patterns or values of the schema are too complex: simplify them");
    }
  }

  /** What `create` made for this key before, or now makes. */
  share(key: string, create: () => string | null): string | null {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const created = create();
    this.#shared.set(key, created);
    return created;
  }

  /** All rules in the order in which they were defined. */
  toText(): string {
    let text = "";
    for (const [name, body] of this.#bodies) text += `${name} ::= ${body}\n`;
    return text;
  }
}
