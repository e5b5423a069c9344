import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Role } from "../lib/contracts/account.ts";
import { ACCESS, BODIES, QUERIES, READERS_OWN } from "./fixtures/access_table.ts";
import type { Browser } from "./fixtures/accounts.ts";
import { readJson } from "./fixtures/http.ts";
import {
  type ApiDescription,
  CREATORS,
  FAR,
  openWholeHouse,
  type Operation,
  type Schema,
  type WholeHouse,
} from "./fixtures/whole_house.ts";

/** What nobody but vera, and those whom she lets in, may ever read: it is in everything of hers. */
const SECRET = /xylophone|\bvera\b/i;

/** Ids of things that belong to vera, by the names that paths, queries and bodies of the table give them. */
type Ids = Record<"id" | "messageId" | "threadId" | "userId" | "keyId" | "sessionId" | "invitationId", string>;

/** Vera, what is hers, and everybody who is to be kept from it. */
interface Village {
  house: WholeHouse;
  vera: Browser;
  ada: Browser;
  ids: Ids;
  /** A conversation of bob's, in which cleo reads. */
  bobs: string;
  callers: Record<"user" | "reader" | "anonymous" | "suspended", Browser>;
}

async function succeed(response: Response): ReturnType<typeof readJson> {
  assert.ok(response.ok, await response.clone().text());
  return await readJson(response);
}

/** Fills a house with people. */
async function settle(house: WholeHouse): Promise<Village> {
  const ada = house.visit();
  await ada.join("ada@example.org");
  const invite = async (name: string, role: Role = "user") => {
    const { url } = await succeed(await ada.post("/api/admin/invitations", { role, email: `${name}@example.org` }));
    const browser = house.visit();
    const { account } = await browser.join(`${name}@example.org`, { token: new URL(url).hash.replace("#token=", "") });
    return { browser, id: account.id };
  };
  const [vera, bob, cleo, dan] = [
    await invite("vera"),
    await invite("bob"),
    await invite("cleo", "read_only"),
    await invite("dan"),
  ];
  await succeed(await ada.send("PATCH", `/api/admin/users/${dan.id}`, { body: { suspended: true } }));
  await succeed(await ada.post("/api/admin/invitations", { email: "xylophone@example.org" }));
  const { data: [invitation] } = await succeed(await ada.get("/api/admin/invitations"));
  const { id: bobs } = await succeed(await bob.browser.post("/api/conversations", { title: "Bob's" }));
  const share = { email: "cleo@example.org", role: "reader" };
  await succeed(await bob.browser.post(`/api/conversations/${bobs}/members`, share));
  const ids = { ...await furnish(house, vera.browser), userId: vera.id, invitationId: invitation.id };
  return {
    house,
    ada,
    vera: vera.browser,
    ids,
    bobs,
    callers: { user: bob.browser, reader: cleo.browser, anonymous: house.visit(FAR), suspended: dan.browser },
  };
}

/** Gives vera a name, a key and a conversation, with a thread that begins with an answer's sibling. */
async function furnish(house: WholeHouse, vera: Browser): Promise<Omit<Ids, "userId" | "invitationId">> {
  await succeed(await vera.send("PATCH", "/api/auth/me", { body: { displayName: "Vera Xylophone" } }));
  const key = await succeed(await vera.post("/api/keys", { name: "xylophone", scopes: ["read"] }));
  const { sessions: [session] } = await succeed(await vera.get("/api/auth/sessions"));
  const { id } = await succeed(await vera.post("/api/conversations", { title: "Xylophones" }));
  const messages = `/api/conversations/${id}/messages`;
  house.inference.engine.enqueue("A xylophone answers");
  const posted = await succeed(await vera.post(messages, { parentId: null, content: "What is a xylophone?" }));
  await house.runner.idle();
  const note = { parentId: posted.answerId, type: "note", content: "xylophone", threadName: "Xylophone", answer: null };
  await succeed(await vera.post(messages, note));
  const { data: threads } = await succeed(await vera.get(`/api/conversations/${id}/threads`));
  assert.equal(threads.length, 2);
  const threadId = threads.find(({ name }: { name: string }) => name === "Xylophone").id;
  return { id, messageId: posted.answerId, threadId, keyId: key.id, sessionId: session.id };
}

