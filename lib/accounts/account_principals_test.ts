import assert from "node:assert/strict";
import type { Database } from "../database/database.ts";
import { silentLogger } from "../log.ts";
import { AccessTokens } from "./access_tokens.ts";
import { openAccountPrincipals } from "./account_principals.ts";
import { API_KEY_PREFIX } from "./tokens.ts";

/** A database that knows keys of one account alone, and counts how often it is asked. */
function createKeyDatabase(userId: string) {
  const keyId = crypto.randomUUID();
  let scopes = ["inference", "read"];
  let asked = 0;
  let notify: (payload: string) => void = () => {};
  const database: Database = {
    transaction: (_, work) => {
      asked++;
      const rows = [{ key_id: keyId, user_id: userId, role: "user", scopes }];
      return work({ query: <Row extends object>() => Promise.resolve(rows as unknown as Row[]) });
    },
    asOwner: () => assert.fail("Nothing here is the owner's"),
    listen: (_, onNotify) => {
      notify = onNotify;
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return {
    database,
    notify: (payload: object) => notify(JSON.stringify(payload)),
    setScopes: (now: string[]) => scopes = now,
    takeAsked() {
      const count = asked;
      asked = 0;
      return count;
    },
  };
}

Deno.test("However many requests a key has under way, one look at the key is enough to end all of them", async () => {
  const userId = crypto.randomUUID();
  const keys = createKeyDatabase(userId);
  const tokens = new AccessTokens({ secret: "7f0pNw-3kQzLr9sXvB1dYt6mHcEuGa2J" });
  await using principals = await openAccountPrincipals({
    database: keys.database,
    tokens,
    apiKey: null,
    log: silentLogger,
    recheckMs: 3_600_000,
  });
  const bearer = API_KEY_PREFIX + "A".repeat(43);
  const watches = await Promise.all(Array.from({ length: 300 }, async () => {
    return principals.watch(await principals.resolve({ bearer, cookie: null, isLocal: false }));
  }));
  keys.takeAsked();
  keys.notify({ user: crypto.randomUUID() });
  assert.equal(keys.takeAsked(), 0, "Another account is no reason to look");
  keys.notify({ user: userId });
  keys.notify({});
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(keys.takeAsked(), 2);
  assert.ok(watches.every(({ signal }) => !signal.aborted));
  keys.setScopes(["read"]);
  keys.notify({ user: userId });
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(keys.takeAsked(), 1);
  for (const { signal, end } of watches) {
    assert.equal(signal.reason?.code, "session_revoked");
    end();
  }
});
