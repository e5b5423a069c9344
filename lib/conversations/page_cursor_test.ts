import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { CURSOR_PARTS, readCursor } from "./page_cursor.ts";

Deno.test("readCursor() takes the times that Postgres writes, and refuses those that it would not read", () => {
  for (const time of ["2026-11-24T17:00:00Z", "2024-02-29T23:59:59.123456Z", "2026-01-01T00:00:00.1Z"]) {
    assert.deepEqual(readCursor(time, [CURSOR_PARTS.time]), [time]);
  }
  const refused = ["2026-99-99T00:00:00Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-01T24:00:00Z"];
  for (const time of [...refused, "2026-01-01T00:00:60Z", "yesterday"]) {
    assert.throws(
      () => readCursor(time, [CURSOR_PARTS.time]),
      (error) => error instanceof DomainError && error.code === "invalid_request",
      time,
    );
  }
});
