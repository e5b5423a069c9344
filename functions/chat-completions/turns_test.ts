import assert from "node:assert/strict";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { openTestApp, type TestApp, toPrincipal } from "../../tests/fixtures/conversations_app.ts";
import { postJson } from "../../tests/fixtures/http.ts";
import { until } from "../../tests/fixtures/processes.ts";
import { createApp } from "./app.ts";

function createCompletions({ engine, database, runner, edge }: TestApp) {
  const app = createApp({ inference: createEngineTable([engine]), database, runner, edge });
  return async (who: string, changes: object) => {
    const body = { model: "scripted", messages: [{ role: "user", content: "hi" }], ...changes };
    return await postJson(app, "/v1/chat/completions", { body, headers: { authorization: `Bearer ${who}` } });
  };
}

Deno.test("A program that asks for it has its turns kept in a conversation, whole or streamed", async () => {
  await using test = await openTestApp();
  const complete = createCompletions(test);
  const { id } = await test.get("ada", "POST ", {});
  const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "hi" }];
  test.engine.enqueue("Hello");
  const first = await complete("ada", { messages, metadata: { rookery: { conversation_id: id } } });
  assert.equal(first.status, 200);
  assert.equal((await first.json()).choices[0].message.content, "Hello");
  const parent = first.headers.get("x-rookery-message-id");
  test.engine.enqueue("Fine", ", thanks");
  const second = await complete("ada", {
    messages: [...messages, { role: "assistant", content: "Hello" }, { role: "user", content: "How are you?" }],
    metadata: { rookery: { conversation_id: id, parent_message_id: parent }, other: "x" },
    stream: true,
  });
  assert.match(await second.text(), /\[DONE\]/);
  const leaf = second.headers.get("x-rookery-message-id");
  const { data } = await test.get("ada", `GET /${id}/messages/${leaf}/path`);
  assert.deepEqual(
    data.map(({ type, content, state }: Record<string, string>) => [type, content, state]).toReversed(),
    [
      ["system", "Be brief.", "complete"],
      ["user", "hi", "complete"],
      ["assistant", "Hello", "complete"],
      ["user", "How are you?", "complete"],
      ["assistant", "Fine, thanks", "complete"],
    ],
  );
  assert.equal(data[0].usage.finishReason, "stop");
});

Deno.test("Without asking nothing is stored, and nothing of a request that is refused", async () => {
  await using test = await openTestApp();
  const complete = createCompletions(test);
  const { id } = await test.get("ada", "POST ", {});
  await (await complete("ada", {})).body?.cancel();
  const metadata = { rookery: { conversation_id: id } };
  test.admit("key", { ...toPrincipal(test.ada), kind: "key", scopes: ["inference"] });
  const refused: [string, object, number][] = [
    ["bob", { metadata }, 404],
    ["key", { metadata }, 403],
    ["ada", { metadata, n: 2 }, 400],
    ["ada", { metadata: { rookery: { conversation_id: "x" } } }, 400],
    ["ada", { metadata, messages: [{ role: "user", content: "x".repeat(2_000_000) }] }, 400],
    ["ada", { metadata, messages: [{ role: "assistant", content: "x" }] }, 400],
  ];
  for (const [who, changes, status] of refused) {
    const response = await complete(who, changes);
    assert.equal(response.status, status, `${who} ${JSON.stringify(changes).slice(0, 200)}: ${await response.text()}`);
  }
  assert.deepEqual((await test.get("ada", `GET /${id}/messages`)).data, []);
  assert.equal((await test.engine.status()).active, 0, "Nothing is computed for who may not store it");
});

Deno.test("An answer whose reader leaves is kept as far as it came", async () => {
  await using test = await openTestApp();
  const complete = createCompletions(test);
  const { id } = await test.get("ada", "POST ", {});
  test.engine.enqueue("so far", { wait: new Promise<never>(() => {}) });
  const response = await complete("ada", { metadata: { rookery: { conversation_id: id } }, stream: true });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes("so far");) text += (await reader.read()).value;
  await reader.cancel();
  const answerId = response.headers.get("x-rookery-message-id");
  const read = () => test.get("ada", `GET /${id}/messages/${answerId}`);
  await until(async () => (await read()).state !== "in_progress");
  assert.partialDeepStrictEqual(await read(), { state: "interrupted", content: "so far" });
});

Deno.test("An answer whose reader leaves before it says anything ends as well, and holds nothing up", async () => {
  await using test = await openTestApp();
  const complete = createCompletions(test);
  const { id } = await test.get("ada", "POST ", {});
  for (const reads of [0, 1]) {
    test.engine.enqueue("never read", { wait: new Promise<never>(() => {}) });
    const response = await complete("ada", { metadata: { rookery: { conversation_id: id } }, stream: true });
    const reader = response.body!.getReader();
    // The role comes before the engine is asked for anything.
    for (let at = 0; at < reads; at++) await reader.read();
    await reader.cancel();
    await test.engine.idle();
    const answerId = response.headers.get("x-rookery-message-id");
    const read = () => test.get("ada", `GET /${id}/messages/${answerId}`);
    await until(async () => (await read()).state !== "in_progress");
    assert.partialDeepStrictEqual(await read(), { state: "interrupted", content: "" });
  }
});

Deno.test("An answer that a program makes is stopped from the conversation, and kept as far as it came", async () => {
  await using test = await openTestApp();
  const complete = createCompletions(test);
  const { id } = await test.get("ada", "POST ", {});
  test.engine.enqueue("so far", { wait: new Promise<never>(() => {}) });
  const response = await complete("ada", { metadata: { rookery: { conversation_id: id } }, stream: true });
  const answerId = response.headers.get("x-rookery-message-id");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; !text.includes("so far");) text += (await reader.read()).value;
  assert.deepEqual(await test.get("ada", `POST /${id}/messages/${answerId}/stop`), { stopping: true });
  let rest = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) rest += next.value;
  assert.doesNotMatch(rest, /\[DONE\]/, "Half an answer does not look whole");
  const read = () => test.get("ada", `GET /${id}/messages/${answerId}`);
  await until(async () => (await read()).state !== "in_progress");
  assert.partialDeepStrictEqual(await read(), { state: "stopped", content: "so far", error: null });
});
