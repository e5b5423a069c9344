import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import { pg_trgm } from "@electric-sql/pglite/contrib/pg_trgm";
import { pgtap } from "@electric-sql/pglite-pgtap";
import { vector } from "@electric-sql/pglite-pgvector";
import { openTestDatabase } from "../fixtures/database.ts";
import { assertPassed, listTapFiles, readTap, type RunScript, runTapFile, SETUP_FILE } from "./pgtap.ts";

let database: PGlite | null = null;

const run: RunScript = async (text) => {
  const results = await database!.exec(text).catch(async (error) => {
    await database!.exec("rollback");
    throw error;
  });
  return results.flatMap(({ rows }) => rows.flatMap((row) => Object.values(row)))
    .filter((value): value is string => typeof value === "string");
};

Deno.test.beforeAll(async () => {
  await using migrated = await openTestDatabase();
  const loadDataDir = new Blob([await migrated.dump()]);
  database = await PGlite.create({ loadDataDir, extensions: { pg_trgm, pgtap, vector } });
});
Deno.test.afterAll(async () => {
  await database?.close();
});

for (const file of [SETUP_FILE, ...listTapFiles()]) {
  Deno.test(`PGlite passes supabase/tests/${file}`, async () => {
    assertPassed(await runTapFile(file, run));
  });
}

Deno.test("An assertion that fails, and one that is missing, fail their file", () => {
  assert.throws(() => assertPassed(readTap(["1..2", "ok 1 - a", "not ok 2 - b\n# Failed test 2: b"])), /Failed test 2/);
  assert.throws(() => assertPassed(readTap(["1..2", "ok 1 - a"])));
  assert.throws(() => assertPassed(readTap([])), /plans no assertions/);
});
