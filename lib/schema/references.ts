import type { JsonSchema } from "../contracts/chat.ts";
import { isSchema, subschemasOf } from "./keywords.ts";

/**
 * The schema that a `$ref` leads to within its own document, or null: a JSON pointer (RFC 6901) such as `#/$defs/a`, an
 * anchor such as `#a`, or either behind the document's own `$id`. Nothing is ever fetched.
 */
export function findReference(top: JsonSchema, ref: string): JsonSchema | null {
  const id = typeof top === "object" && typeof top["$id"] === "string" ? top["$id"].replace(/#$/, "") : "";
  const local = ref.startsWith("#") || id === "" || !ref.startsWith(id) ? ref : ref.slice(id.length);
  if (local === "" || local === "#") return top;
  if (!local.startsWith("#")) return null;
  const fragment = decodeFragment(local.slice(1));
  return fragment.startsWith("/") ? followPointer(top, fragment) : findAnchor(top, fragment);
}

function decodeFragment(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function followPointer(top: JsonSchema, pointer: string): JsonSchema | null {
  let found: unknown = top;
  for (const part of pointer.slice(1).split("/")) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return null;
    found = (found as Record<string, unknown>)[key];
  }
  return isSchema(found) ? found : null;
}

function findAnchor(top: JsonSchema, name: string): JsonSchema | null {
  const seen = new Set<unknown>();
  const todo: unknown[] = [top];
  for (let schema = todo.pop(); schema !== undefined; schema = todo.pop()) {
    if (!isSchema(schema) || typeof schema === "boolean" || seen.has(schema)) continue;
    seen.add(schema);
    if (schema["$anchor"] === name || schema["$id"] === `#${name}`) return schema;
    for (const { schema: inner } of subschemasOf(schema)) todo.push(inner);
  }
  return null;
}
