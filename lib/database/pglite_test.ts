import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { testDatabase } from "../../tests/contract/database.ts";
import { readEmptyTemplate, readProjectBlueprint } from "../../tests/fixtures/database.ts";
import { silentLogger } from "../log.ts";
import type { Database } from "./database.ts";
import { openPglite } from "./pglite.ts";

const scratch = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(scratch, { recursive: true }));

let made = 0;

/** A folder with a database that has the stubs of Supabase and nothing else in it; the first is what others copy. */
async function makeFolder(): Promise<string> {
  const model = `${scratch}/model`;
  if (made++ === 0) {
    const template = await readEmptyTemplate();
    await using database = await openPglite({ folder: model, template, upkeepMs: null, log: silentLogger });
    const { stubs } = await readProjectBlueprint();
    await database.asOwner(async (session) => {
      for (const stub of stubs) await session.query(stub);
    });
  }
  const folder = `${scratch}/${made}`;
  cpSync(model, folder, { recursive: true });
  return folder;
}

async function open(limits: { statementMs?: number; transactionMs?: number } = {}): Promise<Database> {
  return await openPglite({ folder: await makeFolder(), upkeepMs: null, log: silentLogger, ...limits });
}

testDatabase("PGlite", open);

Deno.test("A transaction that cannot even begin leaves nothing open behind it", async () => {
  const template = await readEmptyTemplate();
  await using database = await openPglite({ folder: null, template, upkeepMs: null, log: silentLogger });
  // There are no roles yet.
  await assert.rejects(
    () => database.transaction({ sub: null, role: "anon" }, (session) => session.query("select 1")),
    /role "anon" does not exist/,
  );
  assert.deepEqual(await database.asOwner((session) => session.query("select 1 as one")), [{ one: 1 }]);
});
