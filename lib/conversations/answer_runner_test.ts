import assert from "node:assert/strict";
import type { Message, Posted } from "../contracts/conversation.ts";
import type { Claims, Database, Session } from "../database/database.ts";
import { DatabaseError } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import { openTestHome, openTestRunner, type TestHome } from "../../tests/fixtures/conversations.ts";
import { until } from "../../tests/fixtures/processes.ts";
import type { AnswerRunner } from "./answer_runner.ts";
import { continueAnswer, postMessage, stopAnswer } from "./answers.ts";
import { createConversation } from "./conversations.ts";
import { followAnswer } from "./follow_answer.ts";
import { getMessage } from "./messages.ts";

const forever = new Promise<never>(() => {});

interface Asked extends Posted {
  conversationId: string;
  answerId: string;
}

async function ask({ ada }: TestHome, runner: AnswerRunner): Promise<Asked> {
  const { id: conversationId } = await createConversation(ada, {});
  const message = { parentId: null, type: "user" as const, content: "hi", answer: {} };
  const posted = await postMessage(ada, { runner, conversationId, message });
  return { ...posted, answerId: posted.answerId!, conversationId };
}

async function read({ ada }: TestHome, { conversationId, answerId }: Asked): Promise<Message> {
  return await getMessage(ada, { conversationId, messageId: answerId });
}

/** The answer's text so far, as whoever attaches now sees it. */
async function readSoFar(
  home: TestHome,
  { conversationId, answerId: messageId }: Asked,
  texts: number,
): Promise<string> {
  const { ada, feed } = home;
  const signal = new AbortController().signal;
  const events = (await followAnswer(ada, { feed, conversationId, messageId, afterSeq: 0, signal }))!;
  let text = "";
  for (let at = 0; at < texts; at++) {
    const { event } = (await events.next()).value!;
    if (event.type === "text") text += event.text;
  }
  await events.return();
  return text;
}

Deno.test("An answer is stored whole, with what it took, and its KV state is the account's", async () => {
  await using home = await openTestHome();
  const { engine, runner, ada } = home;
  engine.enqueue({ type: "reasoning", text: "hm" }, "Hel", "lo", { type: "tool_call", index: 0, id: "c", name: "f" }, {
    type: "tool_arguments",
    index: 0,
    text: '{"a":1}',
  });
  const asked = await ask(home, runner);
  await runner.idle();
  const answer = await read(home, asked);
  assert.partialDeepStrictEqual(answer, {
    type: "assistant",
    state: "complete",
    content: "Hello",
    reasoning: "hm",
    toolCalls: [{ id: "c", name: "f", arguments: '{"a":1}' }],
    model: "scripted",
    error: null,
    parentId: asked.messageId,
  });
  assert.equal(answer.usage?.finishReason, "tool_calls");
  assert.ok(answer.finishedAt !== null);
  assert.equal(engine.requests[0]!.owner, ada.claims.sub);
  assert.deepEqual(engine.requests[0]!.messages, [{ role: "user", content: "hi" }]);
});

Deno.test("An answer that is stopped keeps what there is, and is continued beside it from there", async () => {
  await using home = await openTestHome();
  const { engine, runner, ada } = home;
  engine.enqueue("Once upon", { wait: forever });
  const asked = await ask(home, runner);
  await readSoFar(home, asked, 1);
  const place = { conversationId: asked.conversationId, messageId: asked.answerId };
  assert.equal(await stopAnswer(ada, place), true);
  await runner.idle();
  assert.partialDeepStrictEqual(await read(home, asked), { state: "stopped", content: "Once upon", error: null });
  assert.equal(await stopAnswer(ada, place), false);
  assert.equal((await engine.status()).active, 0);

  engine.enqueue(" a time");
  const { answerId } = await continueAnswer(ada, { ...place, runner, answer: {} });
  await runner.idle();
  const continued = await read(home, { ...asked, answerId: answerId! });
  assert.partialDeepStrictEqual(continued, {
    state: "complete",
    content: "Once upon a time",
    parentId: asked.messageId,
  });
  assert.equal(engine.requests[1]!.answerBeginning, "Once upon");
  assert.deepEqual(engine.requests[1]!.messages, [{ role: "user", content: "hi" }]);
  const again = continueAnswer(ada, { ...place, messageId: answerId!, runner, answer: {} });
  await assert.rejects(again, { code: "conflict" });
});

