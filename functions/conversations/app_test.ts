import assert from "node:assert/strict";
import { openTestApp } from "../../tests/fixtures/conversations_app.ts";
import { Random } from "../../tests/fixtures/random.ts";

Deno.test("A conversation is begun, renamed, pinned, archived, deleted and brought back", async () => {
  await using test = await openTestApp();
  const { ask, get, ada } = test;
  const response = await ask("ada", "POST ", { title: "  Rooks ", model: "scripted" });
  assert.equal(response.status, 201);
  assert.match(response.headers.get("content-type")!, /^application\/json/);
  const begun = await response.json();
  assert.partialDeepStrictEqual(begun, {
    title: "Rooks",
    model: "scripted",
    role: "owner",
    ownerId: ada.claims.sub,
    leafId: null,
    archivedAt: null,
    pinnedAt: null,
  });
  const path = `/${begun.id}`;
  const changed = await get("ada", `PATCH ${path}`, { title: "Ravens", pinned: true, archived: true });
  assert.equal(changed.title, "Ravens");
  assert.ok(changed.pinnedAt !== null && changed.archivedAt !== null);
  const again = await get("ada", `PATCH ${path}`, { pinned: true, archived: false, model: null });
  assert.deepEqual([again.pinnedAt, again.archivedAt, again.model], [changed.pinnedAt, null, null]);
  assert.deepEqual(await get("ada", `DELETE ${path}`), { status: "ok" });
  assert.deepEqual((await get("ada", "GET ")).data, []);
  assert.equal((await get("ada", "GET ?deleted=true")).data[0].id, begun.id);
  assert.equal((await get("ada", `POST ${path}/restore`)).deletedAt, null);
  assert.equal((await get("ada", "GET ")).data.length, 1);
});

