import { type CharSet, CODE_POINT_MAX, contains, intersect } from "./char_set.ts";
import { determinize, isEverything, keyOf, type State } from "./dfa.ts";
import type { Facts } from "./facts.ts";
import { FORMATS } from "./formats.ts";
import { buildNfa, type Nfa } from "./nfa.ts";
import { type Condition, findPattern } from "./pattern.ts";
import { addChar, repeatRule } from "./primitives.ts";
import { exactly, UnsupportedRegex } from "./regex.ts";
import { escapeChar, literal, type RuleSet } from "./rules.ts";
import type { ValueCompiler } from "./value_compiler.ts";

/** What facts say of a text. */
export type TextLimits = Pick<Facts, "patterns" | "formats" | "counts">;

/** The control characters that JSON writes as a letter behind a backslash. */
const SHORT_ESCAPES = new Map([[8, "b"], [9, "t"], [10, "n"], [12, "f"], [13, "r"]]);
/** What a JSON string holds as it is. */
const PLAIN: CharSet = [[0x20, 0x21], [0x23, 0x5b], [0x5d, 0xd7ff], [0xe000, CODE_POINT_MAX]];

/** The rule for a JSON string within limits, or null when there is none. */
export function stringRule(limits: TextLimits, compiler: ValueCompiler): string | null {
  const rest = addText({ limits, extra: [], compiler });
  return rest === null ? null : compiler.rules.add("string", `"\\"" ${rest}`);
}

/** What an object asks of the keys that it does not name. */
export interface KeyConditions {
  limits: TextLimits | null;
  matching: readonly string[];
  notMatching: readonly string[];
  notNames: readonly string[];
  compiler: ValueCompiler;
  place: string;
}

/** The rule for the rest of a key behind its opening quote, or null when there is no such key. */
export function addKeyRule({ limits, matching, notMatching, notNames, compiler, place }: KeyConditions): string | null {
  const extra: Condition[] = [];
  if (notNames.length > 0) {
    const names = readNames(notNames);
    if (names !== null) extra.push({ nfa: names, negated: true });
    else if (compiler.strict) {
      throw compiler.document.refuse('Unsupported keyword "additionalProperties" (beside so many properties)', place);
    } else return null;
  }
  for (const [patterns, negated] of [[matching, false], [notMatching, true]] as const) {
    for (const pattern of patterns) {
      const { conditions, reason, steps } = findPattern(pattern);
      compiler.rules.spend(steps);
      // The opposite of several conditions at once is not one of them.
      const isUsable = conditions !== null && (!negated || conditions.length === 1);
      if (isUsable) extra.push(...conditions.map(({ nfa }) => ({ nfa, negated })));
      else if (compiler.strict) {
        throw compiler.document.refuse(`Unsupported keyword "patternProperties" (${reason || "lookahead"})`, place);
      } else return null;
    }
  }
  const texts = limits ?? { patterns: [], formats: [], counts: { ...NO_COUNTS } };
  return addText({ limits: texts, extra, compiler });
}

function readNames(names: readonly string[]): Nfa | null {
  try {
    return buildNfa(exactly(names));
  } catch (error) {
    if (error instanceof UnsupportedRegex) return null;
    throw error;
  }
}

const NO_COUNTS = {
  ...{ minLength: 0, maxLength: Infinity, minItems: 0, maxItems: Infinity },
  ...{ minProperties: 0, maxProperties: Infinity },
};

/** The rule for the rest of a JSON string behind its opening quote. */
function addText(
  { limits, extra, compiler }: { limits: TextLimits; extra: Condition[]; compiler: ValueCompiler },
): string | null {
  const { minLength: min, maxLength: max } = limits.counts;
  if (min > max) return null;
  const { rules } = compiler;
  const conditions = [...extra, ...readConditions(limits, compiler)];
  const plain = () => {
    const chars = repeatRule(addChar(rules), { min, max, rules });
    return rules.add("text", `${chars} "\\""`);
  };
  if (conditions.length === 0) return plain();
  return rules.share(keyOf({ conditions, min, max }), () => {
    const states = determinize({ conditions, min, max }, (steps) => rules.spend(steps)) ??
      determinizeLoosely(conditions, limits, compiler);
    if (states === null) return plain();
    return states.length === 0 ? null : addStates(states, rules);
  });
}

