import type { JsonSchema } from "../contracts/chat.ts";
import type { Located, SchemaDocument } from "./document.ts";
import { isObject, isSchema, type JsonType, placeOfKey, type SchemaObject, typesOf, UNSUPPORTED } from "./keywords.ts";
import { findPattern } from "./pattern.ts";

/** What one schema object says about the keys of an object. */
export interface KeyShape {
  named: Map<string, Located>;
  patterns: { pattern: string; value: Located }[];
  /** For all other keys; null when it says nothing. */
  other: Located | null;
}

/** What one schema object says about the items of an array. */
export interface ItemShape {
  first: Located[];
  /** For all that follow; null when it says nothing. */
  rest: Located | null;
}

/** `anyOf` or `oneOf`: schemas of which a value has to fit at least one. */
export interface Choice {
  keyword: "anyOf" | "oneOf" | "nullable";
  place: string;
  branches: Located[];
}

/** A bound of numbers. */
interface Bound {
  value: number;
  exclusive: boolean;
}

/** Longest way through `$ref` and `allOf` from a schema to what it says. */
const TRAIL_MAX = 100;
const NULL_SCHEMA: JsonSchema = { type: "null" };

/** Everything that schemas which hold together say of one value, `$ref` and `allOf` followed. */
export class Facts {
  types: JsonType[] | null = null;
  readonly sources: Located[] = [];
  readonly choices: Choice[] = [];
  /** Lists of values of which the value has to be one: of `enum` and `const`. */
  readonly valueLists: unknown[][] = [];
  readonly keyShapes: KeyShape[] = [];
  readonly keyNames: Located[] = [];
  readonly required = new Set<string>();
  readonly itemShapes: ItemShape[] = [];
  readonly patterns: { pattern: string; place: string }[] = [];
  readonly formats: { format: string; place: string }[] = [];
  readonly multiples: { value: number; place: string }[] = [];
  readonly counts = {
    minLength: 0,
    maxLength: Infinity,
    minItems: 0,
    maxItems: Infinity,
    minProperties: 0,
    maxProperties: Infinity,
  };
  min: Bound | null = null;
  max: Bound | null = null;
  /** Types that keywords are for, where no `type` is said. */
  readonly hinted = new Set<JsonType>();
  /** Nothing fits. */
  impossible = false;
  #absorbed = new Set<JsonSchema>();

  constructor(private readonly document: SchemaDocument, private readonly strict: boolean) {}

  /** A copy that can go on to absorb more. */
  branch(without: Choice): Facts {
    const copy = new Facts(this.document, this.strict);
    for (const choice of this.choices) if (choice !== without) copy.choices.push(choice);
    for (
      const list of [
        "sources",
        "valueLists",
        "keyShapes",
        "keyNames",
        "itemShapes",
        "patterns",
        "formats",
        "multiples",
      ] as const
    ) copy[list].push(...(this[list] as never[]));
    for (const name of this.required) copy.required.add(name);
    for (const type of this.hinted) copy.hinted.add(type);
    Object.assign(copy.counts, this.counts);
    copy.types = this.types;
    copy.min = this.min;
    copy.max = this.max;
    copy.impossible = this.impossible;
    copy.#absorbed = new Set(this.#absorbed);
    return copy;
  }

  /** Adds what a schema says. Throws where it is unsupported under `strict`, or leads in a circle. */
  absorb({ schema, place }: Located): void {
    this.#absorb({ schema, place }, []);
  }

  /** Whether the only thing said is one choice, so that each branch stands for itself. */
  isBareChoice(): boolean {
    const { choices, sources, types, hinted, valueLists, formats } = this;
    if (choices.length !== 1 || sources.length !== 1) return false;
    return types === null && hinted.size === 0 && valueLists.length === 0 && formats.length === 0;
  }

