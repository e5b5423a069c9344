import type { JsonSchema } from "../contracts/chat.ts";
import { isPattern } from "./pattern.ts";

/** A schema that is not a boolean: keywords and what they say. */
export type SchemaObject = Record<string, unknown>;

/** The types that JSON Schema knows. */
export type JsonType = "array" | "boolean" | "integer" | "null" | "number" | "object" | "string";

/** All of them; `integer` is a part of `number`. */
export const JSON_TYPES: readonly JsonType[] = ["object", "array", "string", "number", "integer", "boolean", "null"];

const COUNTS = [
  ...["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"],
  ...["minContains", "maxContains"],
];
const NUMBERS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
const SCHEMAS = [
  ...["items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"],
  ...["unevaluatedItems", "unevaluatedProperties"],
];
const SCHEMA_LISTS = ["allOf", "anyOf", "oneOf", "prefixItems"];
const SCHEMA_MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/** Keywords that no grammar here can hold, whatever they say. */
export const UNSUPPORTED: readonly string[] = [
  ...["not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "contains"],
  ...["unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"],
];

/** Most values of one `enum`, and how deep they may nest. */
const VALUES_MAX = 2_000;
const VALUE_DEPTH_MAX = 64;
/** Most keys of one object: llama.cpp goes through those that may be left out in recursion. */
const KEYS_MAX = 2_000;
/** Most `patternProperties` of one object: each doubles the kinds of keys. */
const KEY_PATTERNS_MAX = 6;

/** Whether something is a schema at all. */
export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "boolean" || isObject(value);
}

/** Whether something is a JSON object. */
export function isObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The schemas that stand directly in a schema, each with the rest of its place: `.properties.a`, `.anyOf[0]`. */
export function subschemasOf(schema: SchemaObject): { path: string; schema: JsonSchema }[] {
  const found: { path: string; schema: unknown }[] = [];
  for (const keyword of SCHEMAS) {
    const inner = schema[keyword];
    if (keyword === "items" && Array.isArray(inner)) addList(keyword, inner);
    else if (inner !== undefined) found.push({ path: `.${keyword}`, schema: inner });
  }
  for (const keyword of SCHEMA_LISTS) {
    const list = schema[keyword];
    if (Array.isArray(list)) addList(keyword, list);
  }
  for (const keyword of [...SCHEMA_MAPS, "dependencies"]) {
    const map = schema[keyword];
    if (!isObject(map)) continue;
    for (const [name, inner] of Object.entries(map)) {
      if (keyword !== "dependencies" || !Array.isArray(inner)) {
        found.push({ path: placeOfKey(keyword, name), schema: inner });
      }
    }
  }
  function addList(keyword: string, list: unknown[]): void {
    for (const [index, inner] of list.entries()) found.push({ path: `.${keyword}[${index}]`, schema: inner });
  }
  return found as { path: string; schema: JsonSchema }[];
}

/** The rest of the place of a schema that stands under a name: `.properties.a`. */
export function placeOfKey(keyword: string, name: string): string {
  return `.${keyword}.${name.length > 64 ? `${name.slice(0, 63)}…` : name}`;
}

/** What is wrong with the keywords of one schema, as the beginning of a sentence, or null. Inner schemas are not checked. */
export function checkKeywords(schema: SchemaObject): string | null {
  return checkType(schema) ?? checkNumbers(schema) ?? checkTexts(schema) ?? checkLists(schema) ?? checkBounds(schema);
}

/** The types that a schema names, or null when it names none. */
export function typesOf(schema: SchemaObject): JsonType[] | null {
  const { type } = schema;
  if (type === undefined) return null;
  return (Array.isArray(type) ? type : [type]).filter((name) => JSON_TYPES.includes(name));
}

function checkType({ type }: SchemaObject): string | null {
  if (type === undefined) return null;
  const names: unknown[] = Array.isArray(type) ? type : [type];
  if (names.length === 0) return '"type" names no type';
  const wrong = names.find((name) => !JSON_TYPES.some((known) => known === name));
  return wrong === undefined ? null : `Unknown type ${JSON.stringify(wrong)}`;
}

