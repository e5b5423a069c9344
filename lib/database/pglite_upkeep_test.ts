import assert from "node:assert/strict";
import { withDatabase } from "../../tests/fixtures/database.ts";
import { until } from "../../tests/fixtures/processes.ts";
import { createLogger } from "../log.ts";
import { openPglite } from "./pglite.ts";
import { doUpkeep } from "./pglite_upkeep.ts";

Deno.test("Upkeep vacuums and analyses what changed, between transactions, and then rests", async () => {
  const lines: string[] = [];
  const log = createLogger({ level: "debug", write: (line) => lines.push(line) });
  await using database = await openPglite({ folder: null, upkeepMs: 20, log });
  await database.asOwner((session) =>
    session.query("create table busy (id int); insert into busy select generate_series(1, 2000)")
  );
  await database.asOwner((session) => session.query("update busy set id = id + 1"));
  await until(async () => {
    const [row] = await database.asOwner((session) =>
      session.query<{ done: boolean }>(
        "select reltuples = 2000 and relallvisible > 0 as done from pg_class where relname = 'busy'",
      )
    );
    return row!.done;
  });
  await until(() => lines.some((line) => line.includes('"database_upkeep"')));
  assert.deepEqual(lines.filter((line) => line.includes("failed")), []);
});

withDatabase("Upkeep makes a checkpoint when the write-ahead log has grown, and not before", async (database) => {
  const statements: string[] = [];
  async function run(text: string, bytes: number): Promise<object[]> {
    statements.push(text);
    if (text.includes("pg_ls_waldir")) {
      const [real] = await database.asOwner((session) => session.query<{ bytes: number }>(text));
      assert.ok(real!.bytes > 1_000_000);
      return [{ bytes }];
    }
    return text.startsWith("vacuum") ? [] : await database.asOwner((session) => session.query(text));
  }
  const small = await doUpkeep((text) => run(text, 16_000_000));
  assert.equal(small.hadCheckpoint, false);
  assert.ok(!statements.includes("checkpoint"));
  const large = await doUpkeep((text) => text === "checkpoint" ? Promise.resolve([]) : run(text, 100_000_000));
  assert.equal(large.hadCheckpoint, true);
});
