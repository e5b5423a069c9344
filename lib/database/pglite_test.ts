import assert from "node:assert/strict";
import { PGlite } from "@electric-sql/pglite";
import { dataDir as readEmptyArchive } from "@electric-sql/pglite-prepopulatedfs";
import { cpSync } from "node:fs";
import { testDatabase } from "../../tests/contract/database.ts";
import { readProjectBlueprint } from "../../tests/fixtures/database.ts";
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
    await using database = await openPglite({ folder: model, upkeepMs: null, log: silentLogger });
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
  await using database = await openPglite({ folder: null, upkeepMs: null, log: silentLogger });
  // There are no roles yet.
  await assert.rejects(
    () => database.transaction({ sub: null, role: "anon" }, (session) => session.query("select 1")),
    /role "anon" does not exist/,
  );
  assert.deepEqual(await database.asOwner((session) => session.query("select 1 as one")), [{ one: 1 }]);
});

Deno.test("The empty database that new ones begin with is what this PGlite's own initdb makes", async () => {
  const looks: unknown[] = [];
  for (const options of [{ loadDataDir: await readEmptyArchive() }, {}]) {
    const database = await PGlite.create(options);
    const read = async (text: string) => (await database.query(text)).rows;
    looks.push({
      versions: await read("select catalog_version_no, pg_control_version from pg_control_system()"),
      layout: await read("select * from pg_control_init()"),
      databases: await read(
        "select datname, encoding, datlocprovider, datcollate, datctype, datlocale, datallowconn from pg_database order by 1",
      ),
      roles: await read("select rolname, rolsuper, rolcanlogin, rolpassword from pg_authid order by 1"),
      relations: await read(
        "select oid, relname, relkind, relacl::text from pg_class where relpersistence = 'p' order by oid",
      ),
      functions: await read(
        "select count(*), md5(string_agg(concat(oid, proname, prosrc, proacl), ',' order by oid)) from pg_proc",
      ),
      // Those of time zones are overruled at every start.
      settings: await read(
        "select name, setting from pg_settings where source = 'configuration file' and name !~* 'timezone' order by 1",
      ),
      extensions: await read("select extname, extversion from pg_extension"),
    });
    await database.close();
  }
  assert.deepEqual(looks[0], looks[1]);
});