function checkNumbers(schema: SchemaObject): string | null {
  for (const keyword of COUNTS) {
    const value = schema[keyword];
    if (value !== undefined && !(Number.isInteger(value) && Number(value) >= 0)) {
      return `"${keyword}" has to be a whole number of at least 0`;
    }
  }
  for (const keyword of NUMBERS) {
    const value = schema[keyword];
    // OpenAPI 3.0 and draft 4 say whether `minimum` itself is left out.
    const isOldForm = keyword.startsWith("exclusive") && typeof value === "boolean";
    if (value !== undefined && !isOldForm && !Number.isFinite(value)) return `"${keyword}" has to be a number`;
  }
  const { multipleOf } = schema;
  if (multipleOf === undefined || (Number.isFinite(multipleOf) && Number(multipleOf) > 0)) return null;
  return '"multipleOf" has to be a number above 0';
}

function checkTexts(schema: SchemaObject): string | null {
  for (const keyword of ["$ref", "pattern", "format"]) {
    const value = schema[keyword];
    if (value !== undefined && typeof value !== "string") return `"${keyword}" has to be a text`;
  }
  for (const keyword of ["uniqueItems", "nullable"]) {
    const value = schema[keyword];
    if (value !== undefined && typeof value !== "boolean") return `"${keyword}" has to be true or false`;
  }
  const { pattern, patternProperties } = schema;
  const patterns = isObject(patternProperties) ? Object.keys(patternProperties) : [];
  if (typeof pattern === "string") patterns.push(pattern);
  const wrong = patterns.find((text) => !isPattern(text));
  return wrong === undefined ? null : `Invalid regular expression ${JSON.stringify(wrong.slice(0, 80))}`;
}

function checkLists(schema: SchemaObject): string | null {
  for (const keyword of SCHEMA_LISTS) {
    const list = schema[keyword];
    if (list !== undefined && !(Array.isArray(list) && list.length > 0)) {
      return `"${keyword}" has to be a list of at least one schema`;
    }
  }
  for (const keyword of [...SCHEMA_MAPS, "dependentRequired", "dependencies"]) {
    const map = schema[keyword];
    // Programs in Go write an empty list or map as null.
    if (map !== undefined && !isObject(map) && !(map === null && keyword === "properties")) {
      return `"${keyword}" has to be an object`;
    }
  }
  const { required, enum: values } = schema;
  if (required !== undefined && required !== null && !isNameList(required)) {
    return '"required" has to be a list of names';
  }
  if (values !== undefined && !(Array.isArray(values) && values.length > 0)) {
    return '"enum" has to be a list of at least one value';
  }
  if (Array.isArray(values) && values.length > VALUES_MAX) return `"enum" has more than ${VALUES_MAX} values`;
  if (isDeep(values, VALUE_DEPTH_MAX) || isDeep(schema["const"], VALUE_DEPTH_MAX)) {
    return "A value is nested too deeply";
  }
  if (isObject(schema["properties"]) && Object.keys(schema["properties"]).length > KEYS_MAX) {
    return `There are more than ${KEYS_MAX} properties`;
  }
  if (isObject(schema["patternProperties"]) && Object.keys(schema["patternProperties"]).length > KEY_PATTERNS_MAX) {
    return `There are more than ${KEY_PATTERNS_MAX} patternProperties`;
  }
  const dependent = isObject(schema["dependentRequired"]) ? Object.values(schema["dependentRequired"]) : [];
  return dependent.every(isNameList) ? null : '"dependentRequired" has to hold lists of names';
}

/** Whether a value is nested deeper than so many levels. Does not recurse itself. */
export function isDeep(value: unknown, levelsMax: number): boolean {
  let level: unknown[] = [value];
  for (let levels = 0; level.length > 0; levels++) {
    if (levels > levelsMax + 1) return true;
    level = level.flatMap((inner) => typeof inner === "object" && inner !== null ? Object.values(inner) : []);
  }
  return false;
}

function isNameList(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

function checkBounds(schema: SchemaObject): string | null {
  const pairs = [["minLength", "maxLength"], ["minItems", "maxItems"], ["minProperties", "maxProperties"]] as const;
  for (const [low, high] of [...pairs, ["minimum", "maximum"] as const]) {
    const [min, max] = [schema[low], schema[high]];
    if (typeof min === "number" && typeof max === "number" && min > max) {
      return `"${low}" ${min} is above "${high}" ${max}`;
    }
  }
  return null;
}
