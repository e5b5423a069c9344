import type { Located, SchemaDocument } from "./document.ts";
import { isObject, type JsonType, type SchemaObject, typesOf } from "./keywords.ts";

/** Where branches stand: their document, and the types that are said of all of them. */
interface Surroundings {
  document: SchemaDocument;
  types: JsonType[] | null;
}

/**
 * Two branches of `oneOf` of which it is not plain that no value fits both, by their numbers; null when there are none.
 * Branches differ plainly by their types, by listed values, or by what a key holds that both require.
 */
export function findOverlap(branches: readonly Located[], around: Surroundings): [number, number] | null {
  const sides = branches.map(({ schema }) => follow(schema, around));
  for (const [b, right] of sides.entries()) {
    for (const [a, left] of sides.slice(0, b).entries()) {
      if (!areApart(left, right, around)) return [a, b];
    }
  }
  return null;
}

function follow(schema: unknown, { document }: Surroundings): SchemaObject {
  let found = schema;
  for (let hops = 0; hops < 16 && isObject(found) && typeof found["$ref"] === "string"; hops++) {
    found = document.resolve(found["$ref"]).schema;
  }
  return isObject(found) ? found : {};
}

function areApart(left: SchemaObject, right: SchemaObject, around: Surroundings): boolean {
  const [leftValues, rightValues] = [valuesOf(left), valuesOf(right)];
  if (leftValues !== null && rightValues !== null) {
    const texts = new Set(leftValues.map((value) => JSON.stringify(value)));
    const isShared = (value: unknown) =>
      texts.has(JSON.stringify(value)) || typeof value === "object" && value !== null;
    if (!rightValues.some(isShared)) return true;
  }
  const [leftTypes, rightTypes] = [kindsOf(left) ?? around.types, kindsOf(right) ?? around.types];
  if (leftTypes !== null && rightTypes !== null && !leftTypes.some((type) => rightTypes.includes(type))) return true;
  const [leftKeys, rightKeys] = [requiredOf(left, around), requiredOf(right, around)];
  // Where neither says a type, the grammar writes objects, for which their keywords are.
  const areObjects = (leftTypes === null && rightTypes === null) ||
    (isOnlyObject(leftTypes) && isOnlyObject(rightTypes));
  return areObjects && [...leftKeys].some(([name, schema]) => {
    const other = rightKeys.get(name);
    if (other === undefined || valuesOf(schema) === null || valuesOf(other) === null) return false;
    return areApart(schema, other, { ...around, types: null });
  });
}

function valuesOf(schema: SchemaObject): unknown[] | null {
  const values = schema["const"] === undefined ? schema["enum"] : [schema["const"]];
  if (!Array.isArray(values)) return null;
  return schema["nullable"] === true ? [...values, null] : values;
}

/** The types that fit, a whole number being a number; null when that is not said. */
function kindsOf(schema: SchemaObject): JsonType[] | null {
  const values = valuesOf(schema);
  const types = typesOf(schema) ?? values?.map(typeOf) ?? null;
  if (types === null) return null;
  const kinds = types.map((type): JsonType => type === "integer" ? "number" : type as JsonType);
  return schema["nullable"] === true ? [...kinds, "null"] : kinds;
}

function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value as JsonType;
}

function isOnlyObject(types: JsonType[] | null): boolean {
  return types !== null && types.every((type) => type === "object");
}

function requiredOf({ required, properties }: SchemaObject, around: Surroundings): Map<string, SchemaObject> {
  const found = new Map<string, SchemaObject>();
  if (!Array.isArray(required) || !isObject(properties)) return found;
  for (const name of required) {
    if (Object.hasOwn(properties, name)) found.set(name, follow(properties[name], around));
  }
  return found;
}
