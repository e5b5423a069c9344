import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { silentLogger } from "../log.ts";
import { nameDataFolder } from "./data_folder.ts";
import { openDatabase } from "./database.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

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
