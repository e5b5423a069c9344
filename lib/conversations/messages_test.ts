import assert from "node:assert/strict";
import type { Message, Page } from "../contracts/conversation.ts";
import type { Claims, Database, Session } from "../database/database.ts";
import { openTestHome, type TestHome } from "../../tests/fixtures/conversations.ts";
import { editMessage, postMessage, regenerate } from "./answers.ts";
import type { Caller } from "./caller.ts";
import { createConversation } from "./conversations.ts";
import * as messages from "./messages.ts";

const FIRST = { cursor: null, limit: 200 };

async function begin({ ada }: Pick<TestHome, "ada">): Promise<string> {
  return (await createConversation(ada, {})).id;
}

/** Posts a message without an answer. */
async function say(
  { ada, runner }: TestHome,
  { conversationId, parentId = null, content, threadName = null }: {
    conversationId: string;
    parentId?: string | null;
    content: string;
    threadName?: string | null;
  },
): Promise<string> {
  const message = { parentId, type: "user" as const, content, threadName, answer: null };
  return (await postMessage(ada, { runner, conversationId, message })).messageId!;
}

/** Stores many messages at once, as an import does; `parentOf` names a message's parent by its place. */
async function fill(
  { ada: { database, claims } }: Pick<TestHome, "ada">,
  { conversationId, count, parentOf }: { conversationId: string; count: number; parentOf(at: number): number | null },
): Promise<string[]> {
  const given = Array.from({ length: count }, (_, at) => {
    const parent = parentOf(at);
    return {
      id: String(at),
      parent_id: parent === null ? null : String(parent),
      message_type: at % 2 === 0 ? "user" : "assistant",
      content: `message ${at}`,
    };
  });
  return await database.transaction(claims, async (session) => {
    const text = "select id from app.import_messages($1, $2::jsonb)";
    return (await session.query<{ id: string }>(text, [conversationId, given])).map(({ id }) => id);
  });
}

