import type { JsonSchema } from "../contracts/chat.ts";
import { checkScalar } from "./assertions.ts";
import { isDeep, isObject, isSchema, type SchemaObject } from "./keywords.ts";
import { findPattern } from "./pattern.ts";
import { findReference } from "./references.ts";

/** Deepest nesting of a value, and of schemas that hold for one value. */
const DEPTH_MAX = 500;

/** Most schemas that are looked at for one value: beyond it the value counts as wrong. */
const STEPS_MAX = 1_000_000;

/** Checks a value against a schema of a document, its topmost by default: null, or a sentence that says what is wrong. */
export type Validator = (value: unknown, schema?: JsonSchema) => string | null;

/**
 * Says what is wrong with a value, such as `/items/3/name must be a string`, or returns null when it fits the schema.
 * Follows JSON Schema draft 2020-12 and 7, and OpenAPI's `nullable`. The formats of `formats.ts` are checked, others
 * annotate. A pattern that has no automaton (back references, `\b`, lookbehind) and a `$ref` that leads nowhere fit everything.
 */
export function validate(schema: JsonSchema, value: unknown): string | null {
  return createValidator(schema)(value);
}

/**
 * As {@linkcode validate}, for several values or schemas of one document.
 *
 * @param spend Told of each schema that is looked at; what it throws ends the check.
 */
export function createValidator(top: JsonSchema, spend: () => void = () => {}): Validator {
  const checker = new Checker(top, spend);
  return (value, schema = top) => checker.check(value, schema);
}

/** A place in the value, with what was found out about it. */
interface Spot {
  value: unknown;
  path: string;
  depth: number;
  /** Outcomes by schema, so that each is checked once; a schema that comes back to itself has nothing to add. */
  outcomes: Map<JsonSchema, Outcome>;
}

/** What one schema says of one value. */
interface Outcome {
  error: string | null;
  /** Keys and items for which the schema had a say, for `unevaluatedProperties` and `unevaluatedItems`. */
  seen: Set<string>;
}

/** Looks at the inner schemas of one schema: each returns what is wrong. */
type Rule = (checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>) => string | null;

class Checker {
  readonly #references = new Map<string, JsonSchema | null>();
  /** Outcomes at each place of the value: two schemas for a parent may send the same one to a child. */
  #outcomes = new Map<string, Spot["outcomes"]>();
  #steps = 0;

  constructor(private readonly top: JsonSchema, private readonly spend: () => void) {}

  check(value: unknown, schema: JsonSchema): string | null {
    if (isDeep(value, DEPTH_MAX)) return "the value is nested too deeply";
    this.#outcomes = new Map();
    this.#steps = 0;
    return this.evaluate(schema, { value, path: "", depth: 0, outcomes: new Map() }).error;
  }

  resolve(ref: string): JsonSchema | null {
    const known = this.#references.get(ref);
    if (known !== undefined) return known;
    const found = findReference(this.top, ref);
    this.#references.set(ref, found);
    return found;
  }

