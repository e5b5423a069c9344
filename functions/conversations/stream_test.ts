import assert from "node:assert/strict";
import { openTestApp, readEvents, type StreamedEvent, type TestApp } from "../../tests/fixtures/conversations_app.ts";
import { openTestRunner } from "../../tests/fixtures/conversations.ts";
import { serve } from "../../tests/fixtures/http.ts";
import { MessageFeed } from "../../lib/conversations/message_feed.ts";
import { createApp } from "./app.ts";

const forever = new Promise<never>(() => {});
const STREAM = { accept: "text/event-stream" };

async function begin({ get }: TestApp): Promise<string> {
  return (await get("ada", "POST ", {})).id;
}

async function take(events: AsyncGenerator<StreamedEvent>): Promise<StreamedEvent["data"]> {
  return (await events.next()).value!.data;
}

Deno.test("Posting with Accept: text/event-stream answers with ids and the answer's events, numbered from 1", async () => {
  await using test = await openTestApp();
  const id = await begin(test);
  test.engine.enqueue("Hello", { type: "reasoning", text: "hm" });
  const response = await test.ask("ada", `POST /${id}/messages`, { parentId: null, content: "hi" }, STREAM);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  const [posted, ...events] = await Array.fromAsync(readEvents(response));
  assert.equal(posted!.id, null);
  assert.equal(posted!.data.type, "posted");
  assert.deepEqual(events.map((event) => event.id), [1, 2, 3]);
  assert.deepEqual(events.slice(0, 2).map(({ data }) => data), [{ type: "text", text: "Hello" }, {
    type: "reasoning",
    text: "hm",
  }]);
  assert.partialDeepStrictEqual(events[2]!.data, { type: "done", state: "complete", error: null });
  const answer = await test.get("ada", `GET /${id}/messages/${posted!.data.answerId}`);
  assert.partialDeepStrictEqual(answer, { content: "Hello", reasoning: "hm", parentId: posted!.data.messageId });
});

Deno.test("A page that is closed in the middle of an answer stops nothing, and finds the rest when it is back", async () => {
  await using test = await openTestApp();
  const { engine, runner } = test;
  await using server = serve(test.app);
  const id = await begin(test);
  const gate = Promise.withResolvers<void>();
  engine.enqueue("one ", { wait: gate.promise }, "two");
  const headers = { authorization: "Bearer ada", "content-type": "application/json", ...STREAM };
  const url = `${server.url}/api/conversations/${id}/messages`;
  const page = await fetch(url, {
    method: "POST",
    body: JSON.stringify({ parentId: null, content: "hi" }),
    headers,
  });
  const events = readEvents(page);
  const { answerId } = await take(events);
  const last = (await events.next()).value!;
  assert.equal(last.data.text, "one ");
  await events.return();
  gate.resolve();
  await runner.idle();
  const back = await fetch(`${url}/${answerId}/events`, { headers: { ...headers, "last-event-id": String(last.id) } });
  assert.deepEqual((await Array.fromAsync(readEvents(back))).map(({ id, data }) => [id, data.text ?? data.state]), [
    [2, "two"],
    [3, "complete"],
  ]);
  const both = { headers: { ...headers, "last-event-id": "2" } };
  const again = await Array.fromAsync(readEvents(await fetch(`${url}/${answerId}/events?after=1`, both)));
  assert.deepEqual(again.map(({ id }) => id), [3]);
  const over = await fetch(`${url}/${answerId}/events`, { headers: { ...headers, "last-event-id": "3" } });
  assert.equal(over.status, 204);
  await over.body?.cancel();
});

