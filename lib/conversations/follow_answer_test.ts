import assert from "node:assert/strict";
import type { AnswerEvent, Posted } from "../contracts/conversation.ts";
import { openTestHome, type TestHome } from "../../tests/fixtures/conversations.ts";
import { editMessage, postMessage } from "./answers.ts";
import type { Caller } from "./caller.ts";
import { createConversation, deleteConversation, shareConversation, unshareConversation } from "./conversations.ts";
import { followAnswer, type NumberedEvent } from "./follow_answer.ts";
import { getMessage } from "./messages.ts";

const never = new AbortController().signal;

async function ask(home: TestHome, content = "hi"): Promise<Posted & { conversationId: string; answerId: string }> {
  const { ada, runner } = home;
  const { id: conversationId } = await createConversation(ada, {});
  const message = { parentId: null, type: "user" as const, content, answer: {} };
  const posted = await postMessage(ada, { runner, conversationId, message });
  return { ...posted, answerId: posted.answerId!, conversationId };
}

async function follow(
  caller: Caller,
  { home, answer, afterSeq = 0, signal = never }: {
    home: Pick<TestHome, "feed">;
    answer: { conversationId: string; answerId: string };
    afterSeq?: number;
    signal?: AbortSignal;
  },
): Promise<AsyncGenerator<NumberedEvent, void, void> | null> {
  const { conversationId, answerId: messageId } = answer;
  return await followAnswer(caller, { feed: home.feed, conversationId, messageId, afterSeq, signal });
}

function join(events: readonly AnswerEvent[]): string {
  return events.map((event) => event.type === "text" ? event.text : "").join("");
}

Deno.test("Whoever comes back after any event gets exactly those that follow, also while the answer is made", async () => {
  await using home = await openTestHome();
  const { ada, engine } = home;
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const words = ["The ", "rook ", "is ", "no ", "raven", "."];
  engine.enqueue(...words.flatMap((word, at) => [word, { wait: gates[at]!.promise }]));
  const answer = await ask(home);
  const all: NumberedEvent[] = [];
  const cut: Promise<NumberedEvent[]>[] = [];
  for await (const numbered of (await follow(ada, { home, answer }))!) {
    all.push(numbered);
    // Someone else comes back here, while the rest of the answer is not made yet, and stays to the end.
    if (numbered.event.type !== "done") {
      cut.push(follow(ada, { home, answer, afterSeq: numbered.seq }).then((events) => Array.fromAsync(events!)));
    }
    gates[all.length - 1]?.resolve();
  }
  assert.deepEqual(all.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7]);
  assert.equal(join(all.map(({ event }) => event)), words.join(""));
  for (const [at, events] of (await Promise.all(cut)).entries()) assert.deepEqual(events, all.slice(at + 1));
  for (const afterSeq of all.keys()) {
    const events = await Array.fromAsync((await follow(ada, { home, answer, afterSeq }))!);
    assert.deepEqual(events, all.slice(afterSeq));
  }
  assert.equal(await follow(ada, { home, answer, afterSeq: all.length }), null);
});

Deno.test("A long answer is read in steps, and its pieces are the message", async () => {
  await using home = await openTestHome();
  const { ada, engine } = home;
  const pieces = Array.from(
    { length: 1_200 },
    (_, at) => at % 2 === 0 ? "x" : { type: "reasoning" as const, text: "y" },
  );
  engine.enqueue(...pieces);
  const answer = await ask(home);
  const events = await Array.fromAsync((await follow(ada, { home, answer }))!);
  assert.equal(events.length, 1_201);
  const { content, reasoning } = await getMessage(ada, { ...answer, messageId: answer.answerId });
  assert.equal(content, "x".repeat(600));
  assert.equal(reasoning, "y".repeat(600));
  assert.equal(join(events.map(({ event }) => event)), content);
});

Deno.test("A message that was posted is told as a whole, and once", async () => {
  await using home = await openTestHome();
  const { ada, runner, feed } = home;
  const { conversationId, messageId } = await ask(home, "Hello");
  await runner.idle();
  const options = { feed, conversationId, messageId: messageId!, signal: never };
  const events = await Array.fromAsync((await followAnswer(ada, { ...options, afterSeq: 0 }))!);
  assert.deepEqual(events, [
    { seq: 1, event: { type: "text", text: "Hello" } },
    { seq: 2, event: { type: "done", state: "complete", usage: null, error: null } },
  ]);
  assert.deepEqual(await Array.fromAsync((await followAnswer(ada, { ...options, afterSeq: 1 }))!), events.slice(1));
  assert.equal(await followAnswer(ada, { ...options, afterSeq: 2 }), null);
});