/** Everything of vera's that somebody might have changed. */
async function look({ vera, ada, ids }: Village): Promise<unknown> {
  const conversation = `/api/conversations/${ids.id}`;
  const paths = ["/messages?limit=200", "/members", "/threads", ""].map((end) => conversation + end);
  const seen = [];
  for (const path of [...paths, "/api/keys", "/api/auth/me"]) seen.push(await succeed(await vera.get(path)));
  const { sessions } = await succeed(await vera.get("/api/auth/sessions"));
  const invitations = await succeed(await ada.get("/api/admin/invitations"));
  const settings = await succeed(await ada.get("/api/admin/settings"));
  return [...seen, sessions.map(({ id }: { id: string }) => id), invitations, settings];
}

/** One way of asking a route. */
interface Question {
  name: string;
  method: string;
  path: string;
  body: unknown;
  contentType: string;
}

/** Puts ids, and else what is well formed, where the braces of a route are. */
function makeQuestion(name: string, operation: Operation, ids: Record<string, string>): Question {
  const [method = "", template = ""] = name.split(" ");
  const values: Record<string, string> = {
    provider: "github",
    model: "scripted",
    name: "rookery-20261124T120000Z.backup",
    ...ids,
  };
  const fill = (text: string) => text.replace(/\{(\w+)\}/g, (_, param) => values[param] ?? assert.fail(param));
  const types = Object.keys(operation.requestBody?.content ?? {});
  const body = types.length === 0 ? undefined : JSON.parse(fillText(JSON.stringify(BODIES[name] ?? {}), values));
  return {
    name,
    method,
    path: fill(template) + fill(QUERIES[name] ?? ""),
    body,
    contentType: types[0] ?? "application/json",
  };
}

/** Braces of JSON are not those of names. */
function fillText(text: string, values: Record<string, string>): string {
  return text.replace(/"\{(\w+)\}"/g, (_, param) => JSON.stringify(values[param] ?? assert.fail(param)));
}

async function ask(browser: Browser, { method, path, body, contentType }: Question) {
  const response = await browser.send(method, path, { body, headers: { "content-type": contentType } });
  return { status: response.status, text: await response.text() };
}

/** The id of vera's that a route's `{id}` means. */
function idFor(name: string, ids: Ids): string {
  if (name.includes("/users/")) return ids.userId;
  if (name.includes("/keys/")) return ids.keyId;
  if (name.includes("/sessions/")) return ids.sessionId;
  return name.includes("/invitations/") ? ids.invitationId : ids.id;
}

function namesAny(question: Question, ids: readonly string[]): boolean {
  const text = JSON.stringify(question);
  return ids.some((id) => text.includes(id));
}

