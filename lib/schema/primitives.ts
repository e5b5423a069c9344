import { literal, type RuleSet } from "./rules.ts";

/** Longest list that llama.cpp is left to count by itself, at one rule per item; beyond, blocks are counted. */
const COUNTED_MAX = 256;
/** So many listed texts stand beside each other; more are branched by their beginnings. */
const TEXTS_BESIDE_MAX = 8;
/** Bounds above are left to the validator: no context holds so much. */
const BOUND_MAX = 1_000_000;

/** The rule for the space that may stand behind `:` and `,`. */
export function addSpace(rules: RuleSet): string {
  return rules.add("sp", '" "?');
}

/**
 * The rule for one code point within a JSON string. Halves of surrogate pairs stand only beside each other, so that one
 * of these is one character of `minLength` and `maxLength`.
 */
export function addChar(rules: RuleSet): string {
  const hex = rules.add("hex", "[0-9a-fA-F]");
  const unicode = rules.add(
    "unicode",
    `[0-9a-cA-CefEF] ${hex} ${hex} ${hex} | [dD] [0-7] ${hex} ${hex} | ` +
      `[dD] [89abAB] ${hex} ${hex} "\\\\u" [dD] [c-fC-F] ${hex} ${hex}`,
  );
  return rules.add("char", `[^"\\\\\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" ${unicode})`);
}

/** The rule for any JSON text. */
export function addAnyJson(rules: RuleSet): string {
  return rules.share("json", () => createAnyJson(rules))!;
}

function createAnyJson(rules: RuleSet): string {
  const [sp, char] = [addSpace(rules), addChar(rules)];
  const name = rules.reserve("json-value");
  const number = rules.add("number", JSON_NUMBER);
  const text = rules.add("string", `"\\"" ${char}* "\\""`);
  const pair = rules.add("json-pair", `${text} ":" ${sp} ${name}`);
  const object = rules.add("json-object", `"{" (${pair} ("," ${sp} ${pair})*)? "}"`);
  const array = rules.add("json-array", `"[" (${name} ("," ${sp} ${name})*)? "]"`);
  rules.define(name, `${object} | ${array} | ${text} | ${number} | "true" | "false" | "null"`);
  return name;
}

/** Any number, at most as exact as a double and never infinite. */
const JSON_NUMBER = `"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?`;

/** Alternatives for exactly these values. */
export function jsonRules(values: readonly unknown[], rules: RuleSet): string[] {
  const texts = new Set(values.filter((value) => typeof value === "string").map((value) => JSON.stringify(value)));
  const others = values.filter((value) => typeof value !== "string").map((value) => jsonRule(value, rules));
  if (texts.size <= TEXTS_BESIDE_MAX) return [...[...texts].map(literal), ...others];
  return [branchTexts([...texts].sort(), rules), ...others];
}

/**
 * A body for many texts, sorted, of which none begins another: what they share at their beginning stands once, so that a
 * few of them are followed at a time and not all.
 */
function branchTexts(texts: readonly string[], rules: RuleSet): string {
  const [first, last] = [texts[0]!, texts.at(-1)!];
  let shared = 0;
  while (shared < first.length && first[shared] === last[shared]) shared++;
  if (shared === first.length) return literal(first);
  if (/[\ud800-\udbff]/.test(first[shared - 1] ?? "")) shared--;
  const bodies: string[] = [];
  for (let from = 0; from < texts.length;) {
    const char = String.fromCodePoint(texts[from]!.codePointAt(shared)!);
    let to = from;
    while (to < texts.length && texts[to]!.startsWith(char, shared)) to++;
    bodies.push(branchTexts(texts.slice(from, to).map((text) => text.slice(shared)), rules));
    from = to;
  }
  const rest = rules.add("one-of", bodies.join(" | "));
  return shared === 0 ? rest : `${literal(first.slice(0, shared))} ${rest}`;
}

/** The body for exactly this value. */
function jsonRule(value: unknown, rules: RuleSet): string {
  if (Array.isArray(value)) {
    return joinParts("[", value.map((item) => jsonRule(item, rules)), { rules, end: "]" });
  }
  if (typeof value !== "object" || value === null) return literal(JSON.stringify(value));
  const pairs = Object.entries(value).map(([key, inner]) => {
    return `${literal(`${JSON.stringify(key)}:`)} ${addSpace(rules)} ${jsonRule(inner, rules)}`;
  });
  return joinParts("{", pairs, { rules, end: "}" });
}

function joinParts(start: string, parts: string[], { rules, end }: { rules: RuleSet; end: string }): string {
  return `"${start}" ${parts.map((part) => `${part} `).join(`"," ${addSpace(rules)} `)}"${end}"`;
}

/**
 * The body for a rule repeated `min` to `max` times. llama.cpp makes a rule of each optional repetition and refuses 2,000
 * of them, so that large bounds are counted in blocks: all whole ones and then a part of one, exactly.
 */
export function repeatRule(item: string, bounds: { min: number; max: number; rules: RuleSet }): string {
  const { rules } = bounds;
  const min = Math.min(bounds.min, BOUND_MAX);
  const max = bounds.max > BOUND_MAX ? Infinity : bounds.max;
  if (min > COUNTED_MAX) {
    const rest = max === Infinity ? `${item}*` : repeatRule(item, { min: 0, max: max - min, rules });
    return `${repeatExactly(item, min, rules)}${rest === "" ? "" : ` ${rest}`}`;
  }
  if (max === Infinity) return min === 0 ? `${item}*` : min === 1 ? `${item}+` : `${item}{${min},}`;
  if (max <= COUNTED_MAX) {
    if (max === 0) return "";
    if (min === 0 && max === 1) return `${item}?`;
    return min === max ? (min === 1 ? item : `${item}{${min}}`) : `${item}{${min},${max}}`;
  }
  const prefix = min === 0 ? "" : `${item}{${min}} `;
  return prefix + repeatAtMost(item, max - min, rules);
}

function repeatExactly(item: string, count: number, rules: RuleSet): string {
  const size = Math.ceil(Math.sqrt(count));
  const block = rules.add(`${item}-x${size}`, `${item}{${size}}`);
  const [blocks, rest] = [Math.floor(count / size), count % size];
  return `${block}{${blocks}}${rest === 0 ? "" : ` ${item}{${rest}}`}`;
}

function repeatAtMost(item: string, count: number, rules: RuleSet): string {
  const size = Math.ceil(Math.sqrt(count));
  const block = rules.add(`${item}-x${size}`, `${item}{${size}}`);
  const part = rules.add(`${item}-up-to-${size - 1}`, `${item}{0,${size - 1}}`);
  const [blocks, rest] = [Math.floor(count / size), count % size];
  let tail = rest === 0 ? '""' : rules.add(`${item}-up-to-${rest}`, `${item}{0,${rest}}`);
  for (let left = 0; left < blocks; left++) tail = rules.add(`${item}-blocks`, `${block} ${tail} | ${part}`);
  return tail;
}
