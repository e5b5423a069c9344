import assert from "node:assert/strict";
import { openTestDatabase } from "../../tests/fixtures/database.ts";
import type { Database } from "./database.ts";
import { createPulse } from "./pulse.ts";

/** A database of which a test decides how each transaction goes. */
function scriptDatabase(transact: () => Promise<unknown>): { database: Database; asked: () => number } {
  let asked = 0;
  const database = {
    transaction: () => {
      asked++;
      return transact();
    },
  } as unknown as Database;
  return { database, asked: () => asked };
}

Deno.test("A pulse tells whether the database answers", async () => {
  const database = await openTestDatabase();
  const read = createPulse(database, { holdsMs: 0 });
  assert.equal(await read(), "ok");
  await database[Symbol.asyncDispose]();
  assert.equal(await read(), "gone");
});

Deno.test("A pulse asks once for all who want to know, and says that the database is busy when it takes too long", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { database, asked } = scriptDatabase(() => promise);
  const read = createPulse(database, { answerMs: 1, holdsMs: 0 });
  assert.deepEqual(await Promise.all([read(), read()]), ["busy", "busy"]);
  assert.equal(await read(), "busy");
  assert.equal(asked(), 1);
  resolve();
  const patient = createPulse(database, { holdsMs: 0 });
  assert.equal(await patient(), "ok");
});

Deno.test("A pulse asks again only when its answer is old", async () => {
  const { database, asked } = scriptDatabase(() => Promise.resolve());
  const read = createPulse(database, { holdsMs: 3_600_000 });
  await read();
  await read();
  assert.equal(asked(), 1);
});