  #absorb({ schema, place }: Located, trail: JsonSchema[]): void {
    if (typeof schema === "boolean") {
      this.impossible ||= !schema;
      return;
    }
    if (trail.length > TRAIL_MAX) throw this.document.refuse("$ref and allOf nest too deeply", place);
    if (trail.includes(schema)) throw this.document.refuse("A schema leads back to itself by $ref or allOf", place);
    if (this.#absorbed.has(schema)) return;
    this.#absorbed.add(schema);
    if (schema["nullable"] === true) {
      const { nullable: _, ...rest } = schema;
      const branches = [{ schema: copyOf(schema, rest), place }, { schema: NULL_SCHEMA, place }];
      this.choices.push({ keyword: "nullable", place, branches });
      this.sources.push({ schema, place });
      return;
    }
    this.#refuseUnsupported(schema, place);
    this.sources.push({ schema, place });
    const inner = [...trail, schema];
    // Keys come in the order in which a schema tells of them, its own before or after those of others.
    const keywords = Object.keys(schema);
    const isOwnFirst = keywords.indexOf("properties") < keywords.indexOf("allOf");
    if (isOwnFirst) this.#absorbKeys(schema, place);
    if (typeof schema["$ref"] === "string") this.#absorb(this.document.resolve(schema["$ref"]), inner);
    for (const part of listAt(schema, place, "allOf")) this.#absorb(part, inner);
    if (!isOwnFirst) this.#absorbKeys(schema, place);
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const branches = listAt(schema, place, keyword);
      if (branches.length > 0) this.choices.push({ keyword, place: `${place}.${keyword}`, branches });
    }
    this.#absorbValues(schema);
    this.#absorbNumbers(schema, place);
    this.#absorbTexts(schema, place);
    this.#absorbItems(schema, place);
  }

  #refuseUnsupported(schema: SchemaObject, place: string): void {
    const { not } = schema;
    // What zod and others write for a key that must not be there.
    const isNever = not === true || (isObject(not) && Object.keys(not).length === 0);
    this.impossible ||= isNever;
    if (!this.strict) return;
    const keyword = UNSUPPORTED.find((name) => schema[name] !== undefined && !(name === "not" && isNever)) ??
      (schema["uniqueItems"] === true ? "uniqueItems" : undefined);
    if (keyword !== undefined) throw this.document.refuse(`Unsupported keyword "${keyword}"`, place);
  }

  #absorbValues(schema: SchemaObject): void {
    const types = typesOf(schema);
    if (types !== null) this.types = this.types === null ? types : intersectTypes(this.types, types);
    if (Array.isArray(schema["enum"])) this.valueLists.push(schema["enum"]);
    if (schema["const"] !== undefined) this.valueLists.push([schema["const"]]);
  }

  #absorbNumbers(schema: SchemaObject, place: string): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
    const add = (low: boolean, value: unknown, exclusive: boolean) => {
      if (typeof value !== "number") return;
      this.hinted.add("number");
      const known = low ? this.min : this.max;
      const isTighter = known === null || (low ? value > known.value : value < known.value) ||
        (value === known.value && exclusive);
      if (isTighter) this[low ? "min" : "max"] = { value, exclusive };
    };
    add(true, minimum, exclusiveMinimum === true);
    add(false, maximum, exclusiveMaximum === true);
    add(true, exclusiveMinimum, true);
    add(false, exclusiveMaximum, true);
    if (typeof multipleOf !== "number") return;
    this.hinted.add("number");
    this.multiples.push({ value: multipleOf, place });
  }

  #absorbTexts(schema: SchemaObject, place: string): void {
    const { pattern, format } = schema;
    this.#absorbCounts(schema, "Length", "string");
    if (typeof pattern === "string") this.patterns.push({ pattern, place });
    if (typeof format === "string") this.formats.push({ format, place });
    if (typeof pattern === "string") this.hinted.add("string");
  }

  #absorbItems(schema: SchemaObject, place: string): void {
    this.#absorbCounts(schema, "Items", "array");
    const { items, additionalItems } = schema;
    const isOldTuple = Array.isArray(items);
    const first = listAt(schema, place, isOldTuple ? "items" : "prefixItems");
    const restKeyword = isOldTuple ? "additionalItems" : "items";
    const rest = isOldTuple ? additionalItems : items;
    if (first.length === 0 && rest === undefined) return;
    this.hinted.add("array");
    this.itemShapes.push({ first, rest: isSchema(rest) ? { schema: rest, place: `${place}.${restKeyword}` } : null });
  }

  #absorbKeys(schema: SchemaObject, place: string): void {
    this.#absorbCounts(schema, "Properties", "object");
    const { properties, patternProperties, additionalProperties, propertyNames, required } = schema;
    if (Array.isArray(required)) {
      this.hinted.add("object");
      for (const name of required) this.required.add(name);
    }
    if (isSchema(propertyNames)) {
      this.hinted.add("object");
      this.keyNames.push({ schema: propertyNames, place: `${place}.propertyNames` });
    }
    const named = new Map(
      entriesAt(properties).map(([name, value]) => {
        return [name, { schema: value, place: place + placeOfKey("properties", name) }];
      }),
    );
    const patterns = entriesAt(patternProperties).map(([pattern, value]) => {
      return { pattern, value: { schema: value, place: place + placeOfKey("patternProperties", pattern) } };
    });
    const saysOther = isSchema(additionalProperties);
    if (!saysOther && patterns.length === 0 && properties === undefined) return;
    this.hinted.add("object");
    const other = saysOther ? { schema: additionalProperties, place: `${place}.additionalProperties` } : null;
    this.keyShapes.push({ named, patterns, other });
  }

  #absorbCounts(schema: SchemaObject, noun: "Length" | "Items" | "Properties", type: JsonType): void {
    const { [`min${noun}`]: min, [`max${noun}`]: max } = schema;
    if (typeof min === "number") this.counts[`min${noun}`] = Math.max(this.counts[`min${noun}`], min);
    if (typeof max === "number") this.counts[`max${noun}`] = Math.min(this.counts[`max${noun}`], max);
    if (min !== undefined || max !== undefined) this.hinted.add(type);
  }
}

