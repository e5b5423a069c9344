import { type CharSet, CODE_POINT_MAX, invert, unite } from "./char_set.ts";
import { NfaRun } from "./nfa.ts";
import type { Condition } from "./pattern.ts";

/** Most states of one automaton. */
const STATES_MAX = 6_000;
/** Most steps to build one: some tens of milliseconds, more on a busy machine. */
const STEPS_MAX = 1_000_000;

/** One state of a deterministic automaton. */
export interface State {
  /** Whether a text may end here. */
  accepts: boolean;
  /** Where each character leads; one that is in none of the sets leads nowhere. */
  edges: { set: CharSet; to: number }[];
}

/** What texts have to be: all conditions at once, and their length in code points. */
export interface TextConditions {
  conditions: readonly Condition[];
  min: number;
  max: number;
}

/** Half a surrogate pair is no character that could be written. */
const SURROGATES: CharSet = [[0xd800, 0xdfff]];

interface Moment {
  places: number[][];
  count: number;
}

/** Automata that are kept: those of formats and of patterns that come again with every request. */
const KEPT_MAX = 32;
const KEPT_STATES_MAX = 600;
const kept = new Map<string, State[]>();

/** A name for what texts have to be; what has the same name is the same. */
export function keyOf({ conditions, min, max }: TextConditions): string {
  return `${min}-${max}:${conditions.map(({ nfa, negated }) => `${negated ? "!" : ""}${nfa.id}`).join()}`;
}

/**
 * As {@linkcode build}, which it does once for what comes again. `spend` is told how many steps it took.
 */
export function determinize(conditions: TextConditions, spend: (steps: number) => void): State[] | null {
  const key = keyOf(conditions);
  const known = kept.get(key);
  if (known !== undefined) return known;
  const { states: built, steps } = build(conditions);
  spend(steps);
  if (built === null || built.length > KEPT_STATES_MAX) return built;
  if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
  kept.set(key, built);
  return built;
}

/**
 * The deterministic automaton of texts that fulfil all conditions (subset construction of the product). Its first state
 * is the beginning; from each of its states a text can be finished. No states at all means that there is no such text,
 * null that it would become too large.
 */
function build({ conditions, min, max }: TextConditions): { states: State[] | null; steps: number } {
  const runs = conditions.map(({ nfa }) => new NfaRun(nfa));
  const classes = findClasses(conditions);
  const countMax = max === Infinity ? min : max;
  const numbers = new Map<string, number>();
  const moments: Moment[] = [];
  const states: State[] = [];
  let steps = 0;
  const numberOf = (moment: Moment): number => {
    const key = `${moment.count}/${moment.places.map((list) => list.join()).join("/")}`;
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, moments.length);
    return moments.push(moment) - 1;
  };
  numberOf({ places: runs.map((run) => run.start()), count: 0 });
  for (let at = 0; at < moments.length; at++) {
    const { places, count } = moments[at]!;
    const holds = conditions.every(({ negated }, index) => {
      return runs[index]!.accepts(places[index]!, at === 0) !== negated;
    });
    const targets = new Map<number, (readonly [number, number])[]>();
    for (const { ranges, isIn } of count === max ? [] : classes) {
      const next = runs.map((run, index) => run.read(places[index]!, isIn));
      if (next.some((list, index) => isLost(list, conditions[index]!))) continue;
      const to = numberOf({ places: next, count: Math.min(count + 1, countMax) });
      const known = targets.get(to);
      if (known === undefined) targets.set(to, [...ranges]);
      else known.push(...ranges);
    }
    states.push({
      accepts: holds && count >= min,
      edges: [...targets].map(([to, ranges]) => ({ set: unite(ranges), to })),
    });
    steps = runs.reduce((sum, run) => sum + run.steps, states.length * classes.length * runs.length);
    if (moments.length > STATES_MAX || steps > STEPS_MAX) return { states: null, steps };
  }
  return { states: trim(states), steps };
}

/** Whether a condition can no longer come true. */
function isLost(places: readonly number[], { nfa, negated }: Condition): boolean {
  return negated ? places[0] === nfa.last : places.length === 0;
}

/** Characters that no condition tells apart, and in which sets of the conditions they are. */
interface CharClass {
  ranges: [number, number][];
  isIn(set: CharSet): boolean;
}

/** Parts the alphabet, half surrogates left out, into classes. */
function findClasses(conditions: readonly Condition[]): CharClass[] {
  const sets = new Set<CharSet>([SURROGATES]);
  for (const { nfa } of conditions) {
    for (const { reads } of nfa.nodes) for (const { set } of reads) sets.add(set);
  }
  const starts = new Set([0]);
  for (const set of sets) {
    for (const [low, high] of set) {
      starts.add(low);
      if (high < CODE_POINT_MAX) starts.add(high + 1);
    }
  }
  const ordered = [...starts].sort((a, b) => a - b);
  const cursors = [...sets].map((set) => ({ set, at: 0 }));
  const classes = new Map<string, { ranges: [number, number][]; within: Set<CharSet> }>();
  for (const [index, low] of ordered.entries()) {
    if (low >= 0xd800 && low <= 0xdfff) continue;
    const within: number[] = [];
    for (const [number, cursor] of cursors.entries()) {
      while (cursor.at < cursor.set.length && cursor.set[cursor.at]![1] < low) cursor.at++;
      const range = cursor.set[cursor.at];
      if (range !== undefined && range[0] <= low) within.push(number);
    }
    const range: [number, number] = [low, (ordered[index + 1] ?? CODE_POINT_MAX + 1) - 1];
    const known = classes.get(within.join());
    if (known !== undefined) known.ranges.push(range);
    else classes.set(within.join(), { ranges: [range], within: new Set(within.map((number) => cursors[number]!.set)) });
  }
  return [...classes.values()].map(({ ranges, within }) => ({ ranges, isIn: (set) => within.has(set) }));
}

/** Leaves out the states from which no text can be finished, and numbers the others anew. */
function trim(states: readonly State[]): State[] {
  const sources = states.map((): number[] => []);
  for (const [from, { edges }] of states.entries()) for (const { to } of edges) sources[to]!.push(from);
  const useful = new Set<number>();
  const todo = [...states.keys()].filter((at) => states[at]!.accepts);
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (useful.has(at)) continue;
    useful.add(at);
    todo.push(...sources[at]!);
  }
  if (!useful.has(0)) return [];
  const numbers = new Map([...useful].sort((a, b) => a - b).map((at, index) => [at, index]));
  return [...numbers.keys()].map((at) => {
    const { accepts, edges } = states[at]!;
    return {
      accepts,
      edges: edges.filter(({ to }) => numbers.has(to)).map(({ set, to }) => ({ set, to: numbers.get(to)! })),
    };
  });
}

/** Whether a set holds all characters that can be written. */
export function isEverything(set: CharSet): boolean {
  return unite([...set, ...SURROGATES]).length === 1 && invert(unite([...set, ...SURROGATES])).length === 0;
}
