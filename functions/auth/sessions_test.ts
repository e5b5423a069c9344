import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { respondWithEvents } from "../_shared/sse.ts";
import {
  type Browser,
  openTestHouse,
  PASSWORD,
  readRefusal,
  TEST_SECRET,
  type TestHouse,
} from "../../tests/fixtures/accounts.ts";
import { readJson } from "../../tests/fixtures/http.ts";

/** A function that says who asks, and one whose stream says something once and then waits for ever. */
function createProbe(edge: EdgeOptions): App[] {
  const app = createFunction("probe", edge, { scopes: ["inference"] });
  app.get("/probe", (c) => c.text(c.get("owner")));
  app.get("/probe/stream", (c) => {
    const abortion = new AbortController();
    async function* wait(): AsyncGenerator<object, void, void> {
      yield { began: true };
      await new Promise((resolve) => abortion.signal.addEventListener("abort", resolve, { once: true }));
    }
    return respondWithEvents(c, wait(), () => abortion.abort());
  });
  return [app];
}

async function openProbedHouse(): Promise<TestHouse> {
  return await openTestHouse({ more: createProbe });
}

const key = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });

async function makeKey(browser: Browser, scopes: string[]): Promise<{ id: string; key: string }> {
  const response = await browser.post("/api/keys", { name: "program", scopes });
  assert.equal(response.status, 201, await response.clone().text());
  return await response.json();
}

Deno.test("A session is refreshed, and a refresh token that comes back a second time ends it", async () => {
  await using house = await openProbedHouse();
  const browser = house.visit();
  await browser.join("ada@example.org");
  const old = new Map(browser.cookies);
  const refreshed = await browser.post("/api/auth/refresh");
  assert.equal(refreshed.status, 200);
  assert.equal((await readJson(refreshed)).account.email, "ada@example.org");
  assert.notEqual(browser.cookies.get("rookery_refresh"), old.get("rookery_refresh"));

  const tab = house.visit();
  for (const [name, value] of old) tab.cookies.set(name, value);
  assert.deepEqual(await readRefusal(await tab.post("/api/auth/refresh")), [409, "conflict"], "another tab, just now");
  assert.equal((await browser.get("/probe")).status, 200);

  await house.accounts.database.asOwner((session) =>
    session.query("update app.refresh_tokens set used_at = used_at - interval '1 minute' where used_at is not null")
  );
  assert.deepEqual(await readRefusal(await tab.post("/api/auth/refresh")), [401, "session_revoked"]);
  assert.deepEqual(await readRefusal(await browser.post("/api/auth/refresh")), [401, "session_revoked"]);
  assert.deepEqual(await readRefusal(await browser.get("/probe")), [401, "session_revoked"]);
});

Deno.test("An access token that has run out asks for a refresh, and makes nobody local", async () => {
  await using house = await openProbedHouse();
  const browser = house.visit();
  await browser.join("ada@example.org");
  house.clock.offsetMs = 11 * 60_000;
  assert.deepEqual(await readRefusal(await browser.get("/probe")), [401, "session_expired"]);
  browser.cookies.delete("rookery_session");
  assert.deepEqual(await readRefusal(await browser.get("/probe")), [401, "unauthorized"]);
  assert.equal((await browser.post("/api/auth/refresh")).status, 200);
  assert.equal((await browser.get("/probe")).status, 200);
  assert.equal(await (await house.visit().get("/probe")).text(), "local");
});

Deno.test("Logging out ends the session for whoever holds a copy, by either cookie", async () => {
  await using house = await openProbedHouse();
  for (const lost of [null, "rookery_session"]) {
    const browser = house.visit();
    const { accessToken } = await (lost === null ? browser.join("ada@example.org") : browser.logIn("ada@example.org"));
    if (lost !== null) browser.cookies.delete(lost);
    const response = await browser.post("/api/auth/logout");
    assert.equal(response.status, 200);
    assert.equal(browser.cookies.size, 0);
    assert.deepEqual(await readRefusal(await house.visit().send("GET", "/probe", key(accessToken))), [
      401,
      "session_revoked",
    ]);
  }
});

