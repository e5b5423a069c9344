import assert from "node:assert/strict";
import { openTestDatabase, readProjectBlueprint } from "../../tests/fixtures/database.ts";
import { openPostgresServer } from "../../tests/fixtures/postgres_database.ts";
import { skipUnless, testPostgres } from "../../tests/prerequisites.ts";
import { DomainError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { restoreBackup, verifyBackup, writeBackup } from "./backup.ts";
import type { Claims, Database } from "./database.ts";
import { openPglite } from "./pglite.ts";

const blueprint = await readProjectBlueprint();
const anna = "01890a5d-ac96-774b-bcce-b302099a8057";

/** Accounts, a conversation of strange texts, and values of every type. */
async function fill(database: Database): Promise<void> {
  await database.asOwner(async (session) => {
    await session.query(
      `insert into auth.users (id, email, aud, role, raw_user_meta_data, encrypted_password)
       values ($1, 'anna@example.org', 'authenticated', 'authenticated', '{"display_name": "Anna"}', '$argon2id$x')`,
      [anna],
    );
    await session.query(
      "create table public.odd (id int generated always as identity primary key, at timestamptz, " +
        "bytes bytea, words text[], more jsonb, nothing text, sum numeric generated always as (id * 2) stored)",
    );
    await session.query(
      "insert into public.odd (at, bytes, words, more) select now(), $1, $2, $3 from generate_series(1, 1200)",
      [new Uint8Array([0, 255, 10]), ["a,b", `"{}"\\`, "", "NULL"], { line: "one\ntwo", smile: "🐦", n: 1e21 }],
    );
  });
  const claims: Claims = { sub: anna, role: "authenticated" };
  await database.transaction(claims, async (session) => {
    const [row] = await session.query<{ conversation_id: string }>("select * from app.create_conversation($1, null)", [
      "Ravens",
    ]);
    assert.ok(row);
  });
}

/** Everything that a backup must bring back. */
async function read(database: Database): Promise<unknown> {
  return await database.asOwner(async (session) => ({
    users: await session.query("select id, email, encrypted_password, raw_user_meta_data from auth.users order by id"),
    profiles: await session.query("select * from public.profiles order by id"),
    conversations: await session.query("select * from public.conversations order by id"),
    threads: await session.query("select * from public.threads order by id"),
    odd: await session.query("select * from public.odd order by id"),
  }));
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function openEmpty(): Promise<Database> {
  return await openPglite({ folder: null, upkeepMs: null, log: silentLogger });
}

/** A table that no migration makes is in the backup too, and must be there before. */
async function addOdd(database: Database): Promise<void> {
  await database.asOwner((session) =>
    session.query(
      "create table public.odd (id int generated always as identity primary key, at timestamptz, " +
        "bytes bytea, words text[], more jsonb, nothing text, sum numeric generated always as (id * 2) stored)",
    )
  );
}

async function refuse(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DomainError, String(error));
  assert.equal(error.code, "data_incompatible");
  return error.message;
}

Deno.test("A backup holds what is there, and restores into an empty database to the last byte", () =>
  inFolder(async (folder) => {
    await using database = await openTestDatabase();
    await fill(database);
    const path = `${folder}/deep/one.backup`;
    const summary = await writeBackup(database, path);
    assert.equal(summary.version, blueprint.migrations.at(-1)!.version);
    assert.ok(summary.rows > 1_200);
    assert.deepEqual(await verifyBackup(path), summary);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);

    await using other = await openEmpty();
    await addOdd(other);
    assert.deepEqual(await restoreBackup(other, path, { blueprint, replace: false }), summary);
    assert.deepEqual(await read(other), await read(database));
    // The next of a sequence is not one that is there already.
    await other.asOwner((session) => session.query("insert into public.odd (nothing) values ('new')"));

    assert.match(await refuse(restoreBackup(other, path, { blueprint, replace: false })), /holds accounts already/);
    await restoreBackup(other, path, { blueprint, replace: true });
    assert.deepEqual(await read(other), await read(database));
  }));

Deno.test("A backup that was cut, changed or made by another program is refused before anything changes", () =>
  inFolder(async (folder) => {
    await using database = await openTestDatabase();
    await fill(database);
    const path = `${folder}/one.backup`;
    await writeBackup(database, path);
    const before = await read(database);
    const whole = await new Response(
      (await Deno.open(path)).readable.pipeThrough(new DecompressionStream("gzip")),
    ).text();
    async function storeAs(text: string): Promise<string> {
      const damaged = `${folder}/damaged.backup`;
      const zipped = new Response(text).body!.pipeThrough(new CompressionStream("gzip"));
      await Deno.writeFile(damaged, new Uint8Array(await new Response(zipped).arrayBuffer()));
      return damaged;
    }
    const restore = async (text: string) => {
      return await refuse(restoreBackup(database, await storeAs(text), { blueprint, replace: true }));
    };
    assert.match(await restore(whole.split("\n").slice(0, -2).join("\n")), /its end is missing/);
    assert.match(await restore(whole.replace("anna@example.org", "otto@example.org")), /checksum is wrong/);
    assert.match(await restore(whole + "[]\n"), /behind its end/);
    assert.match(await restore("hello\n"), /is no backup/);
    assert.match(
      await restore(whole.replace(/"version":"\d+"/, '"version":"29990101000000"')),
      /another Rookery|checksum/,
    );
    assert.deepEqual(await read(database), before);
  }));

skipUnless(testPostgres("16"), "A backup moves from PGlite to a server and back", (programs) => {
  const server = openPostgresServer(programs);
  Deno.test("A backup moves from PGlite to a server and back", () =>
    inFolder(async (folder) => {
      await using database = await openTestDatabase();
      await fill(database);
      await writeBackup(database, `${folder}/there`);
      await using moved = await server.openEmpty();
      await addOdd(moved);
      await restoreBackup(moved, `${folder}/there`, { blueprint, replace: false });
      assert.deepEqual(await read(moved), await read(database));
      await writeBackup(moved, `${folder}/back`);
      await using back = await openEmpty();
      await addOdd(back);
      await restoreBackup(back, `${folder}/back`, { blueprint, replace: false });
      assert.deepEqual(await read(back), await read(database));
    }));
});