Deno.test("An engine that dies leaves an interrupted answer, one that refuses a failed one with the reason", async () => {
  await using home = await openTestHome();
  const { engine, runner } = home;
  engine.enqueue("so far", { fail: new DomainError("engine_gone", "The process ended") });
  engine.enqueue({ refuse: new DomainError("context_length_exceeded", "Too long: 5 of 4 tokens") });
  const [died, refused] = [await ask(home, runner), await ask(home, runner)];
  await runner.idle();
  assert.partialDeepStrictEqual(await read(home, died), {
    state: "interrupted",
    content: "so far",
    error: { code: "engine_gone", message: "The process ended" },
  });
  assert.partialDeepStrictEqual(await read(home, refused), {
    state: "failed",
    content: "",
    error: { code: "context_length_exceeded", message: "Too long: 5 of 4 tokens" },
  });
});

Deno.test("A runtime that ends interrupts its answers; one that was killed has them interrupted at its next start", async () => {
  await using home = await openTestHome();
  const { engine, database } = home;
  const ending = await openTestRunner(home, { instance: "one" });
  engine.enqueue("a", { wait: forever });
  const first = await ask(home, ending);
  await readSoFar(home, first, 1);
  await ending[Symbol.asyncDispose]();
  assert.partialDeepStrictEqual(await read(home, first), { state: "interrupted", content: "a" });

  // Nobody hears from this one again: its database is gone for it alone.
  const broken = new BreakableDatabase(database);
  const killed = await openTestRunner({ ...home, database: broken }, { instance: "one" });
  engine.enqueue("b", { wait: forever });
  const second = await ask({ ...home, ada: { ...home.ada, database: broken } }, killed);
  await readSoFar(home, second, 1);
  broken.isAway = true;
  await using _other = await openTestRunner(home, { instance: "two" });
  assert.equal((await read(home, second)).state, "in_progress", "Another runtime on the database leaves it alone");
  await using _same = await openTestRunner(home, { instance: "one" });
  const interrupted = await read(home, second);
  assert.partialDeepStrictEqual(interrupted, { state: "interrupted", content: "b", error: { code: "engine_gone" } });
  // The dead one comes back to life: it can change nothing.
  broken.isAway = false;
  await killed[Symbol.asyncDispose]();
  assert.deepEqual(await read(home, second), interrupted);
});

Deno.test("A runtime that is silent for too long has its answers interrupted by another one, a living one has not", async () => {
  await using home = await openTestHome();
  const { engine, database } = home;
  const broken = new BreakableDatabase(database);
  const dead = await openTestRunner({ ...home, database: broken });
  engine.enqueue("a", { wait: forever });
  const lost = await ask(home, dead);
  await using living = await openTestRunner(home, { heartbeatMs: 5, staleMs: 600_000 });
  engine.enqueue("b", { wait: forever });
  const kept = await ask(home, living);
  await readSoFar(home, lost, 1);
  broken.isAway = true;
  await database.asOwner(async (session) => {
    const age = "update app.answers set heartbeat_at = now() - interval '1 hour' where message_id = any($1::uuid[])";
    await session.query(age, [[lost.answerId]]);
  });
  await until(async () => (await read(home, lost)).state === "interrupted");
  assert.equal((await read(home, kept)).state, "in_progress");
  broken.isAway = false;
  await dead[Symbol.asyncDispose]();
});

Deno.test("An answer that its runtime does not know of is interrupted while the runtime lives, and no other", async () => {
  await using home = await openTestHome();
  const { engine, database, ada } = home;
  await using runner = await openTestRunner(home, { heartbeatMs: 5, staleMs: 600_000 });
  engine.enqueue("a", { wait: forever });
  const known = await ask(home, runner);
  const { id: conversationId } = await createConversation(ada, {});
  // As after a commit whose reply was lost with the connection.
  const answerId = await database.transaction(ada.claims, async (session) => {
    const post = "select app.post_message($1, null, 'user', 'hi') as id";
    const [message] = await session.query<{ id: string }>(post, [conversationId]);
    const begin = "select app.begin_answer($1, 'scripted', $2) as id";
    const [answer] = await session.query<{ id: string }>(begin, [message!.id, runner.instance]);
    return answer!.id;
  });
  const age = "update app.answers set heartbeat_at = now() - interval '1 hour' where message_id = $1";
  await database.asOwner((session) => session.query(age, [answerId]));
  const unknown = { conversationId, answerId, messageId: null };
  await until(async () => (await read(home, unknown)).state === "interrupted");
  assert.equal((await read(home, known)).state, "in_progress");
});