Deno.test("Logging out works although another tab has refreshed just now, and is in the audit log", async () => {
  await using house = await openProbedHouse();
  const { database } = house.accounts;
  const browser = house.visit();
  const { accessToken } = await browser.join("ada@example.org");
  const behind = house.visit();
  for (const [name, value] of browser.cookies) behind.cookies.set(name, value);
  const refreshed = await readJson(await browser.post("/api/auth/refresh"));
  behind.cookies.delete("rookery_session");
  assert.equal((await behind.post("/api/auth/logout")).status, 200);
  assert.equal(behind.cookies.size, 0);
  for (const token of [accessToken, refreshed.accessToken]) {
    const refusal = await readRefusal(await house.visit().send("GET", "/probe", key(token)));
    assert.deepEqual(refusal, [401, "session_revoked"]);
  }
  assert.deepEqual(await readRefusal(await browser.post("/api/auth/refresh")), [401, "session_revoked"]);
  await browser.logIn("ada@example.org");
  assert.equal((await browser.post("/api/auth/logout")).status, 200);
  const text = "select (actor::text = $1) as own, count(*) from app.audit_log where action = 'sign_out' group by 1";
  const noted = await database.asOwner((session) => session.query(text, [refreshed.account.id]));
  assert.deepEqual(noted, [{ own: true, count: 2 }]);
});

Deno.test("Sessions are listed for their account alone, and revoking one closes what it has open", async () => {
  await using house = await openProbedHouse();
  const ada = house.visit({ headers: { "user-agent": "first" } });
  await ada.join("ada@example.org");
  const second = house.visit({ headers: { "user-agent": "second" } });
  await second.logIn("ada@example.org");
  const { sessions } = await readJson(await ada.get("/api/auth/sessions"));
  assert.deepEqual(sessions.map((session: { current: boolean }) => session.current).sort(), [false, true]);
  const other = sessions.find((session: { userAgent: string }) => session.userAgent === "second");
  assert.equal(other.address, "127.0.0.1");

  const stream = (await second.get("/probe/stream")).body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await stream.read()).value ?? "", /began/);
  assert.equal((await ada.send("DELETE", `/api/auth/sessions/${other.id}`)).status, 200);
  assert.match((await stream.read()).value ?? "", /"code":"session_revoked"/);
  assert.equal((await stream.read()).done, true);
  assert.deepEqual(await readRefusal(await ada.send("DELETE", `/api/auth/sessions/${other.id}`)), [404, "not_found"]);
  assert.equal((await ada.get("/probe")).status, 200);
});

Deno.test("A key does what its scopes say and no more, is shown once, and ends at once with what it has open", async () => {
  await using house = await openProbedHouse();
  const ada = house.visit();
  const { account } = await ada.join("ada@example.org");
  const made = await makeKey(ada, ["inference"]);
  assert.match(made.key, /^rk_[\w-]{43}$/);
  const program = house.visit();
  const asked = await program.send("GET", "/probe", key(made.key));
  assert.equal(await asked.text(), account.id);
  const narrow = await makeKey(ada, ["read"]);
  assert.deepEqual(await readRefusal(await program.send("GET", "/probe", key(narrow.key))), [403, "forbidden"]);
  assert.deepEqual(await readRefusal(await program.send("GET", "/api/keys", key(made.key))), [403, "forbidden"]);
  assert.deepEqual(await readRefusal(await program.send("GET", "/probe", key(`rk_${"A".repeat(43)}`))), [
    401,
    "invalid_api_key",
  ]);

  const listed = await (await ada.get("/api/keys")).text();
  assert.ok(!listed.includes(made.key));
  assert.equal(JSON.parse(listed).keys.length, 2);
  assert.ok(JSON.parse(listed).keys.find(({ id }: { id: string }) => id === made.id).lastUsedAt !== null);

  const response = await program.send("GET", "/probe/stream", key(made.key));
  const stream = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  await stream.read();
  assert.equal((await ada.send("DELETE", `/api/keys/${made.id}`)).status, 200);
  assert.match((await stream.read()).value ?? "", /session_revoked/);
  assert.deepEqual(await readRefusal(await program.send("GET", "/probe", key(made.key))), [401, "invalid_api_key"]);
});

Deno.test("A suspended account's session and keys are refused with the next request, and its streams end", async () => {
  await using house = await openProbedHouse();
  const ada = house.visit();
  const { account } = await ada.join("ada@example.org");
  const made = await makeKey(ada, ["inference"]);
  const stream = (await ada.get("/probe/stream")).body!.pipeThrough(new TextDecoderStream()).getReader();
  await stream.read();
  await house.accounts.database.asOwner((session) =>
    session.query("update public.profiles set suspended_at = now() where id = $1", [account.id])
  );
  assert.deepEqual(await readRefusal(await ada.get("/probe")), [403, "account_suspended"]);
  assert.deepEqual(await readRefusal(await house.visit().send("GET", "/probe", key(made.key))), [
    403,
    "account_suspended",
  ]);
  assert.match((await stream.read()).value ?? "", /account_suspended/);
  assert.deepEqual(await readRefusal(await ada.post("/api/auth/refresh")), [403, "account_suspended"]);
  const login = await house.visit().post("/api/auth/login", { email: "ada@example.org", password: PASSWORD });
  assert.deepEqual(await readRefusal(login), [403, "account_suspended"]);
});

