import { ANY_CHAR, type CharSet, contains } from "./char_set.ts";
import { type Regex, UnsupportedRegex } from "./regex.ts";

/** Most nodes of one automaton. */
export const NODES_MAX = 4_000;

/** One node: what can be gone through without reading, and what by reading a character. */
interface Node {
  free: number[];
  /** Only before the first character. */
  atStart: readonly number[];
  /** Only behind the last character. */
  atEnd: readonly number[];
  reads: { set: CharSet; to: number }[];
}

/** A nondeterministic automaton that finds a pattern anywhere in a text (Thompson's construction). */
export interface Nfa {
  /** No other automaton of this process has it. */
  id: number;
  nodes: Node[];
  first: number;
  /** Once here, the text matches whatever follows. */
  last: number;
}

const NOWHERE: readonly number[] = [];

let automata = 0;

/** @throws {UnsupportedRegex} when the pattern needs too many nodes. */
export function buildNfa(regex: Regex): Nfa {
  const nodes: Node[] = [];
  const sets = new Map<string, CharSet>();
  /** The same set for the same characters, so that few are compared. */
  const intern = (set: CharSet): CharSet => {
    const key = set.join();
    const known = sets.get(key) ?? set;
    sets.set(key, known);
    return known;
  };
  const add = (): number => {
    if (nodes.length >= NODES_MAX) throw new UnsupportedRegex("too many repetitions");
    return nodes.push({ free: [], atStart: NOWHERE, atEnd: NOWHERE, reads: [] }) - 1;
  };
  let connected = 0;
  /** Adds a part that begins at `from`; returns where it ends. */
  const connect = (part: Regex, from: number): number => {
    // A repetition of nothing adds no nodes.
    if (++connected > 4 * NODES_MAX) throw new UnsupportedRegex("too many repetitions");
    if (part.type === "sequence") return part.parts.reduce((at, inner) => connect(inner, at), from);
    if (part.type === "repeat") return repeat(part, from);
    const to = add();
    if (part.type === "chars") nodes[from]!.reads.push({ set: intern(part.set), to });
    else if (part.type === "start") nodes[from]!.atStart = [...nodes[from]!.atStart, to];
    else if (part.type === "end") nodes[from]!.atEnd = [...nodes[from]!.atEnd, to];
    else for (const option of part.options) nodes[connect(option, branch(from))]!.free.push(to);
    return to;
  };
  const branch = (from: number): number => {
    const start = add();
    nodes[from]!.free.push(start);
    return start;
  };
  const repeat = ({ body, min, max }: Regex & { type: "repeat" }, from: number): number => {
    let at = from;
    for (let count = 0; count < min; count++) at = connect(body, at);
    if (max === Infinity) {
      const loop = branch(at);
      nodes[connect(body, loop)]!.free.push(loop);
      return branch(loop);
    }
    const ends = [at];
    for (let count = min; count < max; count++) ends.push(at = connect(body, at));
    const to = add();
    for (const end of ends) nodes[end]!.free.push(to);
    return to;
  };
  const first = add();
  nodes[first]!.reads.push({ set: ANY_CHAR, to: first });
  const last = connect(regex, branch(first));
  return { id: ++automata, nodes, first, last };
}

/** An automaton's places while it reads a text. A set of places is an ascending list of nodes that read, or the last. */
export class NfaRun {
  /** Nodes gone through since the beginning, a measure of time. */
  steps = 0;
  readonly #marks: Uint32Array;
  #mark = 0;

  constructor(private readonly nfa: Nfa) {
    this.#marks = new Uint32Array(nfa.nodes.length);
  }

  /** The places before the first character. */
  start(): number[] {
    return this.#close([this.nfa.first], { atStart: true, atEnd: false });
  }

  /** The places after one more character, of which is said in what sets it is. */
  read(places: readonly number[], isIn: (set: CharSet) => boolean): number[] {
    const { nodes, last } = this.nfa;
    if (places[0] === last) return [last];
    const reached: number[] = [];
    for (const place of places) {
      this.steps++;
      for (const { set, to } of nodes[place]!.reads) if (isIn(set)) reached.push(to);
    }
    return this.#close(reached, { atStart: false, atEnd: false });
  }

  /** Whether the text matches when it ends here. */
  accepts(places: readonly number[], isEmpty: boolean): boolean {
    const { last } = this.nfa;
    return places[0] === last || this.#close(places, { atStart: isEmpty, atEnd: true })[0] === last;
  }

  /** Whether the automaton finds its pattern in a whole text. */
  test(text: string): boolean {
    let places = this.start();
    for (const char of text) {
      if (places[0] === this.nfa.last) return true;
      const codePoint = char.codePointAt(0)!;
      places = this.read(places, (set) => contains(set, codePoint));
    }
    return this.accepts(places, text === "");
  }

  #close(from: readonly number[], allowed: { atStart: boolean; atEnd: boolean }): number[] {
    const { nodes, last } = this.nfa;
    const mark = ++this.#mark;
    const todo: number[] = [];
    const go = (targets: readonly number[]) => {
      for (const target of targets) {
        if (this.#marks[target] === mark) continue;
        this.#marks[target] = mark;
        todo.push(target);
      }
    };
    go(from);
    const kept: number[] = [];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      this.steps++;
      if (at === last) return [last];
      const { free, atStart, atEnd, reads } = nodes[at]!;
      go(free);
      if (allowed.atStart) go(atStart);
      if (allowed.atEnd) go(atEnd);
      if (reads.length > 0 || atEnd.length > 0) kept.push(at);
    }
    return kept.sort((a, b) => a - b);
  }
}