async function readAll(list: (cursor: string | null) => Promise<Page<Message>>): Promise<Message[]> {
  const all: Message[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Message> = await list(cursor);
    all.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return all;
}

const contentsOf = (list: readonly Message[]) => list.map(({ content }) => content);

Deno.test("Edits and new answers stand beside what they replace, each with its own way to the root", async () => {
  await using home = await openTestHome();
  const { ada, runner, engine } = home;
  const conversationId = await begin(home);
  const message = { parentId: null, type: "user" as const, content: "Capital of France?", answer: {} };
  engine.enqueue("Lyon");
  const asked = await postMessage(ada, { runner, conversationId, message });
  await runner.idle();
  engine.enqueue("Paris");
  const place = { conversationId, messageId: asked.answerId! };
  const again = await regenerate(ada, { ...place, runner, answer: {} });
  await runner.idle();
  engine.enqueue("Rome");
  const edit = { content: "Capital of Italy?", answer: {} };
  const edited = await editMessage(ada, { conversationId, messageId: asked.messageId!, runner, edit });
  await runner.idle();

  const siblings = await messages.listSiblings(ada, { ...place, ...FIRST });
  assert.deepEqual(contentsOf(siblings.data), ["Lyon", "Paris"]);
  const questions = await messages.listSiblings(ada, { conversationId, messageId: asked.messageId!, ...FIRST });
  assert.deepEqual(contentsOf(questions.data), ["Capital of France?", "Capital of Italy?"]);
  const path = await messages.listPath(ada, { conversationId, messageId: edited.answerId!, ...FIRST });
  assert.deepEqual(contentsOf(path.data), ["Rome", "Capital of Italy?"]);
  // What a model is told: the question's own ancestors, nothing of its siblings.
  assert.deepEqual(engine.requests.map((request) => contents(request.messages)), [
    ["Capital of France?"],
    ["Capital of France?"],
    ["Capital of Italy?"],
  ]);
  const reworded = { content: "Paris, since 508", answer: null };
  const { messageId } = await editMessage(ada, { ...place, messageId: again.answerId!, runner, edit: reworded });
  const wording = await messages.getMessage(ada, { conversationId, messageId: messageId! });
  assert.partialDeepStrictEqual(wording, { type: "assistant", state: "complete", content: "Paris, since 508" });
  assert.equal(wording.parentId, asked.messageId);
});

const contents = (list: readonly { content: string }[] | null) => list?.map(({ content }) => content);

Deno.test("Ancestors reach across threads, and a moved subtree keeps its order and links", async () => {
  await using home = await openTestHome();
  const { ada, runner, engine } = home;
  const conversationId = await begin(home);
  const root = await say(home, { conversationId, content: "root" });
  const aside = await say(home, { conversationId, parentId: root, content: "aside", threadName: "Aside" });
  const leaf = await say(home, { conversationId, parentId: aside, content: "leaf" });
  await regenerate(ada, { conversationId, messageId: leaf, runner, answer: {} });
  await runner.idle();
  assert.deepEqual(contents(engine.requests[0]!.messages), ["root", "aside", "leaf"]);

  const { data: threads } = await messages.listThreads(ada, { conversationId, ...FIRST });
  assert.deepEqual(threads.map(({ name, rootMessageId }) => [name, rootMessageId]), [
    ["New conversation", null],
    ["Aside", aside],
  ]);
  const threadId = threads[1]!.id;
  const inThread = await messages.listMessages(ada, { conversationId, threadId, ...FIRST });
  assert.deepEqual(contentsOf(inThread.data).slice(0, 2), ["aside", "leaf"]);

  const before = await messages.listPath(ada, { conversationId, messageId: leaf, ...FIRST });
  const moved = await messages.moveSubtree(ada, { conversationId, messageId: leaf, threadId: null, name: "Moved" });
  const after = await messages.listPath(ada, { conversationId, messageId: leaf, ...FIRST });
  assert.deepEqual(
    after.data.map(({ id, parentId }) => [id, parentId]),
    before.data.map(({ id, parentId }) => [id, parentId]),
  );
  assert.deepEqual(after.data.map((message) => message.threadId), [moved, threadId, threads[0]!.id]);
  await messages.moveSubtree(ada, { conversationId, messageId: leaf, threadId });
  const back = await messages.listMessages(ada, { conversationId, threadId, ...FIRST });
  assert.deepEqual(back.data.map(({ id }) => id), inThread.data.map(({ id }) => id));
});

Deno.test("A fork holds the way to a message and nothing else, with ids of its own", async () => {
  await using home = await openTestHome();
  const { ada } = home;
  const conversationId = await begin(home);
  const root = await say(home, { conversationId, content: "root" });
  const left = await say(home, { conversationId, parentId: root, content: "left", threadName: "Left" });
  await say(home, { conversationId, parentId: root, content: "right" });
  const fork = await messages.forkConversation(ada, { conversationId, messageId: left, title: "Fork" });
  const copied = (await messages.listMessages(ada, { conversationId: fork.id, threadId: null, ...FIRST })).data;
  assert.deepEqual(contentsOf(copied), ["root", "left"]);
  assert.equal(copied[1]!.parentId, copied[0]!.id);
  assert.equal(fork.leafId, copied[1]!.id);
  assert.equal(fork.title, "Fork");
  assert.ok(!copied.some(({ id }) => id === root || id === left));
  const threads = await messages.listThreads(ada, { conversationId: fork.id, ...FIRST });
  assert.deepEqual(threads.data.map(({ name }) => name), ["Fork", "Left"]);
});

Deno.test("A deletion takes what follows with it, and is taken back as one", async () => {
  await using home = await openTestHome();
  const { ada } = home;
  const conversationId = await begin(home);
  const root = await say(home, { conversationId, content: "root" });
  const gone = await say(home, { conversationId, parentId: root, content: "gone" });
  const below = await say(home, { conversationId, parentId: gone, content: "below" });
  const place = { conversationId, messageId: gone };
  assert.equal(await messages.deleteMessage(ada, place), 2);
  const left = await messages.listMessages(ada, { conversationId, threadId: null, ...FIRST });
  assert.deepEqual(contentsOf(left.data), ["root"]);
  assert.ok((await messages.getMessage(ada, { conversationId, messageId: below })).deletedAt !== null);
  await assert.rejects(say(home, { conversationId, parentId: below, content: "late" }), { code: "conflict" });
  assert.equal(await messages.restoreMessage(ada, place), 2);
  const back = await messages.listMessages(ada, { conversationId, threadId: null, ...FIRST });
  assert.deepEqual(contentsOf(back.data), ["root", "gone", "below"]);
});

Deno.test("A message is found in its own conversation alone, and nothing follows on an answer in progress", async () => {
  await using home = await openTestHome();
  const { ada, runner, engine } = home;
  const [one, other] = [await begin(home), await begin(home)];
  const messageId = await say(home, { conversationId: one, content: "a" });
  const place = { conversationId: other, messageId };
  const attempts = [
    () => messages.getMessage(ada, place),
    () => messages.listPath(ada, { ...place, ...FIRST }),
    () => messages.listChildren(ada, { ...place, ...FIRST }),
    () => messages.listSiblings(ada, { ...place, ...FIRST }),
    () => messages.deleteMessage(ada, place),
    () => messages.moveSubtree(ada, { ...place, threadId: null, name: "x" }),
    () => messages.forkConversation(ada, { ...place, title: null }),
    () => regenerate(ada, { ...place, runner, answer: {} }),
    () => say(home, { conversationId: other, parentId: messageId, content: "b" }),
  ];
  for (const attempt of attempts) await assert.rejects(attempt, { code: "not_found" });
  engine.enqueue({ wait: new Promise<never>(() => {}) });
  const { answerId } = await regenerate(ada, { conversationId: one, messageId, runner, answer: {} });
  const early = say(home, { conversationId: one, parentId: answerId, content: "b" });
  await assert.rejects(early, { code: "conflict", message: /wait for its end, or stop it/ });
});

Deno.test("A branch 10,000 deep and a message with 1,000 answers are read page by page, each with as many queries", async () => {
  await using home = await openTestHome();
  const counting = new CountingDatabase(home.database);
  const ada: Caller = { ...home.ada, database: counting };
  const deep = await begin(home);
  const deepIds = await fill(home, { conversationId: deep, count: 10_000, parentOf: (at) => at === 0 ? null : at - 1 });
  const wide = await begin(home);
  const wideIds = await fill(home, { conversationId: wide, count: 1_001, parentOf: (at) => at === 0 ? null : 0 });

  const place = { conversationId: deep, messageId: deepIds.at(-1)! };
  const path = await readAll((cursor) => messages.listPath(ada, { ...place, cursor, limit: 200 }));
  assert.deepEqual(path.map(({ id }) => id), deepIds.toReversed());
  assert.equal(counting.take(), 50);
  const tree = await readAll((cursor) =>
    messages.listMessages(ada, { conversationId: deep, threadId: null, cursor, limit: 200 })
  );
  assert.deepEqual(tree.map(({ id }) => id), deepIds);
  assert.equal(counting.take(), 50);
  const root = { conversationId: wide, messageId: wideIds[0]! };
  const children = await readAll((cursor) => messages.listChildren(ada, { ...root, cursor, limit: 100 }));
  assert.deepEqual(children.map(({ id }) => id), wideIds.slice(1));
  assert.equal(counting.take(), 10);
  const sibling = { conversationId: wide, messageId: wideIds[500]! };
  const siblings = await readAll((cursor) => messages.listSiblings(ada, { ...sibling, cursor, limit: 200 }));
  assert.deepEqual(siblings.map(({ id }) => id), wideIds.slice(1));
  assert.equal(counting.take(), 5);
  assert.equal((await messages.readContext(ada, deepIds.at(-1)!)).length, 10_000);
  assert.equal(counting.take(), 2);
});

Deno.test("A branch that is longer than any context is refused unread, until a summary stands for it", async () => {
  await using home = await openTestHome();
  const { ada, runner } = home;
  const conversationId = await begin(home);
  let parentId: string | null = null;
  const post = async (type: "note" | "summary", content: string) => {
    const message = { parentId, type, content, answer: null };
    parentId = (await postMessage(ada, { runner, conversationId, message })).messageId;
  };
  for (let at = 0; at < 5; at++) await post("note", "x".repeat(2_000_000));
  await assert.rejects(messages.readContext(ada, parentId!), {
    code: "context_length_exceeded",
    message: /10000000 bytes.*summary/,
  });
  await post("summary", "Much x");
  assert.deepEqual(await messages.readContext(ada, parentId!), [{ role: "system", content: "Much x" }]);
});

/** Counts statements. */
class CountingDatabase implements Database {
  #statements = 0;

  constructor(private readonly database: Database) {}

  take(): number {
    const statements = this.#statements;
    this.#statements = 0;
    return statements;
  }

  async transaction<T>(claims: Claims, work: (session: Session) => Promise<T>): Promise<T> {
    return await this.database.transaction(claims, (session) =>
      work({
        query: (...statement) => {
          this.#statements++;
          return session.query(...statement);
        },
      }));
  }

  async asOwner<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return await this.database.asOwner(work);
  }

  async listen(...listening: Parameters<Database["listen"]>): Promise<AsyncDisposable> {
    return await this.database.listen(...listening);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