Deno.test("Whoever comes back when the pieces are gone gets the message whole, unless they have seen all of it", async () => {
  await using home = await openTestHome();
  const { ada, engine, runner, database } = home;
  engine.enqueue("Rooks ", { type: "reasoning", text: "birds" }, "caw", {
    type: "tool_call",
    index: 0,
    id: "c",
    name: "f",
  });
  const answer = await ask(home);
  await runner.idle();
  const kept = await Array.fromAsync((await follow(ada, { home, answer }))!);
  await database.asOwner((session) => session.query("select app.prune_chunks(interval '-1 minute')"));
  const last = kept.length;
  const done = kept.at(-1)!;
  const toolCalls = [{ id: "c", name: "f", arguments: "" }];
  const whole = {
    seq: last - 1,
    event: { type: "whole" as const, content: "Rooks caw", reasoning: "birds", toolCalls },
  };
  for (let afterSeq = 0; afterSeq < last - 1; afterSeq++) {
    const events = await Array.fromAsync((await follow(ada, { home, answer, afterSeq }))!);
    assert.deepEqual(events, [whole, done], `after ${afterSeq}`);
  }
  assert.deepEqual(await Array.fromAsync((await follow(ada, { home, answer, afterSeq: last - 1 }))!), [done]);
  assert.equal(await follow(ada, { home, answer, afterSeq: last }), null);
});

Deno.test("An answer that somebody has reworded is told whole, since it was never made in pieces", async () => {
  await using home = await openTestHome();
  const { ada, runner } = home;
  const answer = await ask(home);
  await runner.idle();
  const edit = { content: "Better said", answer: null };
  const { messageId } = await editMessage(ada, { ...answer, messageId: answer.answerId, runner, edit });
  const reworded = { conversationId: answer.conversationId, answerId: messageId! };
  const [first, ...rest] = await Array.fromAsync((await follow(ada, { home, answer: reworded }))!);
  assert.deepEqual(first, {
    seq: 0,
    event: { type: "whole", content: "Better said", reasoning: null, toolCalls: null },
  });
  assert.deepEqual(rest.map(({ seq, event }) => [seq, event.type]), [[1, "done"]]);
});

Deno.test("A stream ends for a member who is taken out, and for everybody when the conversation is deleted", async () => {
  await using home = await openTestHome();
  const { ada, bob, engine } = home;
  const waiting = Promise.withResolvers<void>();
  engine.enqueue("a", { wait: waiting.promise });
  const answer = await ask(home);
  await assert.rejects(follow(bob, { home, answer }), { code: "not_found" });
  const id = answer.conversationId;
  const userId = await shareConversation(ada, { id, email: "bob@example.org", role: "reader" });
  const events = (await follow(bob, { home, answer }))!;
  assert.deepEqual((await events.next()).value, { seq: 1, event: { type: "text", text: "a" } });
  const next = events.next();
  await unshareConversation(ada, { id, userId });
  await assert.rejects(next, { code: "not_found" });

  await shareConversation(ada, { id, email: "bob@example.org", role: "reader" });
  const again = (await follow(bob, { home, answer, afterSeq: 1 }))!;
  const end = again.next();
  await deleteConversation(ada, id);
  await assert.rejects(end, { code: "not_found" });
  waiting.resolve();
});

Deno.test("A stream ends for an account that is suspended", async () => {
  await using home = await openTestHome();
  const { ada, bob, engine, database } = home;
  const waiting = Promise.withResolvers<void>();
  engine.enqueue("a", { wait: waiting.promise });
  const answer = await ask(home);
  await shareConversation(ada, { id: answer.conversationId, email: "bob@example.org", role: "writer" });
  const events = (await follow(bob, { home, answer }))!;
  await events.next();
  const next = events.next();
  await database.asOwner((session) => {
    return session.query("update public.profiles set suspended_at = now() where id = $1", [bob.claims.sub]);
  });
  // On a server the suspension may come between the two statements that read what is new.
  await assert.rejects(next, { code: /^(not_found|account_suspended)$/ });
  waiting.resolve();
});

Deno.test("Who leaves a stream hears nothing more, and the answer goes on", async () => {
  await using home = await openTestHome();
  const { ada, engine, runner } = home;
  const waiting = Promise.withResolvers<void>();
  engine.enqueue("a", { wait: waiting.promise }, "b");
  const answer = await ask(home);
  const leaving = new AbortController();
  const events = (await follow(ada, { home, answer, signal: leaving.signal }))!;
  await events.next();
  leaving.abort();
  assert.equal((await events.next()).done, true);
  waiting.resolve();
  await runner.idle();
  const { state, content } = await getMessage(ada, { ...answer, messageId: answer.answerId });
  assert.deepEqual([state, content], ["complete", "ab"]);
});
