import assert from "node:assert/strict";
import { makeFirstAccountToken } from "../../lib/accounts/sign_up.ts";
import { openTestHouse, PASSWORD, readRefusal, type TestHouseOptions } from "../../tests/fixtures/accounts.ts";
import { readJson } from "../../tests/fixtures/http.ts";

const FAR = { address: "192.168.1.77", origin: "https://rookery.example", headers: { "x-forwarded-proto": "https" } };
const PROXIED: TestHouseOptions = {
  ingress: { publicUrl: "https://rookery.example", trustedProxies: ["192.168.1.0/24"] },
};

Deno.test("The first account at this machine is the administrator, without a token", async () => {
  await using house = await openTestHouse();
  const browser = house.visit();
  assert.partialDeepStrictEqual(await readJson(await browser.get("/api/auth/policy")), {
    hasAccounts: false,
    needsToken: false,
    providers: [],
    mail: false,
  });
  const tokens = await browser.join("Ada@Example.org");
  assert.equal(tokens.account.role, "admin");
  assert.equal(tokens.account.email, "ada@example.org");
  assert.equal(tokens.tokenType, "Bearer");
  const me = await readJson(await browser.get("/api/auth/me"));
  assert.equal(me.kind, "session");
  assert.deepEqual(me.account, tokens.account);
  assert.deepEqual(me.scopes, ["inference", "read", "write", "admin"]);
});

Deno.test("From elsewhere the first account needs the token that was printed, and no second one gets it", async () => {
  await using house = await openTestHouse(PROXIED);
  const browser = house.visit(FAR);
  const refused = await browser.post("/api/auth/signup", { email: "eve@example.org", password: PASSWORD });
  assert.deepEqual(await readRefusal(refused), [400, "invalid_link"]);
  const token = await makeFirstAccountToken(house.accounts);
  assert.ok(token !== null);
  assert.equal((await browser.join("ada@example.org", { token })).account.role, "admin");
  assert.equal(await makeFirstAccountToken(house.accounts), null);
  const second = await house.visit(FAR).post("/api/auth/signup", {
    email: "eve@example.org",
    password: PASSWORD,
    token,
  });
  assert.deepEqual(await readRefusal(second), [400, "invalid_link"]);
});

Deno.test("Who is invited gets the role of the invitation, once; others are told that it is by invitation", async () => {
  await using house = await openTestHouse();
  const admin = house.visit();
  await admin.join("ada@example.org");
  const closed = await house.visit().post("/api/auth/signup", { email: "bob@example.org", password: PASSWORD });
  assert.deepEqual(await readRefusal(closed), [403, "sign_up_closed"]);
  const made = await admin.post("/api/admin/invitations", { role: "read_only", email: "bob@example.org" });
  assert.equal(made.status, 201);
  const { url, sent } = await readJson(made);
  assert.equal(sent, false);
  const token = new URL(url).hash.replace("#token=", "");
  const other = await house.visit().post("/api/auth/signup", { email: "eve@example.org", password: PASSWORD, token });
  assert.deepEqual(await readRefusal(other), [400, "invalid_link"], "it names another address");
  const bob = house.visit();
  assert.equal((await bob.join("bob@example.org", { token })).account.role, "read_only");
  assert.deepEqual(await readRefusal(await bob.post("/api/admin/invitations", {})), [403, "forbidden"]);
  assert.deepEqual(await readRefusal(await bob.send("PATCH", "/api/auth/me", { body: { displayName: "X" } })), [
    403,
    "forbidden",
  ]);
});

Deno.test("Signing up answers the same whether the address is free or taken, and takes nothing over", async () => {
  await using house = await openTestHouse();
  const admin = house.visit();
  await admin.join("ada@example.org");
  const invite = async () => {
    const { url } = await readJson(await admin.post("/api/admin/invitations", {}));
    return new URL(url).hash.replace("#token=", "");
  };
  const answers = [];
  for (const email of ["ada@example.org", "new@example.org"]) {
    const token = await invite();
    const body = { email, password: "another good password", token };
    const response = await house.visit().post("/api/auth/signup", body);
    answers.push([response.status, response.headers.getSetCookie(), await response.text()]);
  }
  assert.deepEqual(answers[0], answers[1]);
  const taken = await house.visit().post("/api/auth/login", {
    email: "ada@example.org",
    password: "another good password",
  });
  assert.deepEqual(await readRefusal(taken), [401, "invalid_credentials"]);
  await house.visit().logIn("new@example.org", "another good password");
});

