import type { Located } from "./document.ts";
import { Facts, type KeyShape, valueSchemasOf } from "./facts.ts";
import { addSpace } from "./primitives.ts";
import { literal, type RuleSet } from "./rules.ts";
import { addKeyRule, type TextLimits } from "./string_rules.ts";
import type { Alternative, ValueCompiler } from "./value_compiler.ts";

/** Most rules spent on counting the keys of one object. */
const COUNTING_RULES_MAX = 4_000;
/** Most different `patternProperties` that hold for one object: each doubles the kinds of keys. */
const PATTERNS_MAX = 6;
/** Bodies longer than this become a rule instead of being written twice. */
const INLINE_LENGTH_MAX = 200;

/** A key and the rule of its value. */
interface Key {
  name: string;
  value: string;
  required: boolean;
}

/** Keys that are not named one by one: the rule for the rest of a key behind its opening quote, and that of its value. */
interface OtherKeys {
  rest: string;
  value: string;
}

interface ObjectOptions {
  compiler: ValueCompiler;
  place: string;
}

/** The object that facts describe, or null when there is none. */
export function objectRule(facts: Facts, options: ObjectOptions): Alternative | null {
  const { compiler } = options;
  const limits = readKeyNames(facts, compiler);
  const names = new Set(facts.keyShapes.flatMap(({ named }) => [...named.keys()]));
  for (const name of [...facts.required, ...limits.names ?? []]) names.add(name);
  const keys: Key[] = [];
  for (const name of names) {
    const required = facts.required.has(name);
    const schemas = valueSchemasOf(facts.keyShapes, name);
    const isAllowed = limits.accepts(name);
    const value = isAllowed ? compiler.compile(schemas) : null;
    if (value !== null) keys.push({ name, value, required });
    else if (required) return null;
  }
  const others = limits.names === null ? findOtherKeys(facts, { ...options, limits, names: [...names] }) : [];
  const { min, max } = chooseCounts(facts, { ...options, keys, others });
  const body = min > max ? null : new ObjectWriter(compiler.rules, { keys, others, min, max }).write();
  if (body === null) return null;
  const needs = keys.filter(({ required }) => required).map(({ value }) => value);
  return { body, needs, uses: [...keys, ...others].map(({ value }) => value), alias: null };
}

/** What `propertyNames` asks of keys. */
interface KeyLimits {
  /** The only names there can be; null when they are not counted. */
  names: string[] | null;
  texts: TextLimits | null;
  accepts(name: string): boolean;
}

function readKeyNames({ keyNames }: Facts, compiler: ValueCompiler): KeyLimits {
  if (keyNames.length === 0) return { names: null, texts: null, accepts: () => true };
  const facts = new Facts(compiler.document, compiler.strict);
  for (const schema of keyNames) facts.absorb(schema);
  const accepts = (name: string) => keyNames.every(({ schema }) => compiler.accepts(name, schema));
  if (facts.valueLists.length > 0) {
    const names = facts.valueLists[0]!.filter((name): name is string => typeof name === "string");
    return { names: names.filter(accepts), texts: null, accepts };
  }
  const isText = facts.types === null || facts.types.includes("string");
  if (facts.impossible || !isText) return { names: [], texts: null, accepts };
  if (facts.choices.length > 0 && compiler.strict) {
    throw compiler.document.refuse('Unsupported keyword "propertyNames" with anyOf or oneOf', keyNames[0]!.place);
  }
  return { names: null, texts: facts, accepts };
}

/** The kinds of keys beside those named: one for each set of `patternProperties` that match, and one for none. */
function findOtherKeys(
  { keyShapes }: Facts,
  { compiler, place, limits, names }: ObjectOptions & { limits: KeyLimits; names: string[] },
): OtherKeys[] {
  const patterns = [...new Set(keyShapes.flatMap((shape) => shape.patterns.map(({ pattern }) => pattern)))];
  if (patterns.length > PATTERNS_MAX) {
    throw compiler.document.refuse(`There are more than ${PATTERNS_MAX} patternProperties, too many`, place);
  }
  const found: OtherKeys[] = [];
  for (let chosen = 0; chosen < 2 ** patterns.length; chosen++) {
    const matching = patterns.filter((_, index) => (chosen & (1 << index)) !== 0);
    const schemas = valueSchemas(keyShapes, matching);
    if (schemas === null) continue;
    const rest = addKeyRule({
      limits: limits.texts,
      matching,
      notMatching: patterns.filter((pattern) => !matching.includes(pattern)),
      notNames: names,
      compiler,
      place,
    });
    const value = rest === null ? null : compiler.compile(schemas);
    if (rest !== null && value !== null) found.push({ rest, value });
  }
  return found;
}

/** What a key's value has to fit when just these patterns match the key; null when such keys are not offered. */
function valueSchemas(shapes: readonly KeyShape[], matching: readonly string[]): Located[] | null {
  const schemas: Located[] = [];
  let isForeseen = shapes.length === 0;
  for (const { patterns, other } of shapes) {
    const matched = patterns.filter(({ pattern }) => matching.includes(pattern)).map(({ value }) => value);
    if (matched.length === 0 && other !== null) matched.push(other);
    isForeseen ||= matched.length > 0;
    schemas.push(...matched);
  }
  return isForeseen && schemas.every(({ schema }) => schema !== false) ? schemas : null;
}