Deno.test("A stop that nobody announced is found at the next sign of life", async () => {
  await using home = await openTestHome();
  const { engine, database } = home;
  await using runner = await openTestRunner({ ...home, database: new DeafDatabase(database) }, { heartbeatMs: 5 });
  engine.enqueue("a", { wait: forever });
  const asked = await ask(home, runner);
  await stopAnswer(home.ada, { conversationId: asked.conversationId, messageId: asked.answerId });
  await runner.idle();
  assert.equal((await read(home, asked)).state, "stopped");
});

Deno.test("An answer waits for a database that is away, and is stored whole when it is back", async () => {
  await using home = await openTestHome();
  const { engine, database } = home;
  const broken = new BreakableDatabase(database);
  await using runner = await openTestRunner({ ...home, database: broken });
  const gate = Promise.withResolvers<void>();
  engine.enqueue("a", { wait: gate.promise }, "b", "c");
  const asked = await ask(home, runner);
  await readSoFar(home, asked, 1);
  broken.isAway = true;
  gate.resolve();
  await until(() => broken.refused > 1);
  broken.isAway = false;
  await runner.idle();
  assert.partialDeepStrictEqual(await read(home, asked), { state: "complete", content: "abc" });
  assert.equal(await readSoFar(home, asked, 3), "abc");
});

Deno.test("An account has as many answers in progress as may be, and gets a place back at an end", async () => {
  await using home = await openTestHome({ answersPerAccountMax: 1 });
  const { engine, runner, ada, bob } = home;
  engine.enqueue("a", { wait: forever });
  const asked = await ask(home, runner);
  await assert.rejects(ask(home, runner), { code: "queue_full", message: /1 answers? in progress/ });
  await ask({ ...home, ada: bob }, runner);
  await stopAnswer(ada, { conversationId: asked.conversationId, messageId: asked.answerId });
  await until(async () => (await read(home, asked)).state === "stopped");
  await runner.idle();
  await ask(home, runner);
  await runner.idle();
});

/** A database that can go away for those who hold it. */
class BreakableDatabase implements Database {
  isAway = false;
  refused = 0;

  constructor(protected readonly database: Database) {}

  async transaction<T>(claims: Claims, work: (session: Session) => Promise<T>): Promise<T> {
    if (this.isAway) {
      this.refused++;
      throw new DatabaseError("connection lost", { sqlState: "08006" });
    }
    return await this.database.transaction(claims, work);
  }

  async asOwner<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return await this.database.asOwner(work);
  }

  async listen(...listening: Parameters<Database["listen"]>): Promise<AsyncDisposable> {
    return await this.database.listen(...listening);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A database whose notifications get lost. */
class DeafDatabase extends BreakableDatabase {
  override listen(): Promise<AsyncDisposable> {
    return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
  }
}

Deno.test("A request that has its place when the runtime ends starts no answer, and what it stored is interrupted", async () => {
  await using home = await openTestHome();
  const { ada, engine } = home;
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const runner = await openTestRunner(home);
  // What it stores is committed, but it has not heard of that yet.
  const slow: Database = {
    transaction: async (claims, work) => {
      const result = await home.database.transaction(claims, work);
      if (typeof result !== "object" || result === null || !("answerId" in result)) return result;
      begun.resolve();
      await gate.promise;
      return result;
    },
    asOwner: (work) => home.database.asOwner(work),
    listen: (...parts) => home.database.listen(...parts),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const { id: conversationId } = await createConversation(ada, {});
  const message = { parentId: null, type: "user" as const, content: "hi", answer: {} };
  const posting = postMessage({ ...ada, database: slow }, { runner, conversationId, message });
  await begun.promise;
  const disposal = runner[Symbol.asyncDispose]();
  assert.throws(() => runner.reserve("ada"), { code: "engine_unavailable" });
  gate.resolve();
  const { answerId } = await posting;
  await disposal;
  assert.equal(engine.requests.length, 0);
  assert.equal((await read(home, { conversationId, messageId: null, answerId: answerId! })).state, "interrupted");
});
