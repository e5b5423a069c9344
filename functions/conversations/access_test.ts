import assert from "node:assert/strict";
import { openTestApp, readEvents, type TestApp, toPrincipal } from "../../tests/fixtures/conversations_app.ts";
import { LOCAL } from "../../lib/accounts/principal.ts";

/** A body with which each route that takes one would do something, were it asked by somebody who may. */
const BODIES: Record<string, object> = {
  "POST ": {},
  "POST /import": {
    format: "rookery-conversation",
    version: 1,
    title: "Import",
    model: null,
    threads: [],
    messages: [],
  },
  "PATCH /{id}": { title: "Taken" },
  "PUT /{id}/branch": { leafId: "{messageId}" },
  "POST /{id}/members": { email: "bob@example.org", role: "writer" },
  "POST /{id}/messages": { parentId: "{messageId}", content: "Let me in" },
  "POST /{id}/messages/{messageId}/edit": { content: "Let me in" },
  "POST /{id}/messages/{messageId}/regenerate": {},
  "POST /{id}/messages/{messageId}/continue": {},
  "POST /{id}/messages/{messageId}/fork": {},
  "POST /{id}/messages/{messageId}/move": { threadId: null, name: "Taken" },
};

/** Routes that name nothing of anybody's. */
const NAMELESS = ["GET ", "POST ", "POST /import"];

/** What only owners do, though writers write. */
const OWNERS = ["DELETE /{id}", "POST /{id}/restore", "POST /{id}/members", "DELETE /{id}/members/{userId}"];

interface Route {
  name: string;
  request: string;
  body: object | undefined;
}

interface Home {
  id: string;
  messageId: string;
  routes: Route[];
}

/** A conversation of ada's with an answer that was stopped, and every route of the document with its ids filled in. */
async function prepare(test: TestApp): Promise<Home> {
  const { get, engine, runner, ada } = test;
  const { id } = await get("ada", "POST ", { title: "Secret" });
  engine.enqueue("A secret", { wait: new Promise<never>(() => {}) });
  const { answerId: messageId } = await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  const events = readEvents(await test.ask("ada", `GET /${id}/messages/${messageId}/events`));
  await events.next();
  await get("ada", `POST /${id}/messages/${messageId}/stop`);
  await events.return();
  await runner.idle();
  const { paths = {} } = test.app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "", version: "" } });
  const fill = (text: string) => {
    return text.replace("{id}", id).replace("{messageId}", messageId).replace("{userId}", ada.claims.sub);
  };
  const routes = Object.entries(paths).flatMap(([path, methods]) => {
    return Object.entries(methods!).map(([method, description]) => {
      const name = `${method.toUpperCase()} ${path.replace("/api/conversations", "")}`;
      const takesBody = typeof description === "object" && "requestBody" in description;
      assert.equal(takesBody, name in BODIES, `${name} needs a row in BODIES, if it takes a body`);
      const body = takesBody ? JSON.parse(fill(JSON.stringify(BODIES[name]))) : undefined;
      return { name, request: fill(name), body };
    });
  });
  assert.ok(routes.length > 20);
  return { id, messageId, routes };
}

async function snapshot({ get }: TestApp, { id }: Home): Promise<unknown> {
  const [conversation, messages, members, threads] = await Promise.all([
    get("ada", `GET /${id}`),
    get("ada", `GET /${id}/messages?limit=200`),
    get("ada", `GET /${id}/members`),
    get("ada", `GET /${id}/threads`),
  ]);
  return { conversation, messages, members, threads };
}

Deno.test("No route shows or does anything with the ids of another account", async () => {
  await using test = await openTestApp();
  const home = await prepare(test);
  const before = await snapshot(test, home);
  for (const { name, request, body } of home.routes.filter(({ name }) => !NAMELESS.includes(name))) {
    const response = await test.ask("bob", request, body);
    const text = await response.text();
    assert.equal(response.status, 404, `${name}: ${text}`);
    assert.equal(JSON.parse(text).error.code, "not_found");
    assert.ok(!/secret/i.test(text), name);
  }
  const list = await test.get("bob", "GET ?search=secret");
  assert.deepEqual(list.data, []);
  // A message or a thread of another's does not become reachable through a conversation of one's own.
  const own = (await test.get("bob", "POST ", {})).id;
  for (const { name, request, body } of home.routes.filter(({ name }) => name.includes("{messageId}"))) {
    const response = await test.ask("bob", request.replace(home.id, own), body);
    assert.equal(response.status, 404, `${name}: ${await response.text()}`);
  }
  const [post, branch] = [
    await test.ask("bob", `POST /${own}/messages`, { parentId: home.messageId, content: "x" }),
    await test.ask("bob", `PUT /${own}/branch`, { leafId: home.messageId }),
  ];
  assert.deepEqual([post.status, branch.status], [404, 404]);
  assert.deepEqual(await snapshot(test, home), before);
});

