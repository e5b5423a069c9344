import assert from "node:assert/strict";
import { type Browser, PASSWORD, readRefusal } from "../../tests/fixtures/accounts.ts";
import { withAdminHouse } from "../../tests/fixtures/admin.ts";
import { readJson } from "../../tests/fixtures/http.ts";

interface Page {
  data: Record<string, unknown>[];
  nextCursor: string | null;
}

/** Reads a list page by page, `limit` items at a time. */
async function readPages(browser: Browser, path: string, limit: number): Promise<Record<string, unknown>[]> {
  const items: Record<string, unknown>[] = [];
  const separator = path.includes("?") ? "&" : "?";
  for (let cursor: string | null = ""; cursor !== null;) {
    const after: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const response = await browser.get(`${path}${separator}limit=${limit}${after}`);
    assert.equal(response.status, 200, await response.clone().text());
    const page: Page = await readJson(response);
    assert.ok(page.data.length <= limit);
    items.push(...page.data);
    cursor = page.nextCursor;
  }
  return items;
}

async function findUser(ada: Browser, email: string): Promise<Record<string, unknown>> {
  const { data }: Page = await readJson(await ada.get(`/api/admin/users?search=${encodeURIComponent(email)}`));
  assert.equal(data.length, 1, email);
  return data[0]!;
}

withAdminHouse("Accounts are listed page by page, and found by a part of address or name", async ({ ada, invite }) => {
  await invite("bob@example.org");
  await invite("cleo@example.org", "read_only");
  const users = await readPages(ada, "/api/admin/users", 1);
  assert.deepEqual(users.map(({ email, role }) => [email, role]), [
    ["ada@example.org", "admin"],
    ["bob@example.org", "user"],
    ["cleo@example.org", "read_only"],
  ]);
  assert.equal(users[1]!["sessions"], 1);
  assert.equal((await findUser(ada, "CLEO"))["displayName"], "cleo");
  const odd = await ada.get("/api/admin/users?cursor=1%20or%201%3D1");
  assert.deepEqual(await readRefusal(odd), [400, "invalid_request"]);
  assert.deepEqual(await readRefusal(await ada.get("/api/admin/users?limit=0")), [400, "invalid_request"]);
  assert.deepEqual(await readRefusal(await ada.get("/api/admin/users?search=%00")), [400, "invalid_request"]);
});

withAdminHouse("A role holds from the next request on, and the only administrator stays one", async (admin) => {
  const { ada, invite } = admin;
  const bob = await invite("bob@example.org");
  const { id } = await findUser(ada, "bob@");
  assert.deepEqual(await readRefusal(await bob.get("/api/admin/users")), [403, "forbidden"]);
  assert.equal((await ada.send("PATCH", `/api/admin/users/${id}`, { body: { role: "admin" } })).status, 200);
  assert.equal((await bob.get("/api/admin/users")).status, 200);
  const own = (await findUser(ada, "ada@"))["id"];
  assert.equal((await bob.send("PATCH", `/api/admin/users/${own}`, { body: { role: "read_only" } })).status, 200);
  assert.deepEqual(await readRefusal(await ada.get("/api/admin/users")), [403, "forbidden"]);
  const alone = await bob.send("PATCH", `/api/admin/users/${id}`, { body: { role: "user" } });
  assert.deepEqual(await readRefusal(alone), [409, "conflict"]);
  assert.deepEqual(await readRefusal(await bob.send("DELETE", `/api/admin/users/${id}`)), [409, "conflict"]);
  const odd = await bob.send("PATCH", `/api/admin/users/${own}`, { body: { role: "king" } });
  assert.deepEqual(await readRefusal(odd), [400, "invalid_request"]);
  const nobody = await bob.send("PATCH", `/api/admin/users/${crypto.randomUUID()}`, { body: { suspended: true } });
  assert.deepEqual(await readRefusal(nobody), [404, "not_found"]);
});

withAdminHouse("Who is suspended is out at once, until that is taken back", async ({ ada, house, invite }) => {
  const bob = await invite("bob@example.org");
  const { id } = await findUser(ada, "bob@");
  assert.equal((await ada.send("PATCH", `/api/admin/users/${id}`, { body: { suspended: true } })).status, 200);
  assert.deepEqual(await readRefusal(await bob.get("/api/auth/me")), [403, "account_suspended"]);
  assert.notEqual((await findUser(ada, "bob@"))["suspendedAt"], null);
  assert.equal((await ada.send("PATCH", `/api/admin/users/${id}`, { body: { suspended: false } })).status, 200);
  await house.visit().logIn("bob@example.org");
});

