import assert from "node:assert/strict";
import { ANONYMOUS, LOCAL, type Principal } from "../../lib/accounts/principal.ts";
import { createKeyPrincipal } from "../../lib/accounts/key_principals.ts";
import { requireAdministrator } from "./principal.ts";

Deno.test("requireAdministrator() lets pass administrators by credentials that may do it, and nobody else", () => {
  const admin: Principal = { ...LOCAL, kind: "session", userId: crypto.randomUUID(), owner: "somebody" };
  for (const principal of [LOCAL, createKeyPrincipal("correct-horse-battery"), admin]) requireAdministrator(principal);
  const user: Principal = { ...admin, role: "user", scopes: ["inference", "read", "write"] };
  const narrowKey: Principal = { ...admin, kind: "key", scopes: ["inference"] };
  for (const principal of [ANONYMOUS, user, narrowKey]) {
    assert.throws(() => requireAdministrator(principal), { code: "forbidden" }, principal.kind);
  }
});
