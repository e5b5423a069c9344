import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readTemplate } from "../../tests/fixtures/database.ts";
import { createLogCollector } from "../../tests/fixtures/http.ts";
import { verifyBackup } from "../database/backup.ts";
import type { Database } from "../database/database.ts";
import { openPglite } from "../database/pglite.ts";
import { silentLogger } from "../log.ts";
import { nameDataFolder } from "./data_folder.ts";
import { joinDatabase, openDatabase } from "./database.ts";
import { chooseExitCode, EXIT_CODES } from "./exit_codes.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A migration that some later Rookery has, and this one does not know. */
const LATER = {
  version: "29990101000000",
  text: "alter table public.profiles add column plumage text not null default 'black'",
};

/** Makes the folder of a Rookery that has one more migration. */
async function makeLaterRookery(folder: string): Promise<string> {
  for (const part of ["embedded", "migrations"]) {
    const [from, to] = [ROOT, folder].map((root) => join(root, "supabase", part));
    await Deno.mkdir(to!, { recursive: true });
    for await (const { name } of Deno.readDir(from!)) await Deno.copyFile(join(from!, name), join(to!, name));
  }
  await Deno.writeTextFile(join(folder, "supabase", "migrations", `${LATER.version}_plumage.sql`), LATER.text);
  return folder;
}

/** Names of accounts, and what else a later Rookery knows of them. */
async function readProfiles(database: Database): Promise<unknown[]> {
  return await database.asOwner((session) => session.query("select display_name, plumage from public.profiles"));
}

Deno.test("A server that does not answer is named as DATABASE_URL's, without what the address holds", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr;
  silent.close();
  const url = `postgres://owner:hush-hush@127.0.0.1:${port}/postgres`;
  const place = { url, folder: nameDataFolder("/nowhere"), rootDir: ROOT, log: silentLogger };
  await assert.rejects(openDatabase(place), (error: Error & { code?: string }) => {
    assert.equal(error.code, "database_unavailable");
    assert.match(error.message, /^Cannot use the database of DATABASE_URL: .*; start it, or correct the address$/);
    assert.doesNotMatch(error.message, /hush/);
    return true;
  });
});

Deno.test("An embedded database that another process has open is not opened", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = nameDataFolder(root);
    using lock = await Deno.open(`${folder.database}.lock`, { create: true, write: true });
    await lock.lock(true);
    const place = { url: null, folder, rootDir: ROOT, log: silentLogger };
    await assert.rejects(openDatabase(place), { code: "already_running" });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("Files that are no database are told of, with what to do", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = nameDataFolder(root);
    await Deno.mkdir(folder.database);
    await Deno.writeTextFile(`${folder.database}/PG_VERSION`, "7\n");
    const place = { url: null, folder, rootDir: ROOT, log: silentLogger };
    await assert.rejects(openDatabase(place), (error: Error & { code?: string }) => {
      assert.equal(error.code, "database_unavailable");
      assert.match(error.message, /^Cannot open the database in .*database: .*restore a backup/);
      return true;
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("Older data are backed up and then brought up to date, and then an older Rookery refuses them", async () => {
  const root = await Deno.makeTempDir();
  try {
    const folder = nameDataFolder(root);
    const { log, lines } = createLogCollector();
    const laterDir = await makeLaterRookery(join(root, "later"));
    {
      const options = { folder: folder.database, template: await readTemplate(), upkeepMs: null, log };
      await using database = await openPglite(options);
      const account = `insert into auth.users (id, email, raw_user_meta_data)
        values (gen_random_uuid(), 'anna@example.org', '{"display_name": "Anna"}')`;
      await database.asOwner((session) => session.query(account));
    }
    await assert.rejects(joinDatabase({ url: null, folder, rootDir: laterDir, log }), {
      code: "data_incompatible",
      message: /the migration 29990101000000 is not applied to it; apply it with `deno task db migrate`/,
    });
    {
      await using database = await openDatabase({ url: null, folder, rootDir: laterDir, log });
      assert.deepEqual(await readProfiles(database), [{ display_name: "Anna", plumage: "black" }]);
    }
    {
      await using database = await joinDatabase({ url: null, folder, rootDir: laterDir, log });
      assert.equal((await readProfiles(database)).length, 1);
    }
    await assert.rejects(joinDatabase({ url: null, folder, rootDir: ROOT, log }), { message: /by a newer Rookery/ });
    const { path } = lines.find(({ event }) => event === "database_backed_up") as { path: string };
    assert.equal(join(path, ".."), folder.backups);
    const { version, rows } = await verifyBackup(path);
    assert.ok(version < LATER.version && rows > 1, `${rows} rows of ${version}`);

    const refusal = await openDatabase({ url: null, folder, rootDir: ROOT, log }).then(() => null, (error) => error);
    assert.equal(refusal?.code, "data_incompatible");
    assert.equal(chooseExitCode(refusal), EXIT_CODES.database);
    assert.match(
      refusal.message,
      /^Cannot use this data: it was written by a newer Rookery \(migration 29990101000000\);/,
    );
    assert.equal((await Array.fromAsync(Deno.readDir(folder.backups))).length, 1);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