withAdminHouse("Several changes of an account are made together or not at all", async ({ ada }) => {
  const { id } = await findUser(ada, "ada@");
  const response = await ada.send("PATCH", `/api/admin/users/${id}`, { body: { role: "admin", suspended: true } });
  assert.deepEqual(await readRefusal(response), [409, "conflict"]);
  const { data }: Page = await readJson(await ada.get("/api/admin/audit?action=role_changed"));
  assert.deepEqual(data, []);
});

withAdminHouse("A deleted account is gone with its sessions, and its address is free again", async (admin) => {
  const { ada, house, invite } = admin;
  const bob = await invite("bob@example.org");
  const { id } = await findUser(ada, "bob@");
  assert.equal((await ada.send("DELETE", `/api/admin/users/${id}`)).status, 200);
  assert.deepEqual(await readRefusal(await bob.get("/api/auth/me")), [401, "session_revoked"]);
  const gone = await house.visit().post("/api/auth/login", { email: "bob@example.org", password: PASSWORD });
  assert.deepEqual(await readRefusal(gone), [401, "invalid_credentials"]);
  assert.notEqual((await invite("bob@example.org")).cookies.size, 0);
  assert.notEqual((await findUser(ada, "bob@"))["id"], id);
});

withAdminHouse("A reset link that an administrator made sets a password, once", async ({ ada, house, invite }) => {
  await invite("bob@example.org");
  const { id } = await findUser(ada, "bob@");
  const made = await ada.post(`/api/admin/users/${id}/reset-link`);
  assert.equal(made.status, 200);
  assert.equal(made.headers.get("cache-control"), "no-store");
  const token = new URL((await readJson(made)).url).hash.replace("#token=", "");
  const reset = { token, password: "marmalade in the attic" };
  assert.equal((await house.visit().post("/api/auth/reset", reset)).status, 200);
  await house.visit().logIn("bob@example.org", reset.password);
  assert.deepEqual(await readRefusal(await house.visit().post("/api/auth/reset", reset)), [400, "invalid_link"]);
});

withAdminHouse("Invitations are listed, and taken back while nobody has used them", async ({ ada, house, invite }) => {
  await invite("bob@example.org");
  const { url } = await readJson(await ada.post("/api/admin/invitations", { role: "read_only" }));
  const listed = await readPages(ada, "/api/admin/invitations", 1);
  assert.deepEqual(listed.map(({ email, role, usedAt }) => [email, role, usedAt === null]), [
    [null, "read_only", true],
    ["bob@example.org", "user", false],
  ]);
  const [open, used] = listed;
  assert.ok(!JSON.stringify(listed).includes(new URL(url).hash.replace("#token=", "")));
  const refused = await ada.send("DELETE", `/api/admin/invitations/${used!["id"]}`);
  assert.deepEqual(await readRefusal(refused), [404, "not_found"]);
  assert.equal((await ada.send("DELETE", `/api/admin/invitations/${open!["id"]}`)).status, 200);
  const token = new URL(url).hash.replace("#token=", "");
  const late = await house.visit().post("/api/auth/signup", { email: "eve@example.org", password: PASSWORD, token });
  assert.deepEqual(await readRefusal(late), [400, "invalid_link"]);
});

withAdminHouse("The sign-up policy is an administrator's to decide", async ({ ada, house }) => {
  assert.deepEqual(await readJson(await ada.get("/api/admin/settings")), { signUp: "invitation" });
  const changed = await ada.send("PATCH", "/api/admin/settings", { body: { signUp: "open" } });
  assert.deepEqual(await readJson(changed), { signUp: "open" });
  const { account } = await house.visit().join("eve@example.org");
  assert.equal(account.role, "user");
  const odd = await ada.send("PATCH", "/api/admin/settings", { body: { signUp: "whoever" } });
  assert.deepEqual(await readRefusal(odd), [400, "invalid_request"]);
  const unknown = await ada.send("PATCH", "/api/admin/settings", { body: { colour: "blue" } });
  assert.deepEqual(await readRefusal(unknown), [400, "invalid_request"]);
});

