/** Two Rookeries on one Postgres, as processes: what one begins the other goes on with, also when something is killed. */
import assert from "node:assert/strict";
import { Guest, type Home, joinText, type Reading } from "./fixtures/guest.ts";
import { LastingRookery } from "./fixtures/lasting_rookery.ts";
import { TestPostgres } from "./fixtures/postgres.ts";
import { Random } from "./fixtures/random.ts";
import { readSeed } from "./fixtures/seed.ts";
import { surviveSuddenEnd } from "./fixtures/sudden_end.ts";
import { skipUnless, testModel, testPostgres } from "./prerequisites.ts";

const ROOT = "/api/conversations";

/** Without chance in it the small model repeats itself for ever: no answer ends before its test ends it. */
const LONG = { sampling: { temperature: 0 }, completionTokensMax: 1_500 };

/** What stands for all tests of the file. */
interface Stage extends AsyncDisposable {
  postgres: TestPostgres;
  one: LastingRookery;
  other: LastingRookery;
  /** Logged in at `one`, and known at the other one by the same token. */
  ada: Guest;
}

async function openStage(modelPath: string, programs: string): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await TestPostgres.start(programs));
  const env = { DATABASE_URL: postgres.url(), SUPABASE_JWT_SECRET: "k3yQwZr8Vx1nB6tLpD0sJf5uHmCgEa7Y" };
  // Both find an empty database at the same moment.
  const started = await Promise.allSettled([1, 2].map(() => LastingRookery.start(modelPath, env)));
  const [one, other] = started.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return stack.use(outcome.value);
  });
  const ada = await Guest.join(one!, "ada@example.org");
  const resources = stack.move();
  return { postgres, one: one!, other: other!, ada, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Begins an answer that does not end by itself; returns its path. */
async function begin(guest: Guest, home: Home): Promise<string> {
  const { id } = await guest.get(home, `POST ${ROOT}`, {});
  const question = { parentId: null, content: "Write a poem about ravens", answer: LONG };
  const { answerId } = await guest.get(home, `POST ${ROOT}/${id}/messages`, question);
  return `${ROOT}/${id}/messages/${answerId}`;
}

skipUnless(testModel("smollm2-135m"), "Two Rookeries share a Postgres", (modelPath) => {
  skipUnless(testPostgres("18"), "Two Rookeries share a Postgres", (programs) => {
    let stage: Stage | null = null;
    Deno.test.beforeAll(async () => {
      stage = await openStage(modelPath, programs);
    });
    Deno.test.afterAll(async () => await stage?.[Symbol.asyncDispose]());
    testFollowing(() => stage!);
    testRevocation(() => stage!);
    testSuddenEnds(() => stage!);
  });
});

function testFollowing(open: () => Stage): void {
  Deno.test("An answer that began on one runtime is followed, left, found again and stopped on the other", async () => {
    const { one, other, ada } = open();
    const path = await begin(ada, one);
    const here = await ada.follow(one, path);
    const there = await ada.follow(other, path);
    await there.take(3);
    const first = await there.leave();
    const again = await ada.follow(other, path, there.lastId);
    // Whoever comes twice from the middle sees the same twice.
    const middle = await ada.follow(other, path, first[0]!.id!);
    await again.take(3);
    assert.equal((await ada.get(one, `GET ${path}`)).state, "in_progress", "Who leaves stops nothing");
    assert.deepEqual(await ada.get(other, `POST ${path}/stop`), { stopping: true });
    const whole = await here.end();
    assert.deepEqual(whole.map(({ id }) => id), whole.map((_, at) => at + 1));
    assert.partialDeepStrictEqual(whole.at(-1)!.data, { type: "done", state: "stopped", error: null });
    assert.deepEqual([...first, ...await again.end()], whole);
    assert.deepEqual(await middle.end(), whole.slice(1));
    for (const home of [one, other]) {
      assert.deepEqual(await (await ada.follow(home, path)).end(), whole);
      assert.deepEqual(await (await ada.follow(home, path, whole.length)).end(), []);
      const message = await ada.get(home, `GET ${path}`);
      assert.deepEqual([message.state, message.content], ["stopped", joinText(whole)]);
    }
  });
}

function testRevocation(open: () => Stage): void {
  Deno.test("A session and a key that are revoked on one runtime end their streams on the other, and no others", async () => {
    const { one, other, ada } = open();
    const phone = await Guest.logIn(other, "ada@example.org");
    const key = await ada.get(one, "POST /api/keys", { name: "script", scopes: ["read"] });
    const program = new Guest(key.key);
    const path = await begin(ada, one);
    const mine = await ada.follow(other, path);
    const [lost, revoked] = [await phone.follow(other, path), await program.follow(other, path)];
    await Promise.all([mine, lost, revoked].map((reading) => reading.take(2)));

    const { sessions } = await ada.get(one, "GET /api/auth/sessions");
    const { id } = sessions.find(({ current }: { current: boolean }) => !current);
    await ada.get(one, `DELETE /api/auth/sessions/${id}`);
    await assertCut(lost);
    assert.equal(revoked.isOver, false);
    await ada.get(one, `DELETE /api/keys/${key.id}`);
    await assertCut(revoked);
    for (const guest of [phone, program]) {
      const response = await guest.send(other, `GET ${path}/events`);
      assert.equal(response.status, 401);
      await response.body?.cancel();
    }
    await mine.take(mine.lastId + 1);
    await ada.get(one, `POST ${path}/stop`);
    assert.equal((await mine.end()).at(-1)!.data.state, "stopped");
  });
}

/** Asserts that a stream ends with the reason instead of done. */
async function assertCut(reading: Reading): Promise<void> {
  await reading.end();
  assert.equal(reading.errorCode, "session_revoked", JSON.stringify(reading.all.at(-1)));
}

function testSuddenEnds(open: () => Stage): void {
  Deno.test("kill -9 of a worker, a runtime and Postgres loses nothing that was acknowledged, and every stream goes on", async () => {
    const { postgres, one, other, ada: guest } = open();
    const common = { guest, homes: [one, other] as const, random: new Random(readSeed()) };
    const killWorker = { kill: () => one.killWorker(), revive: () => Promise.resolve() };
    const killRuntime = { kill: () => one.kill(), revive: () => one.start() };
    const killPostgres = { kill: () => postgres.stop("SIGKILL"), revive: () => postgres.start() };
    for (const end of [killWorker, killRuntime]) {
      const witness = await surviveSuddenEnd({ ...common, ...end, leaves: "interrupted" });
      assert.deepEqual(witness, { refused: 0, readOn: true }, "The other runtime notices nothing");
    }
    for (let round = 0; round < 2; round++) {
      await surviveSuddenEnd({ ...common, ...killPostgres, leaves: "in_progress" });
    }
  });
}
