import assert from "node:assert/strict";
import { hash } from "@node-rs/argon2";
import { openTestHouse, PASSWORD, readRefusal } from "../../tests/fixtures/accounts.ts";
import { readJson } from "../../tests/fixtures/http.ts";

const NEXT = "a heron at the pond";

const tokenOf = (url: string) => new URL(url).hash.replace("#token=", "");

Deno.test("A password is changed by who knows it, and the other sessions end", async () => {
  await using house = await openTestHouse();
  const ada = house.visit();
  await ada.join("ada@example.org");
  const other = house.visit();
  await other.logIn("ada@example.org");
  const change = (currentPassword: string, newPassword: string) =>
    ada.post("/api/auth/password", { currentPassword, newPassword });
  assert.deepEqual(await readRefusal(await change("not the password", NEXT)), [401, "invalid_credentials"]);
  const weak = await readJson(await change(PASSWORD, "password123"));
  assert.equal(weak.error.param, "newPassword");
  assert.equal((await change(PASSWORD, NEXT)).status, 200);
  assert.equal((await ada.get("/api/auth/me")).status, 200);
  assert.deepEqual(await readRefusal(await other.get("/api/auth/me")), [401, "session_revoked"]);
  await house.visit().logIn("ada@example.org", NEXT);
});

Deno.test("An administrator's link sets a password once and ends every session", async () => {
  await using house = await openTestHouse();
  const ada = house.visit();
  const { account } = await ada.join("ada@example.org");
  const made = await readJson(await ada.post(`/api/admin/users/${account.id}/reset-link`));
  assert.match(made.url, /^http:\/\/localhost:8000\/reset-password#token=[\w-]{43}$/);
  const reset = () => house.visit().post("/api/auth/reset", { token: tokenOf(made.url), password: NEXT });
  assert.equal((await reset()).status, 200);
  assert.deepEqual(await readRefusal(await reset()), [400, "invalid_link"]);
  assert.deepEqual(await readRefusal(await ada.get("/api/auth/me")), [401, "session_revoked"]);
  await house.visit().logIn("ada@example.org", NEXT);
  const nobody = await ada.post(`/api/admin/users/${account.id}/reset-link`);
  assert.equal(nobody.status, 401);
  const unasked = await house.visit().post("/api/auth/reset-requests", { email: "ada@example.org" });
  assert.deepEqual(await readRefusal(unasked), [404, "not_found"], "no letters go out");
});

Deno.test("Where letters go out, one with a link is sent to the account's address, and nobody is told of it", async () => {
  await using house = await openTestHouse({ mail: true });
  const ada = house.visit();
  await ada.join("ada@example.org");
  const answers = [];
  for (const email of ["ada@example.org", "nobody@example.org"]) {
    const response = await house.visit().post("/api/auth/reset-requests", { email });
    answers.push([response.status, await response.text()]);
  }
  assert.deepEqual(answers[0], [202, '{"status":"accepted"}']);
  assert.deepEqual(answers[0], answers[1]);
  assert.deepEqual(house.letters.map(({ to }) => to), ["ada@example.org"]);
  const url = /https:\S+/.exec(house.letters[0]!.text)![0];
  assert.match(url, /^https:\/\/rookery\.example\/reset-password#token=/);
  assert.equal((await house.visit().post("/api/auth/reset", { token: tokenOf(url), password: NEXT })).status, 200);
  await house.visit().logIn("ada@example.org", NEXT);
});

Deno.test("Guessing a password is slowed for the account, wherever it comes from, and says for how long", async () => {
  await using house = await openTestHouse({ ingress: { allowHttp: true } });
  const ada = house.visit();
  await ada.join("ada@example.org");
  for (const email of ["ada@example.org", "nobody@example.org"]) {
    const statuses = [];
    for (let attempt = 0; attempt < 11; attempt++) {
      const guesser = house.visit({ address: `192.0.2.${attempt + 1}` });
      const response = await guesser.post("/api/auth/login", { email, password: `guess number ${attempt}` });
      statuses.push(response.status);
      if (response.status === 429) assert.equal(response.headers.get("retry-after"), "60");
    }
    assert.deepEqual(statuses, [...Array(10).fill(401), 429], email);
  }
  house.clock.offsetMs = 61_000;
  await ada.logIn("ada@example.org");
});

Deno.test("Many passwords for many accounts are slowed for the address that tries them", async () => {
  await using house = await openTestHouse();
  const statuses = [];
  for (let attempt = 0; attempt < 21; attempt++) {
    const body = { email: `person${attempt}@example.org`, password: "the same for everybody" };
    statuses.push((await house.visit().post("/api/auth/login", body)).status);
  }
  assert.deepEqual(statuses, [...Array(20).fill(401), 429]);
});

Deno.test("A hash with other parameters is renewed at the next log-in, without ending a session", async () => {
  await using house = await openTestHouse();
  const { accounts: { database } } = house;
  const ada = house.visit();
  await ada.join("ada@example.org");
  const old = await hash(PASSWORD, { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
  const readHash = () =>
    database.asOwner(async (session) => {
      const text = "select encrypted_password as hash from auth.users";
      return (await session.query<{ hash: string }>(text))[0]!.hash;
    });
  await database.asOwner((session) => session.query("update auth.users set encrypted_password = $1", [old]));
  await house.visit().logIn("ada@example.org");
  assert.match(await readHash(), /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal((await ada.get("/api/auth/me")).status, 200);
  await house.visit().logIn("ada@example.org");
});

Deno.test("Deleting one's account asks for the password, and leaves nothing to log in with", async () => {
  await using house = await openTestHouse();
  const ada = house.visit();
  await ada.join("ada@example.org");
  const remove = (password: string) => ada.send("DELETE", "/api/auth/me", { body: { password } });
  assert.deepEqual(await readRefusal(await remove("not the password")), [401, "invalid_credentials"]);
  const { accessToken } = await ada.logIn("ada@example.org");
  assert.equal((await remove(PASSWORD)).status, 200);
  assert.equal(ada.cookies.size, 0);
  const headers = { authorization: `Bearer ${accessToken}` };
  assert.deepEqual(await readRefusal(await ada.send("GET", "/api/auth/me", { headers })), [401, "session_revoked"]);
  const login = await ada.post("/api/auth/login", { email: "ada@example.org", password: PASSWORD });
  assert.deepEqual(await readRefusal(login), [401, "invalid_credentials"]);
});

Deno.test("Log-ins that fail are in the audit log, with the account where there is one and never with what was typed", async () => {
  await using house = await openTestHouse();
  const ada = house.visit();
  const { account } = await ada.join("ada@example.org");
  for (const email of ["ada@example.org", "my secret password"]) {
    assert.equal((await house.visit().post("/api/auth/login", { email, password: "wrong one" })).status, 401);
  }
  const entries = await house.accounts.database.asOwner((session) =>
    session.query("select target, details from app.audit_log where action = 'sign_in_failed' order by id")
  );
  assert.deepEqual(entries, [
    { target: account.id, details: { address: "127.0.0.1" } },
    { target: null, details: { address: "127.0.0.1" } },
  ]);
});

Deno.test("Signing up with an address that is taken tells its owner by letter, and nobody else", async () => {
  await using house = await openTestHouse({ mail: true });
  const ada = house.visit();
  await ada.join("ada@example.org");
  const { url } = await readJson(await ada.post("/api/admin/invitations", {}));
  const body = { email: "ada@example.org", password: NEXT, token: tokenOf(url) };
  assert.equal((await house.visit().post("/api/auth/signup", body)).status, 202);
  assert.deepEqual(house.letters.map(({ to, subject }) => [to, subject]), [
    ["ada@example.org", "You have an account at Rookery"],
  ]);
  const sent = await readJson(await ada.post("/api/admin/invitations", { email: "bob@example.org" }));
  assert.equal(sent.sent, true);
  assert.ok(house.letters[1]!.text.includes(sent.url));
});
