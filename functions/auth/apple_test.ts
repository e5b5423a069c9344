import assert from "node:assert/strict";
import { createAppleProvider } from "../../lib/accounts/apple_provider.ts";
import { type Browser, openTestHouse, readRefusal, type TestHouse } from "../../tests/fixtures/accounts.ts";
import { startTestProvider } from "../../tests/fixtures/openid_provider.ts";
import { readJson } from "../../tests/fixtures/http.ts";

const HOME = "https://rookery.example";
const CALLBACK = `${HOME}/api/auth/oauth/apple/callback`;
const PEOPLE = {
  "001.ada": { email: "x7k2@privaterelay.appleid.com", email_verified: "true" },
  "002.bob": { email: "Bob@Example.org", email_verified: true },
  "003.eve": { email: "bob@example.org", email_verified: false },
};
const FAR = { address: "192.168.1.77", origin: HOME, headers: { "x-forwarded-proto": "https" } };
const INGRESS = { publicUrl: HOME, trustedProxies: ["192.168.1.0/24"] };

/** Posts the form as the other service's page does: from its own origin, and with cookies that allow it alone. */
async function bringBack(browser: Browser, form: URLSearchParams): Promise<Response> {
  const kept = new Map(browser.cookies);
  for (const name of browser.cookies.keys()) if (!name.endsWith("_oauth")) browser.cookies.delete(name);
  const headers = { origin: "https://appleid.apple.com", "content-type": "application/x-www-form-urlencoded" };
  const response = await browser.send("POST", "/api/auth/oauth/apple/callback", { body: form.toString(), headers });
  for (const [name, value] of kept) {
    if (!name.endsWith("_oauth") && !browser.cookies.has(name)) browser.cookies.set(name, value);
  }
  return response;
}

async function begin(browser: Browser, body: object = {}, path = "/api/auth/oauth/apple"): Promise<string> {
  const response = await browser.post(path, body);
  assert.equal(response.status, 200, await response.clone().text());
  const cookie = response.headers.getSetCookie().find((line) => line.startsWith("__Host-rookery_oauth="));
  assert.match(cookie ?? "", /HttpOnly; Secure; SameSite=None$/);
  return (await response.json()).url;
}

async function openAppleHouse(): Promise<
  TestHouse & { visitApple: (url: string, who: string) => Promise<URLSearchParams> }