Deno.test("Another account's sessions and keys are not there for anybody else", async () => {
  await using house = await openProbedHouse();
  const ada = house.visit();
  await ada.join("ada@example.org");
  const { url } = await readJson(await ada.post("/api/admin/invitations", {}));
  const bob = house.visit();
  await bob.join("bob@example.org", { token: new URL(url).hash.replace("#token=", "") });
  const made = await makeKey(ada, ["admin", "read"]);
  const { sessions: [session] } = await readJson(await ada.get("/api/auth/sessions"));
  assert.deepEqual(await readRefusal(await bob.send("DELETE", `/api/auth/sessions/${session.id}`)), [404, "not_found"]);
  assert.deepEqual(await readRefusal(await bob.send("DELETE", `/api/keys/${made.id}`)), [404, "not_found"]);
  assert.equal((await readJson(await bob.get("/api/keys"))).keys.length, 0);
  assert.deepEqual(await readRefusal(await bob.post("/api/keys", { name: "x", scopes: ["admin"] })), [
    403,
    "forbidden",
  ]);
  assert.deepEqual(await readRefusal(await house.visit().post("/api/keys", { name: "x", scopes: ["read"] })), [
    403,
    "forbidden",
  ]);
});

Deno.test("ROOKERY_API_KEY goes on working beside accounts, and closes the machine's own door", async () => {
  await using house = await openTestHouse({ apiKey: "correct-horse-battery", more: createProbe });
  const browser = house.visit();
  assert.deepEqual(await readRefusal(await browser.get("/probe")), [401, "unauthorized"]);
  const operator = await browser.send("GET", "/probe", key("correct-horse-battery"));
  assert.match(await operator.text(), /^key-[0-9a-f]{12}$/);
  assert.deepEqual(await readRefusal(await browser.send("GET", "/probe", key("correct-horse-batter"))), [
    401,
    "invalid_api_key",
  ]);
});

Deno.test("Users of Supabase Auth get in by its tokens with a profile of their own, as long as they are not suspended", async () => {
  const foreign = { sharesSecret: true, findKey: null };
  await using house = await openTestHouse({ foreign, more: createProbe });
  const { database } = house.accounts;
  const first = house.visit();
  await first.join("ada@example.org");
  const userId = crypto.randomUUID();
  const insert = `insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
    raw_app_meta_data, raw_user_meta_data, confirmation_token, recovery_token, email_change, email_change_token_new)
    values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', 'bob@example.org',
      '$2a$10$abcdefghijklmnopqrstuv', now(), '{"provider":"email"}', '{"full_name":"Bob"}', '', '', '', '')`;
  await database.asOwner((session) => session.query(insert, [userId]));
  const token = await new SignJWT({ role: "authenticated", session_id: crypto.randomUUID(), is_anonymous: false })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" }).setSubject(userId).setAudience("authenticated")
    .setIssuer("https://db.example.org/auth/v1").setIssuedAt().setExpirationTime("1h")
    .sign(new TextEncoder().encode(TEST_SECRET));
  const bob = house.visit();
  const me = await readJson(await bob.send("GET", "/api/auth/me", key(token)));
  assert.partialDeepStrictEqual(me, { kind: "session", role: "user", account: { id: userId, displayName: "Bob" } });
  const made = await bob.send("POST", "/api/keys", { body: { name: "x", scopes: ["inference"] }, ...key(token) });
  assert.equal(made.status, 201);
  await database.asOwner((session) =>
    session.query("update public.profiles set suspended_at = now() where id = $1", [userId])
  );
  assert.deepEqual(await readRefusal(await bob.send("GET", "/probe", key(token))), [403, "account_suspended"]);
  await database.asOwner((session) => session.query("delete from auth.users where id = $1", [userId]));
  assert.deepEqual(await readRefusal(await bob.send("GET", "/probe", key(token))), [401, "session_revoked"]);
});
