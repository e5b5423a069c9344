import type { Page } from "../contracts/conversation.ts";
import { DomainError } from "../errors.ts";

/** Where a page begins and how long it is at most. */
export interface PageRequest {
  /** {@linkcode Page.nextCursor} of the page before, or null for the first one. */
  cursor: string | null;
  limit: number;
}

/** What one value of a cursor may be; a regular expression is one. */
export interface CursorPart {
  test(text: string): boolean;
}

/**
 * The values that the cursor of a list holds, or null without one.
 *
 * @throws {DomainError} `invalid_request` for a cursor that does not look like this list's.
 */
export function readCursor(cursor: string | null, patterns: readonly CursorPart[]): string[] | null {
  if (cursor === null) return null;
  const values = cursor.split("~");
  if (values.length === patterns.length && patterns.every((pattern, at) => pattern.test(values[at]!))) return values;
  throw new DomainError("invalid_request", 'Invalid value of "cursor": expected the nextCursor of a page', {
    param: "cursor",
  });
}

/** A page of rows of which one more than `limit` was asked for; `keyOf` names the values of the cursor. */
export function toPage<Row>(
  rows: readonly Row[],
  { limit, keyOf }: { limit: number; keyOf(row: Row): readonly (string | number)[] },
): Page<Row> {
  const data = rows.slice(0, limit);
  const last = data.at(-1);
  return { data, nextCursor: rows.length > limit && last !== undefined ? keyOf(last).join("~") : null };
}

/** What a cursor may hold: an id, a time to the microsecond, and a small number. */
export const CURSOR_PARTS = {
  id: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  time: { test: isTime },
  number: /^\d{1,9}$/,
} as const;

/** Postgres takes no day that there is not, such as the 30th of February, and has no year 0. */
function isTime(text: string): boolean {
  if (!/^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(text)) return false;
  const seconds = text.slice(0, "2026-01-01T00:00:00".length);
  const time = new Date(`${seconds}Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(seconds);
}