/** Gives up the length, and then everything, for what is too large with it. */
function determinizeLoosely(conditions: Condition[], limits: TextLimits, compiler: ValueCompiler): State[] | null {
  const place = limits.patterns[0]?.place ?? limits.formats[0]?.place ?? compiler.document.top.place;
  if (compiler.strict) {
    throw compiler.document.refuse('Unsupported keyword "pattern" (it comes to too many states)', place);
  }
  const { minLength, maxLength } = limits.counts;
  if (minLength === 0 && maxLength === Infinity) return null;
  return determinize({ conditions, min: 0, max: Infinity }, (steps) => compiler.rules.spend(steps));
}

function readConditions({ patterns, formats }: TextLimits, { strict, document, rules }: ValueCompiler): Condition[] {
  const found = patterns.flatMap(({ pattern, place }) => {
    const { conditions, reason, steps } = findPattern(pattern);
    rules.spend(steps);
    if (conditions === null && strict) throw document.refuse(`Unsupported keyword "pattern" (${reason})`, place);
    return conditions ?? [];
  });
  for (const { format } of formats) {
    const pattern = FORMATS.get(format);
    if (pattern !== undefined) found.push(...findPattern(pattern).conditions!);
  }
  return found;
}

/** One rule for each state: a character and what may follow it, or the closing quote. */
function addStates(states: readonly State[], rules: RuleSet): string {
  const names: string[] = [];
  const isNamed = ({ to }: { to: number }) => names[to] !== undefined;
  // Backwards, so that states that end alike, even those of other patterns, become one rule.
  const looping: number[] = [];
  for (let at = states.length - 1; at >= 0; at--) {
    const { accepts, edges } = states[at]!;
    const isOpen = accepts && edges.length === 1 && edges[0]!.to === at && isEverything(edges[0]!.set);
    if (isOpen) names[at] = rules.add("text", `${addChar(rules)}* "\\""`);
    else if (edges.every(isNamed)) names[at] = rules.add("text", writeState(states[at]!, { names, rules }));
    else {
      looping.push(at);
      names[at] = rules.reserve("text");
    }
  }
  for (const at of looping) rules.define(names[at]!, writeState(states[at]!, { names, rules }));
  return names[0]!;
}

function writeState({ accepts, edges }: State, { names, rules }: { names: string[]; rules: RuleSet }): string {
  const bodies = edges.flatMap(({ set, to }) => writeChars(set, rules).map((chars) => `${chars} ${names[to]}`));
  if (accepts) bodies.push('"\\""');
  return bodies.join(" | ");
}

/** Alternatives that stand for one character of a set as JSON writes it. */
function writeChars(set: CharSet, rules: RuleSet): string[] {
  const alternatives: string[] = [];
  const plain = intersect(set, PLAIN);
  if (plain.length > 0) alternatives.push(writeClass(plain));
  const letters = [0x22, 0x5c].filter((char) => contains(set, char)).map((char) => String.fromCharCode(char));
  for (const [code, letter] of SHORT_ESCAPES) if (contains(set, code)) letters.push(letter);
  if (letters.length > 0) {
    alternatives.push(`"\\\\" [${letters.map((char) => escapeChar(char.charCodeAt(0))).join("")}]`);
  }
  const controls = [...Array(0x20).keys()].filter((code) => !SHORT_ESCAPES.has(code) && contains(set, code));
  const codes = controls.map((code) => literal(code.toString(16).padStart(2, "0")));
  if (codes.length > 0) alternatives.push(`"\\\\u00" ${rules.add("control", codes.join(" | "))}`);
  return alternatives;
}

function writeClass(set: CharSet): string {
  if (set.length === 1 && set[0]![0] === set[0]![1]) return literal(String.fromCodePoint(set[0]![0]));
  return `[${
    set.map(([low, high]) => low === high ? escapeChar(low) : `${escapeChar(low)}-${escapeChar(high)}`).join("")
  }]`;
}
