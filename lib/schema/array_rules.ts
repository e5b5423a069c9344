import type { Located } from "./document.ts";
import type { Facts } from "./facts.ts";
import { addSpace, repeatRule } from "./primitives.ts";
import type { Alternative, ValueCompiler } from "./value_compiler.ts";

/** The array that facts describe, or null when there is none. */
export function arrayRule(
  { itemShapes, counts }: Facts,
  compiler: ValueCompiler,
): Alternative | null {
  const tupleLength = Math.max(0, ...itemShapes.map(({ first }) => first.length));
  const isTuple = tupleLength > 0;
  // A tuple is whole unless it says how short it may be, and nothing follows it unless that is foreseen.
  const min = isTuple && counts.minItems === 0 ? Math.min(tupleLength, counts.maxItems) : counts.minItems;
  let max = counts.maxItems;
  const tuple: string[] = [];
  for (let at = 0; at < Math.min(tupleLength, max); at++) {
    const item = compiler.compile(schemasAt(itemShapes, at));
    if (item === null) max = at;
    else tuple.push(item);
  }
  const rests = itemShapes.flatMap(({ rest }) => rest ?? []);
  const hasRest = max > tupleLength && (!isTuple || rests.length > 0 || min > tupleLength);
  const rest = hasRest ? compiler.compile(rests) : null;
  if (rest === null) max = Math.min(max, tuple.length);
  if (min > max) return null;
  const needs = [...tuple.slice(0, min), ...(rest !== null && min > tuple.length ? [rest] : [])];
  const uses = rest === null ? tuple : [...tuple, rest];
  return { body: writeArray({ tuple, rest, min, max, compiler }), needs, uses, alias: null };
}

function schemasAt(shapes: Facts["itemShapes"], at: number): Located[] {
  return shapes.flatMap(({ first, rest }) => first[at] ?? rest ?? []);
}

interface ArrayParts {
  tuple: string[];
  rest: string | null;
  min: number;
  max: number;
  compiler: ValueCompiler;
}

function writeArray({ tuple, rest, min, max, compiler: { rules } }: ArrayParts): string {
  const sp = addSpace(rules);
  if (max === 0) return '"[]"';
  const count = tuple.length;
  let tail = "";
  if (rest !== null) {
    const more = rules.add("more", `"," ${sp} ${rest}`);
    const from = Math.max(count, 1);
    tail = repeatRule(more, { min: Math.max(0, min - from), max: max - from, rules });
    if (count === 0) return wrap(`${rest} ${tail}`, min === 0);
  }
  for (let at = count - 1; at > 0; at--) {
    const next = `"," ${sp} ${tuple[at]} ${tail}`;
    tail = at >= min ? `${rules.add("more", next)}?` : next;
  }
  return wrap(`${tuple[0]} ${tail}`, min === 0);
}

function wrap(items: string, isOptional: boolean): string {
  return isOptional ? `"[" (${items})? "]"` : `"[" ${items} "]"`;
}