Deno.test("Weak passwords are refused with the reason, before anything is looked up", async () => {
  await using house = await openTestHouse();
  const cases: [password: string, reason: RegExp][] = [
    ["short", /8 to 128 characters/],
    ["x".repeat(129), /8 to 128 characters/],
    ["Password1", /tried first/],
    ["aaaaaaaaaaaa", /repeats/],
    ["ada@example.org", /address of the account/],
  ];
  for (const [password, reason] of cases) {
    const response = await house.visit().post("/api/auth/signup", { email: "ada@example.org", password });
    assert.equal(response.status, 400, password);
    const { error } = await readJson(response);
    assert.equal(error.param, "password");
    assert.match(error.message, reason);
  }
});

Deno.test("A wrong password and an unknown address are one answer", async () => {
  await using house = await openTestHouse();
  await house.visit().join("ada@example.org");
  const answers = [];
  for (const email of ["ada@example.org", "nobody@example.org", "no address at all", ""]) {
    const response = await house.visit().post("/api/auth/login", { email, password: "not the password" });
    const { error: { requestId: _, ...error } } = await readJson(response);
    answers.push([response.status, response.headers.getSetCookie(), error]);
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal(answers[0]![0], 401);
});

Deno.test("Cookies are for this host alone, unseen by scripts, and marked Secure over TLS", async () => {
  await using house = await openTestHouse(PROXIED);
  const token = await makeFirstAccountToken(house.accounts);
  const far = house.visit(FAR);
  await far.join("ada@example.org", { token });
  assert.deepEqual([...far.cookies.keys()], ["__Host-rookery_session", "__Host-rookery_refresh"]);
  const response = await far.post("/api/auth/login", { email: "ada@example.org", password: PASSWORD });
  for (const cookie of response.headers.getSetCookie()) {
    assert.match(cookie, /^__Host-rookery_\w+=[^;]+; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  }
  assert.equal(response.headers.get("cache-control"), "no-store");
  const headers = { ...FAR.headers, host: "127.0.0.1:8000" };
  const rewritten = await far.send("POST", "/api/auth/refresh", { headers });
  assert.equal(rewritten.status, 200, "whatever Host the proxy sends, the page's address is PUBLIC_URL");
  const near = house.visit();
  await near.logIn("ada@example.org");
  assert.deepEqual([...near.cookies.keys()], ["rookery_session", "rookery_refresh"]);
});

Deno.test("Accounts are refused over plain http from elsewhere, with what to do", async () => {
  await using house = await openTestHouse();
  const far = house.visit({ address: "192.168.1.77" });
  const response = await far.post("/api/auth/login", { email: "ada@example.org", password: PASSWORD });
  assert.equal(response.status, 403);
  const { error } = await readJson(response);
  assert.match(error.message, /TLS_CERT.*PUBLIC_URL.*ROOKERY_ALLOW_HTTP/);
  const near = house.visit();
  const { accessToken } = await near.join("ada@example.org");
  const headers = { authorization: `Bearer ${accessToken}` };
  assert.deepEqual(await readRefusal(await far.send("GET", "/api/keys", { headers })), [403, "forbidden"]);
  const viaProxy = house.visit({ headers: { "x-forwarded-for": "203.0.113.9" } });
  assert.equal((await viaProxy.get("/api/auth/policy")).status, 403, "a proxy that nobody trusts may hide anybody");
});

Deno.test("The operator may allow plain http by name", async () => {
  await using house = await openTestHouse({ ingress: { allowHttp: true } });
  const token = await makeFirstAccountToken(house.accounts);
  const { account } = await house.visit({ address: "192.168.1.77" }).join("ada@example.org", { token });
  assert.equal(account.role, "admin");
});

Deno.test("A request with a cookie that changes something must come from Rookery's own page", async () => {
  await using house = await openTestHouse();
  const browser = house.visit();
  await browser.join("ada@example.org");
  const origins = ["http://localhost:9000", "null", "https://localhost:8000", "https://evil.example"];
  for (const origin of origins) {
    const response = await browser.send("POST", "/api/auth/logout", { headers: { origin } });
    assert.deepEqual(await readRefusal(response), [403, "forbidden"], origin);
  }
  const silent = await house.fetch(
    new Request("http://localhost:8000/api/auth/logout", {
      method: "POST",
      headers: { host: "localhost:8000", cookie: [...browser.cookies].map((pair) => pair.join("=")).join("; ") },
    }),
    { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } },
  );
  assert.deepEqual(await readRefusal(silent), [403, "forbidden"], "no Origin is no own Origin");
  const basic = await browser.send("POST", "/api/auth/logout", {
    headers: { origin: "http://localhost:9000", authorization: "Basic dTpw" },
  });
  assert.equal(basic.status, 403, "browsers send Basic along by themselves");
  assert.equal((await browser.get("/api/auth/me")).status, 200);
  assert.equal((await browser.post("/api/auth/logout")).status, 200);
});
