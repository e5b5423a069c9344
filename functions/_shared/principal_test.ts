import assert from "node:assert/strict";
import { createAuthenticate, requireAdministrator } from "./principal.ts";

Deno.test("requireAdministrator() lets pass whom there is today, and nobody whose role is not known", () => {
  const key = "correct-horse-battery";
  requireAdministrator(createAuthenticate(null)(null));
  requireAdministrator(createAuthenticate(key)(`Bearer ${key}`));
  for (const owner of ["", "account-1", "localhost", "a-key-1"]) {
    assert.throws(() => requireAdministrator(owner), { code: "forbidden" }, owner);
  }
});