/** What all shapes together say of the value under a key; none when the key is not foreseen and need not be offered. */
export function valueSchemasOf(shapes: readonly KeyShape[], key: string): Located[] {
  return shapes.flatMap(({ named, patterns, other }) => {
    const own = named.get(key);
    const matched = patterns.filter(({ pattern }) => findPattern(pattern)?.test(key) === true).map(({ value }) =>
      value
    );
    if (own !== undefined) matched.unshift(own);
    return matched.length === 0 && other !== null ? [other] : matched;
  });
}

const copies = new WeakMap<SchemaObject, SchemaObject>();

/** The same copy for the same schema, so that a recursion comes back to it. */
function copyOf(schema: SchemaObject, copy: SchemaObject): SchemaObject {
  const known = copies.get(schema);
  if (known !== undefined) return known;
  copies.set(schema, copy);
  return copy;
}

function listAt(schema: SchemaObject, place: string, keyword: string): Located[] {
  const list = schema[keyword];
  if (!Array.isArray(list)) return [];
  return list.map((inner, index) => ({ schema: inner, place: `${place}.${keyword}[${index}]` }));
}

function entriesAt(map: unknown): [string, JsonSchema][] {
  return typeof map === "object" && map !== null ? Object.entries(map) as [string, JsonSchema][] : [];
}

function intersectTypes(a: readonly JsonType[], b: readonly JsonType[]): JsonType[] {
  const isIn = (types: readonly JsonType[], type: JsonType) => {
    return types.includes(type) || (type === "integer" && types.includes("number"));
  };
  return [...new Set([...a.filter((type) => isIn(b, type)), ...b.filter((type) => isIn(a, type))])];
}