withAdminHouse("Keys of all accounts are listed, and revoked at once", async ({ ada, house, invite }) => {
  const bob = await invite("bob@example.org");
  const { key, id } = await readJson(await bob.post("/api/keys", { name: "editor", scopes: ["read"] }));
  await ada.post("/api/keys", { name: "script", scopes: ["admin"] });
  const all = await readPages(ada, "/api/admin/keys", 1);
  assert.deepEqual(all.map(({ name, email }) => [name, email]), [
    ["script", "ada@example.org"],
    ["editor", "bob@example.org"],
  ]);
  assert.ok(!JSON.stringify(all).includes(key));
  const { id: bobId } = await findUser(ada, "bob@");
  const his = await readPages(ada, `/api/admin/keys?userId=${bobId}`, 10);
  assert.deepEqual(his.map((each) => each["id"]), [id]);
  const headers = { authorization: `Bearer ${key}` };
  const ask = () => house.visit().send("GET", "/api/auth/me", { headers });
  assert.equal((await ask()).status, 200);
  assert.equal((await ada.send("DELETE", `/api/admin/keys/${id}`)).status, 200);
  assert.equal((await ask()).status, 401);
  assert.deepEqual(await readRefusal(await ada.send("DELETE", `/api/admin/keys/${id}`)), [404, "not_found"]);
});

withAdminHouse("A key needs the scope admin to administer, also an administrator's", async ({ ada, house }) => {
  for (const [scopes, status] of [[["read", "write", "inference"], 403], [["admin"], 200]] as const) {
    const { key } = await readJson(await ada.post("/api/keys", { name: "script", scopes }));
    const headers = { authorization: `Bearer ${key}` };
    assert.equal((await house.visit().send("GET", "/api/admin/users", { headers })).status, status);
  }
});

withAdminHouse("Sessions of all accounts are listed, and ended one by one or all of an account's", async (admin) => {
  const { ada, house, invite } = admin;
  const bob = await invite("bob@example.org");
  const phone = house.visit();
  await phone.logIn("bob@example.org");
  const all = await readPages(ada, "/api/admin/sessions", 2);
  assert.deepEqual(all.map(({ email }) => email), ["bob@example.org", "bob@example.org", "ada@example.org"]);
  assert.equal((await ada.send("DELETE", `/api/admin/sessions/${all[0]!["id"]}`)).status, 200);
  assert.deepEqual(await readRefusal(await phone.get("/api/auth/me")), [401, "session_revoked"]);
  assert.equal((await bob.get("/api/auth/me")).status, 200);
  const { id } = await findUser(ada, "bob@");
  assert.deepEqual(await readJson(await ada.send("DELETE", `/api/admin/users/${id}/sessions`)), { revoked: 1 });
  assert.deepEqual(await readRefusal(await bob.get("/api/auth/me")), [401, "session_revoked"]);
  const own = (await findUser(ada, "ada@"))["id"];
  assert.deepEqual(await readPages(ada, `/api/admin/sessions?userId=${id}`, 10), []);
  assert.deepEqual(await readJson(await ada.send("DELETE", `/api/admin/users/${own}/sessions`)), { revoked: 0 });
});

withAdminHouse("The audit log tells who did what, page by page and by whom or what one looks for", async (admin) => {
  const { ada, invite } = admin;
  await invite("bob@example.org");
  const { id } = await findUser(ada, "bob@");
  await ada.send("PATCH", `/api/admin/users/${id}`, { body: { role: "read_only" } });
  const all = await readPages(ada, "/api/admin/audit", 2);
  const own = (await findUser(ada, "ada@"))["id"];
  assert.partialDeepStrictEqual(all[0], {
    action: "role_changed",
    actor: own,
    target: id,
    details: { before: "user", after: "read_only" },
  });
  assert.deepEqual(
    all.map((entry) => entry["id"]),
    all.map((entry) => entry["id"] as number).toSorted((a, b) => b - a),
  );
  const roles = await readPages(ada, `/api/admin/audit?action=role_changed&actor=${own}`, 10);
  assert.deepEqual(roles, [all[0]]);
  assert.deepEqual(await readPages(ada, `/api/admin/audit?action=role_changed&actor=${id}`, 10), []);
});
