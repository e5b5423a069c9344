import { buildNfa, type Nfa, NfaRun, NODES_MAX } from "./nfa.ts";
import { parseRegex, UnsupportedRegex } from "./regex.ts";

/** Longest regular expression, in UTF-16 units. */
const PATTERN_LENGTH_MAX = 4_096;
/** Most nodes times characters for which a text is matched: about a second at worst. */
const TEST_STEPS_MAX = 20_000_000;
/** A node is that much more work than a step through one. */
const STEPS_PER_NODE = 8;
/** Patterns whose automata are kept. */
const PATTERNS_KEPT_MAX = 256;

/** An automaton and whether it has to match or must not. */
export interface Condition {
  nfa: Nfa;
  negated: boolean;
}

/** A regular expression of a schema. Texts are matched in time that grows with their length, whatever the pattern. */
export interface Pattern {
  /** All of them have to hold; null when the pattern cannot be translated, for the reason given. */
  conditions: Condition[] | null;
  reason: string;
  /** The steps that it took to make its automata, in the measure of `determinize`. */
  steps: number;
  /** Whether it matches somewhere in the text; null when the pattern cannot be translated, or both are very long. */
  test(text: string): boolean | null;
}

const kept = new Map<string, Pattern>();

/** Whether a text is a regular expression of ECMAScript, with the flag `u` or without. */
export function isPattern(text: string): boolean {
  return text.length <= PATTERN_LENGTH_MAX && (compiles(text, "u") || compiles(text, ""));
}

function compiles(text: string, flags: string): boolean {
  try {
    new RegExp(text, flags);
    return true;
  } catch {
    return false;
  }
}

/** The automata of a regular expression that {@linkcode isPattern} accepts. */
export function findPattern(text: string): Pattern {
  const known = kept.get(text);
  if (known !== undefined) return known;
  const pattern = createPattern(text);
  if (kept.size >= PATTERNS_KEPT_MAX) kept.delete(kept.keys().next().value!);
  kept.set(text, pattern);
  return pattern;
}

function createPattern(text: string): Pattern {
  try {
    const { body, looks } = parseRegex(text);
    const conditions = [{ nfa: buildNfa(body), negated: false }];
    for (const { body: ahead, negated } of looks) conditions.push({ nfa: buildNfa(ahead), negated });
    const nodes = conditions.reduce((sum, { nfa }) => sum + nfa.nodes.length, 0);
    const test = (value: string) => {
      if (nodes * value.length > TEST_STEPS_MAX) return null;
      return conditions.every(({ nfa, negated }) => new NfaRun(nfa).test(value) !== negated);
    };
    return { conditions, reason: "", steps: nodes * STEPS_PER_NODE, test };
  } catch (error) {
    if (!(error instanceof UnsupportedRegex)) throw error;
    return { conditions: null, reason: error.message, steps: NODES_MAX * STEPS_PER_NODE, test: () => null };
  }
}