  evaluate(schema: JsonSchema, spot: Spot): Outcome {
    if (schema === true) return { error: null, seen: new Set() };
    if (schema === false) return { error: say(spot, "is not allowed"), seen: new Set() };
    const known = spot.outcomes.get(schema);
    if (known !== undefined) return known;
    const outcome: Outcome = { error: null, seen: new Set() };
    spot.outcomes.set(schema, outcome);
    this.spend();
    if (++this.#steps > STEPS_MAX) return { ...outcome, error: say(spot, "takes too long to check") };
    if (spot.depth > DEPTH_MAX || spot.outcomes.size > 20 * DEPTH_MAX) {
      outcome.error = say(spot, "is nested too deeply");
    } else if (schema["nullable"] !== true || spot.value !== null) {
      outcome.error = this.#findError(schema, spot, outcome.seen);
    }
    return outcome;
  }

  /** Adds what an inner schema saw, and returns its error. */
  follow(schema: JsonSchema, spot: Spot, seen: Set<string>): string | null {
    const outcome = this.evaluate(schema, { ...spot, depth: spot.depth + 1 });
    if (outcome.error === null) { for (const name of outcome.seen) seen.add(name); }
    return outcome.error;
  }

  /** Checks an item or the value of a key. */
  descend(schema: JsonSchema, spot: Spot, key: string | number): string | null {
    const value = (spot.value as Record<string | number, unknown>)[key];
    const path = `${spot.path}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const outcomes: Spot["outcomes"] = this.#outcomes.get(path) ?? new Map();
    this.#outcomes.set(path, outcomes);
    return this.evaluate(schema, { value, path, depth: spot.depth + 1, outcomes }).error;
  }

  #findError(schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
    const wrong = checkScalar(schema, spot.value);
    if (wrong !== null) return say(spot, wrong);
    for (const rule of RULES) {
      const error = rule(this, schema, spot, seen);
      if (error !== null) return error;
    }
    return null;
  }
}

function say({ path }: Spot, complaint: string): string {
  return `${path === "" ? "the value" : path} ${complaint}`;
}

const RULES: Rule[] = [checkReference, checkCombined, checkCondition, checkItems, checkContains, checkKeys];
RULES.push(checkNames, checkDependent, checkUnevaluated);

function checkReference(checker: Checker, { $ref: ref }: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  const target = typeof ref === "string" ? checker.resolve(ref) : null;
  return target === null ? null : checker.follow(target, spot, seen);
}

function checkCombined(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  for (const part of schemasAt(schema["allOf"])) {
    const error = checker.follow(part, spot, seen);
    if (error !== null) return error;
  }
  const { anyOf, oneOf, not } = schema;
  if (Array.isArray(anyOf)) {
    const errors = schemasAt(anyOf).map((branch) => checker.follow(branch, spot, seen));
    if (!errors.includes(null)) return nearestError(errors, spot) ?? say(spot, "fits none of the schemas of anyOf");
  }
  if (Array.isArray(oneOf)) {
    const errors = schemasAt(oneOf).map((branch) => checker.follow(branch, spot, seen));
    const fitting = errors.filter((error) => error === null).length;
    if (fitting > 1) return say(spot, "fits more than one of the schemas of oneOf");
    if (fitting === 0) return nearestError(errors, spot) ?? say(spot, "fits none of the schemas of oneOf");
  }
  const isNot = isSchema(not) && checker.evaluate(not, { ...spot, depth: spot.depth + 1 }).error === null;
  return isNot ? say(spot, "fits a schema that it must not fit") : null;
}

/** The error of the only branch that is not about the value as a whole, which is the one that was meant. */
function nearestError(errors: (string | null)[], spot: Spot): string | null {
  const inner = errors.filter((error) => error?.startsWith(`${spot.path}/`) === true);
  return errors.length === 1 ? errors[0]! : inner.length === 1 ? inner[0]! : null;
}

function checkCondition(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  const { if: condition, then: after, else: otherwise } = schema;
  if (!isSchema(condition)) return null;
  const chosen = checker.follow(condition, spot, seen) === null ? after : otherwise;
  return isSchema(chosen) ? checker.follow(chosen, spot, seen) : null;
}

function checkItems(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  if (!Array.isArray(spot.value)) return null;
  const { items, prefixItems, additionalItems } = schema;
  const first = schemasAt(Array.isArray(items) ? items : prefixItems);
  const rest = Array.isArray(items) ? additionalItems : items;
  for (const at of spot.value.keys()) {
    const item = first[at] ?? (isSchema(rest) ? rest : null);
    if (item === null) return null;
    seen.add(String(at));
    const error = checker.descend(item, spot, at);
    if (error !== null) return error;
  }
  return null;
}

function checkContains(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  const { contains, minContains, maxContains } = schema;
  if (!Array.isArray(spot.value) || !isSchema(contains)) return null;
  const found = [...spot.value.keys()].filter((at) => checker.descend(contains, spot, at) === null);
  for (const at of found) seen.add(String(at));
  const least = typeof minContains === "number" ? minContains : 1;
  if (found.length < least) return say(spot, `must hold at least ${least} items of the kind it has to contain`);
  if (typeof maxContains !== "number" || found.length <= maxContains) return null;
  return say(spot, `must hold at most ${maxContains} items of the kind it has to contain`);
}

function checkKeys(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  if (!isObject(spot.value)) return null;
  const { properties, patternProperties, additionalProperties } = schema;
  const named = isObject(properties) ? properties : {};
  const patterns = isObject(patternProperties) ? Object.entries(patternProperties) : [];
  for (const key of Object.keys(spot.value)) {
    const own = Object.hasOwn(named, key) ? named[key] : undefined;
    const schemas = patterns.filter(([pattern]) => findPattern(pattern).test(key) === true).map(([, inner]) => inner);
    if (own !== undefined) schemas.unshift(own);
    if (schemas.length === 0 && isSchema(additionalProperties)) {
      if (additionalProperties === false) return say(spot, `must not have the key ${JSON.stringify(key)}`);
      schemas.push(additionalProperties);
    }
    if (schemas.length > 0) seen.add(key);
    for (const inner of schemas) {
      const error = isSchema(inner) ? checker.descend(inner, spot, key) : null;
      if (error !== null) return error;
    }
  }
  return null;
}

function checkNames(checker: Checker, { propertyNames }: SchemaObject, spot: Spot): string | null {
  if (!isObject(spot.value) || !isSchema(propertyNames)) return null;
  for (const key of Object.keys(spot.value)) {
    const error =
      checker.evaluate(propertyNames, { value: key, path: "", depth: spot.depth + 1, outcomes: new Map() }).error;
    if (error !== null) return say(spot, `must not have the key ${JSON.stringify(key)}: ${error}`);
  }
  return null;
}

function checkDependent(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  if (!isObject(spot.value)) return null;
  for (const keyword of ["dependentRequired", "dependentSchemas", "dependencies"]) {
    const dependent = schema[keyword];
    for (const [key, demand] of isObject(dependent) ? Object.entries(dependent) : []) {
      if (!Object.hasOwn(spot.value, key)) continue;
      const missing = Array.isArray(demand)
        ? demand.find((name) => !Object.hasOwn(spot.value as object, name))
        : undefined;
      if (missing !== undefined) {
        return say(spot, `must have the key ${JSON.stringify(missing)} beside ${JSON.stringify(key)}`);
      }
      const error = isSchema(demand) ? checker.follow(demand, spot, seen) : null;
      if (error !== null) return error;
    }
  }
  return null;
}

/** Last, for it asks what all others have left out. */
function checkUnevaluated(checker: Checker, schema: SchemaObject, spot: Spot, seen: Set<string>): string | null {
  const isArray = Array.isArray(spot.value);
  const inner = schema[isArray ? "unevaluatedItems" : "unevaluatedProperties"];
  if (!isSchema(inner) || typeof spot.value !== "object" || spot.value === null) return null;
  for (const key of Object.keys(spot.value)) {
    if (seen.has(key)) continue;
    const error = checker.descend(inner, spot, key);
    if (error !== null) return error;
    seen.add(key);
  }
  return null;
}

function schemasAt(list: unknown): JsonSchema[] {
  return Array.isArray(list) ? list.filter(isSchema) : [];
}