Deno.test("Conversations are listed in pages, latest activity first, and found by title and by text", async () => {
  await using test = await openTestApp();
  const { get } = test;
  const ids: string[] = [];
  for (let at = 0; at < 5; at++) ids.unshift((await get("ada", "POST ", { title: `Number ${at}` })).id);
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page = await get("ada", `GET ?limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
    assert.ok(page.data.length <= 2);
    for (const { id } of page.data) seen.push(id);
    cursor = page.nextCursor;
  }
  assert.deepEqual(seen, ids);
  const talked = ids[3]!;
  const message = { parentId: null, content: "The corvids of Wiltshire gather at dusk", answer: null };
  const { messageId } = await get("ada", `POST /${talked}/messages`, message);
  assert.equal((await get("ada", "GET ")).data[0].id, talked, "What is talked in comes first");
  const { data: [byText] } = await get("ada", "GET ?search=corvids%20dusk");
  assert.equal(byText.id, talked);
  assert.equal(byText.found.messageId, messageId);
  assert.match(byText.found.snippet, /corvids of Wiltshire/);
  assert.deepEqual((await get("ada", "GET ?search=corvids%20dawn")).data, []);
  const { data: byTitle } = await get("ada", "GET ?search=umber%204");
  assert.deepEqual(byTitle.map(({ id, found }: { id: string; found: unknown }) => [id, found]), [[ids[0], null]]);
  await get("ada", `PATCH /${ids[1]}`, { archived: true });
  assert.equal((await get("ada", "GET ?archived=false")).data.length, 4);
  assert.equal((await get("ada", "GET ?archived=true")).data.length, 1);
});

Deno.test("Whoever writes looks at what was written, and may look at another branch", async () => {
  await using test = await openTestApp();
  const { get, runner, ask } = test;
  const { id } = await get("ada", "POST ", {});
  const { messageId, answerId } = await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  await runner.idle();
  assert.equal((await get("ada", `GET /${id}`)).leafId, answerId);
  const again = await get("ada", `POST /${id}/messages/${answerId}/regenerate`, {});
  await runner.idle();
  assert.equal((await get("ada", `GET /${id}`)).leafId, again.answerId);
  assert.equal((await get("ada", `PUT /${id}/branch`, { leafId: answerId })).leafId, answerId);
  const unknown = await ask("ada", `PUT /${id}/branch`, { leafId: crypto.randomUUID() });
  assert.equal(unknown.status, 404);
  const path = await get("ada", `GET /${id}/messages/${answerId}/path`);
  assert.deepEqual(path.data.map((message: { id: string }) => message.id), [answerId, messageId]);
});

Deno.test("An export is a file with the conversation's name, and imports as it came", async () => {
  await using test = await openTestApp();
  const { get, ask, runner } = test;
  const { id } = await get("ada", "POST ", { title: "Wie heißt's?" });
  await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  await runner.idle();
  const response = await ask("ada", `GET /${id}/export`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("content-disposition"), "attachment; filename*=UTF-8''Wie-hei%C3%9Ft-s.json");
  const imported = await get("bob", "POST /import", await response.json());
  assert.equal(imported.title, "Wie heißt's?");
  assert.equal((await get("bob", `GET /${imported.id}/messages`)).data.length, 2);
  const markdown = await ask("ada", `GET /${id}/export?format=markdown`);
  assert.equal(markdown.headers.get("content-type"), "text/markdown; charset=utf-8");
  assert.match(await markdown.text(), /^# Wie heißt's\?\n\n## User\n\nhi\n\n## Assistant/);
});

Deno.test("What is wrong with a request is said with the field that is wrong", async () => {
  await using test = await openTestApp();
  const { ask, get } = test;
  const { id } = await get("ada", "POST ", {});
  const wrong: [string, unknown, string | null][] = [
    ["GET ?cursor=nonsense", undefined, "cursor"],
    ["GET ?limit=1000", undefined, "limit"],
    ["GET /7", undefined, "id"],
    ["PATCH /" + id, { title: "" }, "title"],
    ["PATCH /" + id, { titel: "x" }, null],
    [`POST /${id}/messages`, { parentId: null, content: "a\0b" }, "content"],
    [`POST /${id}/messages`, { parentId: null, content: "a", type: "assistant" }, "type"],
    [`POST /${id}/messages`, { parentId: null, content: "a", answer: { sampling: { temperature: 9 } } }, null],
    [`POST /${id}/messages`, { parentId: null, content: "a", answer: { sampling: { maxTokens: 9 } } }, null],
    [`POST /${id}/messages`, { parentId: null, content: "a", answer: { reasoning: { effort: "low" } } }, null],
    [`POST /${id}/members`, { email: "bob@example.org", role: "owner" }, "role"],
    [`POST /${id}/messages/${id}/move`, { threadId: null }, "name"],
  ];
  for (const [request, body, param] of wrong) {
    const response = await ask("ada", request, body);
    assert.equal(response.status, 400, request);
    const { error } = await response.json();
    assert.equal(error.code, "invalid_request");
    if (param !== null) assert.equal(error.param, param, request);
  }
  const header = { "last-event-id": "-1" };
  const events = await ask("ada", `GET /${id}/messages/${id}/events`, undefined, header);
  assert.equal((await events.json()).error.param, "Last-Event-ID");
});

Deno.test("No text, however odd, is more than a wrong request", async () => {
  await using test = await openTestApp();
  const { ask, get } = test;
  const { id } = await get("ada", "POST ", {});
  const random = new Random(5);
  const odd = [
    "\0",
    "\ud800",
    "'",
    '"',
    "\\",
    "%",
    "_",
    "$1",
    "\u202e",
    "🐦",
    "\n",
    " ",
    "-",
    "or",
    "(",
    ":*",
    "&",
    "!",
  ];
  for (let round = 0; round < 40; round++) {
    const text = Array.from({ length: random.between(0, 12) }, () => random.pick(odd)).join("");
    const query = new URLSearchParams({ search: text.toWellFormed() });
    for (
      const [request, body] of [
        [`GET ?${query}`],
        [`GET ?cursor=${encodeURIComponent(text.toWellFormed())}`],
        [`PATCH /${id}`, { title: text }],
        [`POST /${id}/messages`, { parentId: null, content: text, threadName: text, answer: null }],
        [`POST /${id}/members`, { email: text, role: "reader" }],
      ] as [string, unknown?][]
    ) {
      const response = await ask("ada", request, body);
      const answer = await response.text();
      assert.ok(response.status < 500, `${request} ${JSON.stringify(body)}: ${answer}`);
    }
  }
});