Deno.test("Two tabs on two runtimes see the same, and either stops it", async () => {
  await using test = await openTestApp();
  const { engine, database, get, ask } = test;
  await using runner = await openTestRunner(test);
  await using feed = await MessageFeed.open(database);
  const other = createApp({ database, runner, feed, edge: test.edge });
  const id = await begin(test);
  engine.enqueue("a", "b", { wait: forever });
  const { answerId } = await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  const path = `/api/conversations/${id}/messages/${answerId}`;
  const headers = { authorization: "Bearer ada" };
  const tabs = [
    await ask("ada", `GET /${id}/messages/${answerId}/events`),
    await other.request(`${path}/events`, { headers }),
  ].map(readEvents);
  const seen = tabs.map((tab) => Array.fromAsync(tab));
  let text = "";
  for await (const { data } of readEvents(await other.request(`${path}/events`, { headers }))) {
    text += data.text ?? "";
    if (text === "ab") break;
  }
  const stopped = await other.request(`${path}/stop`, { method: "POST", headers });
  assert.deepEqual(await stopped.json(), { stopping: true });
  const [one, two] = await Promise.all(seen);
  assert.deepEqual(one, two);
  assert.equal(one!.map(({ data }) => data.text ?? "").join(""), "ab");
  assert.partialDeepStrictEqual(one!.at(-1)!.data, { type: "done", state: "stopped" });
});

Deno.test("An answer that cannot be made ends its stream with the reason; an unknown model stores nothing", async () => {
  await using test = await openTestApp();
  const { ask, get, engine } = test;
  const id = await begin(test);
  engine.enqueue("so far", { fail: new Error("the disk of the engine burns") });
  const response = await ask("ada", `POST /${id}/messages`, { parentId: null, content: "hi" }, STREAM);
  const events = await Array.fromAsync(readEvents(response));
  const { type, state, error } = events.at(-1)!.data;
  assert.deepEqual([type, state, error.code], ["done", "failed", "internal_error"]);
  assert.ok(!JSON.stringify(events).includes("burns"), "No raw exception text leaves the process");

  const before = (await get("ada", `GET /${id}/messages`)).data.length;
  const unknown = await ask("ada", `POST /${id}/messages`, {
    parentId: null,
    content: "hi",
    answer: { model: "gpt-4" },
  });
  assert.equal(unknown.status, 404);
  assert.equal((await unknown.json()).error.code, "model_not_found");
  assert.equal((await get("ada", `GET /${id}/messages`)).data.length, before);
});

Deno.test("An account has so many streams open and no more, posts nothing for one too many, and holds up nobody", async () => {
  await using test = await openTestApp();
  const { ask, get, engine } = test;
  const id = await begin(test);
  engine.enqueue("a", { wait: forever });
  const { answerId } = await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  const path = `/${id}/messages/${answerId}/events`;
  await get("ada", `POST /${id}/members`, { email: "bob@example.org", role: "reader" });
  const open = await Promise.all(Array.from({ length: 64 }, () => ask("ada", `GET ${path}`)));
  assert.deepEqual([...new Set(open.map(({ status }) => status))], [200]);
  const refused = [
    await ask("ada", `GET ${path}`),
    await ask("ada", `POST /${id}/messages`, { parentId: null, content: "one too many" }, STREAM),
  ];
  for (const response of refused) {
    assert.equal(response.status, 429);
    assert.partialDeepStrictEqual(await response.json(), { error: { code: "queue_full" } });
  }
  assert.equal((await get("ada", `GET /${id}/messages`)).data.length, 2);
  const bob = await ask("bob", `GET ${path}`);
  assert.equal(bob.status, 200);
  await open[0]!.body!.cancel();
  const head = await ask("ada", `HEAD ${path}`);
  assert.equal(head.status, 200);
  open[0] = await ask("ada", `GET ${path}`);
  assert.equal(open[0].status, 200);
  await Promise.all([...open, bob].map((response) => response.body!.cancel()));
});

Deno.test("A stream that its reader may follow no longer ends with an error instead of done", async () => {
  await using test = await openTestApp();
  const { ask, get, engine, bob } = test;
  const id = await begin(test);
  await get("ada", `POST /${id}/members`, { email: "bob@example.org", role: "reader" });
  engine.enqueue("a", { wait: forever });
  const { answerId } = await get("ada", `POST /${id}/messages`, { parentId: null, content: "hi" });
  const events = readEvents(await ask("bob", `GET /${id}/messages/${answerId}/events`));
  assert.equal((await take(events)).text, "a");
  const rest = Array.fromAsync(events);
  await get("ada", `DELETE /${id}/members/${bob.claims.sub}`);
  const last = await rest;
  assert.equal(last.length, 1);
  assert.partialDeepStrictEqual(last[0]!.data, { type: "error", error: { code: "not_found" } });
  const again = await ask("bob", `GET /${id}/messages/${answerId}/events`);
  assert.equal(again.status, 404);
});
