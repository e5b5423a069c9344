import assert from "node:assert/strict";
import { readProjectBlueprint } from "../../tests/fixtures/database.ts";
import { verifyBackup } from "../../lib/database/backup.ts";
import type { Database } from "../../lib/database/database.ts";
import { migrate } from "../../lib/database/migrate.ts";
import { openPglite } from "../../lib/database/pglite.ts";
import { silentLogger } from "../../lib/log.ts";
import { lockDataFolder } from "../../lib/runtime/instance_lock.ts";
import { nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { noteOperator } from "../../lib/runtime/operator.ts";

const script = new URL("./main.ts", import.meta.url).pathname;

/** Runs the command line on a data folder. */
async function db(folder: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ROOKERY_DATA: folder, DATABASE_URL: "" };
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "--no-prompt", "-A", script, ...args], env });
  const { code, stdout, stderr } = await command.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("deno task db says how it is used when it is not understood", () =>
  inFolder(async (folder) => {
    const wrong: [string[], RegExp][] = [
      [[], /^which command\?/],
      [["dance"], /^unknown command "dance"/],
      [["restore"], /^restore needs the file of a backup/],
      [["reset"], /say --yes if you mean it/],
      [["migrate", "now"], /^too much: now/],
      [["backup", "--replace"], /^--replace belongs to restore/],
    ];
    for (const [args, message] of wrong) {
      const { code, out, err } = await db(folder, ...args);
      assert.deepEqual([code, out], [2, ""]);
      assert.match(err, message);
      assert.match(err, /Usage: deno task db <command>/);
    }
  }));

Deno.test("deno task db backs up, and restores with --replace alone, putting away what was there", () =>
  inFolder(async (folder) => {
    const made = await db(folder, "migrate");
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /^Applied \d{14}.*; the data has version \d{14}\n$/);
    const file = `${folder}/my.backup`;
    const backup = await db(folder, "backup", file);
    assert.equal(backup.code, 0, backup.err);
    assert.ok(backup.out.endsWith(` in ${file}\n`), backup.out);
    const refused = await db(folder, "restore", file);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /there is a database in .* already; --replace puts it away\n$/);
    const restored = await db(folder, "restore", file, "--replace");
    assert.equal(restored.code, 0, restored.err);
    const putAway = /what was there is in (\S+)\n$/.exec(restored.out)?.[1];
    assert.ok((await Deno.stat(`${putAway}/PG_VERSION`)).isFile);
    const none = await db(folder, "restore", `${folder}/none.backup`, "--replace");
    assert.equal(none.code, 1);
    assert.match((await db(folder, "migrate")).out, /^Nothing to do; the data has version/);
  }));

/** What `work` does and finds in the database of a folder. */
async function withDatabase<T>(folder: string, work: (database: Database) => Promise<T>): Promise<T> {
  const place = nameDataFolder(folder).database;
  await using database = await openPglite({ folder: place, upkeepMs: null, log: silentLogger });
  return await work(database);
}

const PEOPLE = "select display_name as name, role from public.profiles order by id";
const MESSAGES = "select message_type as type, content from public.messages where state = 'complete' order by id";

Deno.test("deno task db seeds older data behind a backup, resets, and then has nothing to migrate", () =>
  inFolder(async (folder) => {
    const { stubs, migrations } = await readProjectBlueprint();
    const older = { stubs, migrations: migrations.slice(0, -1) };
    const before = await withDatabase(folder, (database) => migrate(database, older));
    const seeded = await db(folder, "seed");
    assert.equal(seeded.code, 0, seeded.err);
    const said = /^A backup of what was there is in (\S+)\nStored what is in .*seed\.sql\n$/.exec(seeded.out);
    assert.equal((await verifyBackup(said![1]!)).version, before.version);
    const [people, messages] = await withDatabase(
      folder,
      (database) => database.asOwner(async (session) => [await session.query(PEOPLE), await session.query(MESSAGES)]),
    );
    assert.deepEqual(people, [{ name: "Ann", role: "admin" }, { name: "Will", role: "user" }]);
    assert.deepEqual(messages, [
      { type: "user", content: "Which birds nest in a marsh?" },
      { type: "assistant", content: "Coots, moorhens, bitterns and reed warblers, for example." },
      { type: "note", content: "Look up the bittern" },
    ]);

    const reset = await db(folder, "reset", "--yes");
    assert.equal(reset.code, 0, reset.err);
    const putAway = /^The database is empty; what was there is in (\S+) until you delete it\n$/.exec(reset.out)?.[1];
    assert.ok((await Deno.stat(`${putAway}/PG_VERSION`)).isFile);
    const left = await withDatabase(folder, (database) => database.asOwner((session) => session.query(PEOPLE)));
    assert.deepEqual(left, []);
    const migrated = await db(folder, "migrate");
    assert.equal(migrated.out, `Nothing to do; the data has version ${migrations.at(-1)!.version}\n`, migrated.err);
  }));

Deno.test("deno task db asks a running Rookery for a backup, and leaves everything else to a stopped one", () =>
  inFolder(async (folder) => {
    const places = nameDataFolder(folder);
    await Deno.mkdir(`${folder}/run`, { recursive: true });
    using _lock = await lockDataFolder(places);
    const path = `${folder}/backups/made.backup`;
    const seen: (string | null)[] = [];
    const summary = {
      version: "20260101000000",
      createdAt: "2026-01-01T00:00:00Z",
      tables: 2,
      rows: 7,
      bytes: 900,
      path,
    };
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      seen.push(`${request.method} ${new URL(request.url).pathname}`, request.headers.get("authorization"));
      return Response.json(summary, { status: 201 });
    });
    noteOperator(places, { url: `http://127.0.0.1:${server.addr.port}/`, cert: null, token: "of-the-operator" });
    const backup = await db(folder, "backup");
    assert.equal(backup.code, 0, backup.err);
    assert.match(backup.out, /^7 rows of 2 tables .* in .*made\.backup\n$/);
    assert.deepEqual(seen, ["POST /api/admin/database/backups", "Bearer of-the-operator"]);
    for (const args of [["migrate"], ["reset", "--yes"], ["restore", path]]) {
      const { code, err } = await db(folder, ...args);
      assert.equal(code, 1);
      assert.match(err, /^Rookery runs on .*: stop it, then try again\n$/);
    }
  }));
