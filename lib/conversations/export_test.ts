import assert from "node:assert/strict";
import { ConversationExport } from "../contracts/conversation.ts";
import { openTestHome, type TestHome } from "../../tests/fixtures/conversations.ts";
import { continueAnswer, postMessage, regenerate } from "./answers.ts";
import type { Caller } from "./caller.ts";
import { createConversation } from "./conversations.ts";
import { exportConversation, type ExportOptions, toBatches } from "./export.ts";
import { importConversation } from "./import.ts";
import { deleteMessage } from "./messages.ts";

async function exportText(caller: Caller, options: ExportOptions): Promise<string> {
  return (await Array.fromAsync((await exportConversation(caller, options)).texts)).join("");
}

async function exportFile(caller: Caller, conversationId: string, leafId: string | null = null) {
  const text = await exportText(caller, { conversationId, leafId, format: "json" });
  return ConversationExport.parse(JSON.parse(text));
}

/** A conversation with two answers, an aside in a thread of its own, a deleted message and an interrupted answer. */
async function tell({ ada, runner, engine }: TestHome): Promise<{ conversationId: string; leafId: string }> {
  const { id: conversationId } = await createConversation(ada, { title: "Rooks & ravens: 1/2", model: "scripted" });
  const say = (parentId: string | null, content: string, threadName: string | null = null) => {
    const message = { parentId, type: "user" as const, content, threadName, answer: {} };
    return postMessage(ada, { runner, conversationId, message });
  };
  engine.enqueue({ type: "reasoning", text: "Birds.\nBlack ones." }, "They *caw*.", {
    type: "tool_call",
    index: 0,
    id: "c1",
    name: "listen",
  }, { type: "tool_arguments", index: 0, text: "{}" });
  const first = await say(null, "What do rooks say?");
  await runner.idle();
  engine.enqueue("Kraa", { fail: new Error("cut") });
  const second = await regenerate(ada, { conversationId, messageId: first.answerId!, runner, answer: {} });
  await runner.idle();
  engine.enqueue("!");
  await continueAnswer(ada, { conversationId, messageId: second.answerId!, runner, answer: {} });
  await runner.idle();
  const aside = await say(first.answerId, "And ravens?", "Ravens");
  await runner.idle();
  const gone = await say(first.answerId, "Forget this");
  await runner.idle();
  await deleteMessage(ada, { conversationId, messageId: gone.messageId! });
  return { conversationId, leafId: aside.answerId! };
}

/** An export with ids that count from 0, so that two can be compared. */
function normalise({ messages, threads, ...rest }: ConversationExport) {
  const ids = new Map([...messages, ...threads].map(({ id }, at) => [id, at]));
  const name = (id: string | null) => id === null ? null : ids.get(id) ?? "root";
  return {
    ...rest,
    threads: threads.map((thread) => ({ ...thread, id: name(thread.id), rootMessageId: name(thread.rootMessageId) })),
    messages: messages.map((message) => ({
      ...message,
      id: name(message.id),
      parentId: name(message.parentId),
      threadId: name(message.threadId),
    })),
  };
}

Deno.test("An export that is imported is the same conversation, and so is the export of that", async () => {
  await using home = await openTestHome();
  const { ada, bob } = home;
  const { conversationId, leafId } = await tell(home);
  const file = await exportFile(ada, conversationId);
  assert.deepEqual(file.messages.map(({ type, content, state }) => [type, content, state]), [
    ["user", "What do rooks say?", "complete"],
    ["assistant", "They *caw*.", "complete"],
    ["user", "And ravens?", "complete"],
    ["assistant", "And ravens?", "complete"],
    ["assistant", "Kraa", "failed"],
    ["assistant", "Kraa!", "complete"],
  ]);
  assert.deepEqual(file.threads.map(({ name }) => name), ["Ravens"]);
  const copy = await importConversation(bob, file);
  assert.equal(copy.ownerId, bob.claims.sub);
  assert.deepEqual(normalise(await exportFile(bob, copy.id)), normalise(file));
  const branch = await exportFile(ada, conversationId, leafId);
  assert.deepEqual(branch.messages.map(({ content }) => content), [
    "What do rooks say?",
    "They *caw*.",
    "And ravens?",
    "And ravens?",
  ]);
  assert.deepEqual(normalise(await exportFile(bob, (await importConversation(bob, branch)).id)), normalise(branch));
  await assert.rejects(exportFile(bob, conversationId), { code: "not_found" });
  const exports = await home.database.asOwner((session) => {
    const text = "select actor, target, details from app.audit_log where action = 'conversation_exported' order by id";
    return session.query(text);
  });
  assert.deepEqual(exports.slice(0, 1), [
    { actor: ada.claims.sub, target: conversationId, details: { leaf: null, format: "json" } },
  ]);
  assert.equal(exports.length, 4);
});

Deno.test("Markdown has a heading for each message, and says which versions there are", async () => {
  await using home = await openTestHome();
  const { conversationId, leafId } = await tell(home);
  const options = { conversationId, format: "markdown" as const };
  const { name } = await exportConversation(home.ada, { ...options, leafId });
  assert.equal(name, "Rooks-ravens-1-2.md");
  const text = await exportText(home.ada, { ...options, leafId: null });
  assert.match(text, /^# Rooks & ravens: 1\/2\n\n## User\n\nWhat do rooks say\?\n/);
  assert.match(text, /## Assistant \(scripted, version 1 of 3\)\n\n> Birds\.\n> Black ones\.\n\nThey \*caw\*\./);
  assert.match(text, /Calls `listen`:\n\n```json\n\{\}\n```\n/);
  assert.match(text, /## Assistant \(scripted, failed, version 2 of 3\)\n\nKraa\n/);
  assert.ok(!text.includes("Forget this"));
});

Deno.test("An export that does not hold together is refused as a whole", async () => {
  await using home = await openTestHome();
  const { ada } = home;
  const { conversationId } = await tell(home);
  const file = await exportFile(ada, conversationId);
  const [first, ...rest] = file.messages;
  for (const messages of [[...rest, first!], [first!, first!], [{ ...first!, parentId: "nobody" }]]) {
    await assert.rejects(importConversation(ada, { ...file, messages }), { code: "invalid_request" });
  }
  assert.ok(!ConversationExport.safeParse({ ...file, threads: [...file.threads, ...file.threads] }).success);
  const count = await ada.database.transaction(ada.claims, async (session) => {
    return (await session.query("select id from app.list_conversations()")).length;
  });
  assert.equal(count, 1);
});

Deno.test("An export reads so many messages at once, or fewer when they are long", () => {
  const lengths = (bytes: number[]) =>
    [...toBatches(bytes.map((each) => ({ bytes: each })))].map(({ length }) => length);
  const mebibyte = 1_048_576;
  assert.deepEqual(lengths([]), []);
  assert.deepEqual(lengths(Array(450).fill(10)), [200, 200, 50]);
  assert.deepEqual(lengths([mebibyte, 3 * mebibyte, 1, 9 * mebibyte, 1, 1]), [2, 1, 1, 2]);
});