/** Every way to ask a route for something of vera's: with the ids that it means, and with each other one. */
function listQuestions(name: string, operation: Operation, { ids, bobs }: Village): Question[] {
  const fitting = { ...ids, id: idFor(name, ids) };
  const last = /\{(id|messageId|userId)\}[^{]*$/.exec(name)?.[1] ?? null;
  const uuids = Object.values(ids).filter((id) => id !== ids.invitationId);
  const odd = last === null ? [] : uuids.map((id) => ({ ...fitting, [last]: id }));
  const own = ACCESS[name] === "member" ? [{ ...fitting, id: bobs }] : [];
  const questions = [fitting, ...odd, ...own].map((values) => makeQuestion(name, operation, values));
  const named = questions.filter((question, at) => at === 0 || namesAny(question, Object.values(ids)));
  return [...new Map(named.map((question) => [JSON.stringify(question), question])).values()];
}

/** Statuses with which `who` is refused. What is another's is not even there for who has no part in it. */
function listRefusals(who: string, name: string): number[] {
  if (who === "anonymous") return [401];
  if (who === "suspended" || ACCESS[name] === "admin") return [403];
  // A wrong password is a 401 to who is logged in, too.
  return ACCESS[name] === "member" ? [403, 404] : [401, 403, 404];
}

/** Lists of one's own that a query narrows: what is not in them makes them empty. */
const FILTERED = ["GET /api/conversations/{id}/messages"];

/** Whether `who` is to be refused, whatever they ask of a route. */
function isRefused(who: string, { name, path }: Question): boolean {
  const audience = ACCESS[name]!;
  if (audience === "member" || audience === "admin" || who === "anonymous" || who === "suspended") return true;
  if (audience === "read") return false;
  if (audience === "own" && path.includes("-")) return true;
  return who === "reader" && !name.startsWith("GET ") && !READERS_OWN.includes(name);
}

/** Asks every question as everybody, and tells what was answered as it should not have been. */
async function findLeaks(village: Village, operations: Map<string, Operation>): Promise<string[]> {
  const { callers } = village;
  const { error: { message: stop } } = await readJson(await callers.anonymous.get("/api/keys"));
  const leaks: string[] = [];
  let asked = 0;
  for (const [name, operation] of operations) {
    const isPublic = ACCESS[name] === "public";
    const questions = listQuestions(name, operation, village);
    for (const [who, browser] of Object.entries(callers)) {
      if (isPublic && who !== "anonymous") continue;
      // Who has rights of their own tries every id; others are not looked at for what they ask.
      for (const question of who === "user" || who === "reader" ? questions : questions.slice(0, 1)) {
        const { status, text } = await ask(browser, question);
        const isEmpty = FILTERED.includes(name) && status === 200 && text === '{"data":[],"nextCursor":null}';
        const isDone = isEmpty || listRefusals(who, name).includes(status) || !isRefused(who, question);
        const mayPass = isPublic ? !text.includes(stop) : isDone;
        const isSilent = !SECRET.test(text.replaceAll(stop, ""));
        if (!mayPass || !isSilent || status >= 500) {
          leaks.push(`${who}: ${question.method} ${question.path}: ${status} ${text.slice(0, 300)}`);
        }
        asked++;
      }
    }
  }
  assert.ok(asked > 500, `${asked} questions are too few to have been all`);
  return leaks;
}

/** Whether a schema has an id in it, however deep. */
function takesId(schema: Schema, schemas: Record<string, Schema>, seen: readonly string[] = []): boolean {
  const { $ref = null, format, properties = {}, items, anyOf = [], oneOf = [], allOf = [] } = schema;
  if ($ref !== null) {
    return !seen.includes($ref) && takesId(schemas[$ref.split("/").at(-1)!]!, schemas, [...seen, $ref]);
  }
  const parts = [...Object.values(properties), ...anyOf, ...oneOf, ...allOf, ...items === undefined ? [] : [items]];
  return format === "uuid" || parts.some((part) => takesId(part, schemas, seen));
}

function checkTable({ operations, schemas }: ApiDescription): void {
  assert.deepEqual([...operations.keys()].sort(), Object.keys(ACCESS).sort());
  for (const [name, { parameters = [], requestBody }] of operations) {
    for (const { name: param, schema, in: place } of parameters) {
      if (place !== "query" || schema?.format !== "uuid") continue;
      assert.ok(QUERIES[name]?.includes(`${param}={`), `${name} needs a row in QUERIES with "${param}"`);
    }
    const bodies = Object.values(requestBody?.content ?? {});
    if (!bodies.some(({ schema }) => takesId(schema, schemas))) continue;
    assert.match(JSON.stringify(BODIES[name] ?? {}), /"\{\w+\}"/, `${name} needs a row in BODIES with an id`);
  }
}

/** What is refused to others has to work for who owns it: else a question is badly put, and proves nothing. */
async function askAsOwner({ vera, ids }: Village, operations: Map<string, Operation>): Promise<void> {
  const find = (name: string) => makeQuestion(name, operations.get(name)!, { ...ids, id: idFor(name, ids) });
  const reads = Object.keys(ACCESS).filter((name) => ACCESS[name] === "member" && name.startsWith("GET "));
  for (const name of reads) {
    const { status, text } = await ask(vera, find(name));
    assert.equal(status, 200, `${name}: ${text}`);
    assert.match(text, SECRET, name);
  }
  for (const name of ["POST /v1/chat/completions", "DELETE /api/keys/{id}", "DELETE /api/auth/sessions/{id}"]) {
    assert.equal((await ask(vera, find(name))).status, 200, name);
  }
}

Deno.test("Every function that there is has its routes in the matrix", async () => {
  const folder = fileURLToPath(new URL("../functions", import.meta.url));
  const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name !== "_shared").sort(), Object.keys(CREATORS).sort());
});

Deno.test("Nobody reaches what belongs to another account", async (t) => {
  await using house = await openWholeHouse();
  const description = await house.describe();
  const village = await settle(house);

  await t.step("Every route has a row that says whom it is for, and every id that it takes is tried", () => {
    checkTable(description);
  });

  await t.step("No route shows or does anything of another's, whoever asks and with whatever id", async () => {
    const before = await look(village);
    assert.deepEqual(await findLeaks(village, description.operations), []);
    assert.deepEqual(await look(village), before);
  });

  await t.step("The owner gets by the same questions what the others are refused", async () => {
    await askAsOwner(village, description.operations);
  });
});
