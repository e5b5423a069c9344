import { FORMATS } from "./formats.ts";
import { isObject, type JsonType, type SchemaObject, typesOf } from "./keywords.ts";
import { parseDecimal } from "./number_rules.ts";
import { findPattern } from "./pattern.ts";

/** What is wrong with a value by those keywords that hold no schema: `must be a string`. Null when nothing is. */
export function checkScalar(schema: SchemaObject, value: unknown): string | null {
  const types = typesOf(schema);
  if (types !== null && !types.some((type) => fitsType(value, type))) {
    return `must be ${types.map(nameType).join(" or ")}`;
  }
  const { const: only, enum: values } = schema;
  if (only !== undefined && !equals(only, value)) return `must be ${shorten(only)}`;
  if (Array.isArray(values) && !keysOf(values).has(toKey(value))) {
    return `must be one of ${values.slice(0, 8).map(shorten).join(", ")}${values.length > 8 ? ", …" : ""}`;
  }
  if (typeof value === "number") return checkNumber(schema, value);
  if (typeof value === "string") return checkText(schema, value);
  if (Array.isArray(value)) return checkArray(schema, value);
  return isObject(value) ? checkObject(schema, value) : null;
}

/** Whether a value is of a type; 1.0 is a whole number. */
function fitsType(value: unknown, type: JsonType): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  const typeName: string = typeof value;
  return type === "null" ? value === null : typeName === type;
}

function nameType(type: JsonType): string {
  return type === "null" ? "null" : `${/^[aio]/.test(type) ? "an" : "a"} ${type}`;
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function checkNumber(schema: SchemaObject, value: number): string | null {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === "number") {
    if (exclusiveMinimum === true ? value <= minimum : value < minimum) return `must be at least ${minimum}`;
  }
  if (typeof maximum === "number") {
    if (exclusiveMaximum === true ? value >= maximum : value > maximum) return `must be at most ${maximum}`;
  }
  if (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum) return `must be above ${exclusiveMinimum}`;
  if (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum) return `must be below ${exclusiveMaximum}`;
  const isMultiple = typeof multipleOf !== "number" || isMultipleOf(value, multipleOf);
  return isMultiple ? null : `must be a multiple of ${multipleOf}`;
}

/** Whether a number is a multiple, reckoned with the decimal digits that people write: 0.3 is one of 0.1. */
export function isMultipleOf(value: number, factor: number): boolean {
  if (!Number.isFinite(value) || !(factor > 0)) return false;
  const [left, right] = [parseDecimal(value), parseDecimal(factor)];
  const exponent = Math.min(left.exponent, right.exponent);
  const scale = (part: typeof left) => part.digits * 10n ** BigInt(part.exponent - exponent);
  return scale(left) % scale(right) === 0n;
}

function checkText(schema: SchemaObject, value: string): string | null {
  const { minLength, maxLength, pattern, format } = schema;
  if (typeof minLength === "number" || typeof maxLength === "number") {
    const wrong = checkCount([...value].length, { min: minLength, max: maxLength, noun: "character" });
    if (wrong !== null) return wrong;
  }
  if (typeof pattern === "string" && findPattern(pattern).test(value) === false) {
    return `must match the pattern ${pattern.length > 80 ? `${pattern.slice(0, 79)}…` : pattern}`;
  }
  const known = typeof format === "string" ? FORMATS.get(format) : undefined;
  return known !== undefined && findPattern(known).test(value) === false ? `must be of the format ${format}` : null;
}

function checkArray(schema: SchemaObject, value: unknown[]): string | null {
  const { minItems, maxItems, uniqueItems } = schema;
  const wrong = checkCount(value.length, { min: minItems, max: maxItems, noun: "item" });
  if (wrong !== null || uniqueItems !== true) return wrong;
  const seen = new Set(value.map(toKey));
  return seen.size === value.length ? null : "must not hold the same item twice";
}

function checkObject(schema: SchemaObject, value: SchemaObject): string | null {
  const { minProperties, maxProperties, required } = schema;
  const missing = Array.isArray(required) ? required.find((name) => !Object.hasOwn(value, name)) : undefined;
  if (missing !== undefined) return `must have the key ${JSON.stringify(missing)}`;
  return checkCount(Object.keys(value).length, { min: minProperties, max: maxProperties, noun: "key" });
}

function checkCount(count: number, { min, max, noun }: { min: unknown; max: unknown; noun: string }): string | null {
  const say = (word: string, bound: number) => `must have at ${word} ${bound} ${noun}${bound === 1 ? "" : "s"}`;
  if (typeof min === "number" && count < min) return say("least", min);
  return typeof max === "number" && count > max ? say("most", max) : null;
}

/** Keys of lists of values, which are asked for each value of a list again. */
const keys = new WeakMap<readonly unknown[], Set<string>>();

function keysOf(values: readonly unknown[]): Set<string> {
  const known = keys.get(values) ?? new Set(values.map(toKey));
  keys.set(values, known);
  return known;
}

/** Whether two JSON values are the same, whatever the order of keys. */
function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  return toKey(a) === toKey(b);
}

/** A text that is the same for equal JSON values and for no others. */
function toKey(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toKey).join()}]`;
  // Zero and negative zero are one number, which JSON.stringify writes as 0.
  if (!isObject(value)) return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${toKey(value[key])}`).join()}}`;
}