/**
 * Writes an object whose keys come in order. There is one rule for "a key, this one or a later one, behind its opening
 * quote", so that the grammar grows by one rule for each optional key. Where the number of keys is bounded there is one
 * for each number of keys written so far.
 */
class ObjectWriter {
  readonly #sp: string;
  readonly #lastRequired: number;
  /** Numbers of keys from here on are not told apart. */
  readonly #counted: number;

  constructor(
    private readonly rules: RuleSet,
    private readonly parts: { keys: Key[]; others: OtherKeys[]; min: number; max: number },
  ) {
    this.#sp = addSpace(rules);
    this.#lastRequired = parts.keys.findLastIndex(({ required }) => required);
    this.#counted = parts.max === Infinity ? parts.min : parts.max;
  }

  /** The body for the whole object, or null when there is none. */
  write(): string | null {
    const { keys, min, max } = this.parts;
    let from = this.#writeOthers();
    for (let at = keys.length - 1; at >= 0; at--) from = this.#writeKey(at, from);
    const first = max === 0 ? null : from[0] ?? null;
    const mayBeEmpty = this.#lastRequired < 0 && min === 0;
    if (first === null) return mayBeEmpty ? '"{}"' : null;
    return mayBeEmpty ? `"{" ("\\"" ${first})? "}"` : `"{\\"" ${first} "}"`;
  }

  /** By the number of keys written so far: the body for a key at `at` or after it, `after` being those for later keys. */
  #writeKey(at: number, after: (string | null)[]): (string | null)[] {
    const { name, value, required } = this.parts.keys[at]!;
    const start = `${literal(`${JSON.stringify(name).slice(1)}:`)} ${this.#sp} ${value}`;
    const from: (string | null)[] = [];
    for (let count = this.#counted; count >= 0; count--) {
      const end = this.#writeEnd(after, { count: count + 1, at: at + 1 });
      const bodies = end === null || count >= this.parts.max ? [] : [`${start}${end}`];
      const skipped = required ? null : after[count] ?? null;
      if (skipped !== null) bodies.push(skipped);
      const isShort = bodies.length === 1 && bodies[0]!.length <= INLINE_LENGTH_MAX;
      const written = () => isShort ? bodies[0]! : this.rules.add(`from-${name}`, bodies.join(" | "));
      from[count] = bodies.length === 0 ? null : written();
    }
    return from;
  }

  /** By the number of keys written so far: the rule for keys that are not named. */
  #writeOthers(): (string | null)[] {
    const { others, keys, max } = this.parts;
    const from: (string | null)[] = [];
    if (others.length === 0) return from;
    const write = (end: string) => {
      return others.map(({ rest, value }) => `${rest} ":" ${this.#sp} ${value}${end}`).join(" | ");
    };
    for (let count = this.#counted; count >= 0; count--) {
      // Keys beyond those that are counted lead back to themselves.
      const loop = max === Infinity && count === this.#counted ? this.rules.reserve("other-keys") : null;
      from[count] = loop;
      const end = this.#writeEnd(from, { count: count + 1, at: keys.length });
      if (loop !== null) this.rules.define(loop, write(end!));
      else from[count] = end === null || count >= max ? null : this.rules.add("other-keys", write(end));
    }
    return from;
  }

  /** What may follow when `count` keys are written and those at `at` and after it are left; null when nothing may. */
  #writeEnd(from: (string | null)[], { count, at }: { count: number; at: number }): string | null {
    const mayEnd = at > this.#lastRequired && count >= this.parts.min;
    const rest = from[Math.min(count, this.#counted)] ?? null;
    if (rest === null) return mayEnd ? "" : null;
    const more = `"," ${this.#sp} "\\"" ${rest}`;
    return mayEnd ? ` (${more})?` : ` ${more}`;
  }
}

/** The bounds on the number of keys that are left to count once the keys themselves are known. */
function chooseCounts(
  { counts: { minProperties, maxProperties } }: Facts,
  { compiler, place, keys, others }: ObjectOptions & { keys: Key[]; others: OtherKeys[] },
): { min: number; max: number } {
  const required = keys.filter((key) => key.required).length;
  const possible = others.length > 0 ? Infinity : keys.length;
  if (minProperties > possible || maxProperties < required) return { min: 1, max: 0 };
  const min = minProperties <= required ? 0 : minProperties;
  const max = maxProperties >= possible ? Infinity : maxProperties;
  // Of keys that are not named, the same may come twice and then counts once.
  const isExact = others.length === 0 || min <= 1;
  const isFeasible = (max === Infinity ? min : max) * (keys.length + 1) <= COUNTING_RULES_MAX;
  if (compiler.strict && !(isExact && isFeasible)) {
    const keyword = min > 0 ? "minProperties" : "maxProperties";
    throw compiler.document.refuse(`Unsupported keyword "${keyword}" (such a number of such keys)`, place);
  }
  return isFeasible ? { min, max } : { min: 0, max: Infinity };
}