> {
  const provider = await startTestProvider(CALLBACK, PEOPLE);
  const apple = createAppleProvider({ ...provider.keys, places: provider.places });
  const house = await openTestHouse({ ingress: INGRESS, providers: [apple] });
  await house.accounts.database.asOwner((session) => session.query(`update app.settings set value = '"open"'`));
  return {
    ...house,
    async visitApple(url, who) {
      const { action, form } = await provider.visit(url, who);
      assert.equal(action, CALLBACK);
      return form;
    },
    async [Symbol.asyncDispose]() {
      await house[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

Deno.test("Signing in with Apple makes an account with the relay's address and the name beside it, and finds it again", async () => {
  await using house = await openAppleHouse();
  await house.visit({ origin: "http://localhost:8000" }).join("first@example.org");
  const ada = house.visit(FAR);
  const url = await begin(ada, { returnTo: "/chat" });
  const { searchParams } = new URL(url);
  assert.equal(searchParams.get("response_mode"), "form_post");
  assert.equal(searchParams.get("code_challenge_method"), "S256");
  const form = await house.visitApple(url, "001.ada");
  form.set("user", JSON.stringify({ name: { firstName: "Ada", lastName: "Lovelace" }, email: "forged@example.org" }));
  const response = await bringBack(ada, form);
  assert.equal(response.status, 303, await response.clone().text());
  assert.equal(response.headers.get("location"), "/chat");
  assert.deepEqual([...ada.cookies.keys()].sort(), ["__Host-rookery_refresh", "__Host-rookery_session"]);
  const { account } = await readJson(await ada.get("/api/auth/me"));
  assert.equal(account.email, "x7k2@privaterelay.appleid.com");
  assert.equal(account.displayName, "Ada Lovelace");
  assert.equal(account.role, "user");

  const again = house.visit(FAR);
  await bringBack(again, await house.visitApple(await begin(again), "001.ada"));
  assert.deepEqual((await readJson(await again.get("/api/auth/me"))).account, account);
});

Deno.test("What comes back to another browser, a second time, changed or too late signs nobody in", async () => {
  await using house = await openAppleHouse();
  await house.visit({ origin: "http://localhost:8000" }).join("first@example.org");
  const ada = house.visit(FAR);
  const form = await house.visitApple(await begin(ada), "001.ada");
  const other = house.visit(FAR);
  assert.deepEqual(await readRefusal(await bringBack(other, form)), [401, "sign_in_failed"], "it never began");
  await begin(other);
  assert.deepEqual(await readRefusal(await bringBack(other, form)), [401, "sign_in_failed"], "another state");
  const kept = ada.cookies.get("__Host-rookery_oauth")!;
  const changed = new URLSearchParams(form);
  changed.set("code", "invented");
  assert.deepEqual(await readRefusal(await bringBack(ada, changed)), [401, "sign_in_failed"], "another code");
  assert.equal(ada.cookies.size, 0, "the attempt is used up");
  ada.cookies.set("__Host-rookery_oauth", kept);
  assert.equal((await bringBack(ada, form)).status, 303);
  ada.cookies.set("__Host-rookery_oauth", kept);
  assert.deepEqual(await readRefusal(await bringBack(ada, form)), [401, "sign_in_failed"], "a code is good once");
  const refused = new URLSearchParams({ error: "access_denied", state: "invented" });
  await begin(other);
  assert.deepEqual(await readRefusal(await bringBack(other, refused)), [401, "sign_in_failed"]);
  const asked = await other.get("/api/auth/oauth/apple/callback?code=1&state=2");
  assert.deepEqual(await readRefusal(asked), [404, "not_found"], "it answers by a form alone");
});

Deno.test("An identity is linked by who is logged in alone; an address that is taken opens no account", async () => {
  await using house = await openAppleHouse();
  await house.visit({ origin: "http://localhost:8000" }).join("first@example.org");
  const bob = house.visit(FAR);
  const { account } = await bob.join("bob@example.org");
  const stranger = house.visit(FAR);
  const taken = await bringBack(stranger, await house.visitApple(await begin(stranger), "002.bob"));
  assert.deepEqual(await readRefusal(taken), [409, "account_exists"]);
  const unverified = house.visit(FAR);
  await bringBack(unverified, await house.visitApple(await begin(unverified), "003.eve"));
  assert.equal((await readJson(await unverified.get("/api/auth/me"))).account.email, null, "nobody vouches for it");

  const unasked = await stranger.post("/api/auth/identities/apple", {});
  assert.deepEqual(await readRefusal(unasked), [401, "unauthorized"]);
  const url = await begin(bob, { returnTo: "/settings" }, "/api/auth/identities/apple");
  const linked = await bringBack(bob, await house.visitApple(url, "002.bob"));
  assert.equal(linked.headers.get("location"), "/settings", await linked.clone().text());
  const { identities } = await readJson(await bob.get("/api/auth/identities"));
  assert.partialDeepStrictEqual(identities, [{ provider: "apple", email: "bob@example.org" }]);

  await bringBack(stranger, await house.visitApple(await begin(stranger), "002.bob"));
  assert.equal((await readJson(await stranger.get("/api/auth/me"))).account.id, account.id);
  const mine = await bringBack(
    unverified,
    await house.visitApple(await begin(unverified, {}, "/api/auth/identities/apple"), "002.bob"),
  );
  assert.deepEqual(await readRefusal(mine), [409, "conflict"], "it is another account's");
  assert.equal((await bob.send("DELETE", "/api/auth/identities/apple")).status, 200);
  assert.deepEqual(await readRefusal(await bob.send("DELETE", "/api/auth/identities/apple")), [404, "not_found"]);
  assert.deepEqual(await readRefusal(await unverified.send("DELETE", "/api/auth/identities/apple")), [409, "conflict"]);
});