Deno.test("Who has no account, or a suspended one, is let in nowhere", async () => {
  await using test = await openTestApp();
  const home = await prepare(test);
  const { ada, bob } = test;
  test.admit("local", LOCAL);
  await test.get("ada", `POST /${home.id}/members`, { email: "bob@example.org", role: "writer" });
  await ada.database.asOwner((session) => {
    return session.query("update public.profiles set suspended_at = now() where id = $1", [bob.claims.sub]);
  });
  const before = await snapshot(test, home);
  for (const { name, request, body } of home.routes) {
    for (const who of ["nobody", "local", "bob"]) {
      const response = await test.ask(who, request, body);
      const text = await response.text();
      const refused = who === "bob" ? [403, 404] : [401, 403];
      // The list has nothing in it for who is suspended.
      assert.ok(refused.includes(response.status), `${who} ${name}: ${response.status} ${text}`);
    }
  }
  assert.deepEqual(await snapshot(test, home), before);
});

Deno.test("A reader reads everything and changes nothing; a read-only account not even what is its own", async () => {
  await using test = await openTestApp();
  const home = await prepare(test);
  const { ada, bob } = test;
  await test.get("ada", `POST /${home.id}/members`, { email: "bob@example.org", role: "reader" });
  const before = await snapshot(test, home);
  // Choosing one's own branch, leaving and forking are a reader's own affairs.
  const own = ["PUT /{id}/branch", "DELETE /{id}/members/{userId}", "POST /{id}/messages/{messageId}/fork"];
  for (const { name, request, body } of home.routes.filter(({ name }) => !NAMELESS.includes(name))) {
    if (own.includes(name)) continue;
    const response = await test.ask("bob", request, body);
    const text = await response.text();
    assert.equal(response.status, name.startsWith("GET") ? 200 : 403, `${name}: ${text}`);
  }
  assert.deepEqual(await snapshot(test, home), before);

  // The role of the account is looked at where the request comes in, and in the database when that is told otherwise.
  await ada.database.asOwner((session) => {
    return session.query("update public.profiles set role = 'read_only' where id = $1", [bob.claims.sub]);
  });
  test.admit("reader", toPrincipal(bob, "read_only"));
  for (const { name, request, body } of home.routes) {
    for (const who of ["reader", "bob"]) {
      const response = await test.ask(who, request.replace(ada.claims.sub, bob.claims.sub), body);
      const text = await response.text();
      assert.equal(response.status, name.startsWith("GET") ? 200 : 403, `${who} ${name}: ${text}`);
    }
  }
  assert.deepEqual(await snapshot(test, home), before);
});

Deno.test("A writer writes, and leaves to the owner what is the owner's", async () => {
  await using test = await openTestApp();
  const home = await prepare(test);
  await test.get("ada", `POST /${home.id}/members`, { email: "bob@example.org", role: "writer" });
  for (const { name, request, body } of home.routes.filter(({ name }) => OWNERS.includes(name))) {
    const response = await test.ask("bob", request, body);
    assert.equal(response.status, 403, `${name}: ${await response.text()}`);
  }
  const posted = await test.ask("bob", `POST /${home.id}/messages`, { parentId: home.messageId, content: "Hello" });
  assert.equal(posted.status, 201);
  await test.runner.idle();
  assert.equal(test.engine.requests.at(-1)!.owner, test.bob.claims.sub, "Whoever asks has the KV state");
});

Deno.test("A key that may read asks for headers alone as well, and changes nothing", async () => {
  await using test = await openTestApp();
  const { id } = await test.get("ada", "POST ", {});
  test.admit("key", { ...toPrincipal(test.ada), kind: "key", scopes: ["read"] });
  for (const [request, status] of [[`HEAD /${id}`, 200], ["HEAD ", 200], [`DELETE /${id}`, 403]] as const) {
    const response = await test.ask("key", request);
    assert.equal(response.status, status, request);
    await response.body?.cancel();
  }
});

Deno.test("A key without the right to ask models posts what nobody answers", async () => {
  await using test = await openTestApp();
  const { id } = await test.get("ada", "POST ", {});
  test.admit("key", { ...toPrincipal(test.ada), kind: "key", scopes: ["read", "write"] });
  const asked = await test.ask("key", `POST /${id}/messages`, { parentId: null, content: "hi" });
  assert.equal(asked.status, 403);
  assert.match((await asked.json()).error.message, /"inference"/);
  const noted = await test.ask("key", `POST /${id}/messages`, { parentId: null, content: "hi", answer: null });
  assert.equal(noted.status, 201);
  assert.equal((await noted.json()).answerId, null);
});
