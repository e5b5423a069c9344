import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readProjectBlueprint } from "../../tests/fixtures/database.ts";
import { openPostgresServer } from "../../tests/fixtures/postgres_database.ts";
import { skipUnless, testPostgres } from "../../tests/prerequisites.ts";
import { DomainError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { type Database, DatabaseError } from "./database.ts";
import { type Blueprint, migrate, type Migration } from "./migrate.ts";
import { openPglite } from "./pglite.ts";

function write(version: string, text: string): Migration {
  return { version, name: "test", text, sha256: createHash("sha256").update(text).digest("hex") };
}

const first = write("20260101000000", "create table a (id int); insert into a values (1)");
const second = write("20260102000000", "create table b (id int); alter table a add column more int");
const stubs = ["create schema if not exists stub"];

const of = (...migrations: Migration[]): Blueprint => ({ stubs, migrations });

async function openEmpty(): Promise<Database> {
  return await openPglite({ folder: null, upkeepMs: null, log: silentLogger });
}

async function refuse(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DomainError, String(error));
  assert.equal(error.code, "data_incompatible");
  return error.message;
}

Deno.test("migrate() applies what is missing, in order, once, and records it where Supabase looks", async () => {
  await using database = await openEmpty();
  const changes: unknown[] = [];
  const onBeforeChange = (versions: unknown) => Promise.resolve(void changes.push(versions));
  const begun = await migrate(database, of(first), { onBeforeChange });
  assert.deepEqual(begun, { applied: [first.version], version: first.version });
  // There was nothing to lose yet.
  assert.deepEqual(changes, []);
  const more = await migrate(database, of(first, second), { onBeforeChange });
  assert.deepEqual(more, { applied: [second.version], version: second.version });
  assert.deepEqual(changes, [{ from: first.version, to: second.version }]);
  assert.deepEqual((await migrate(database, of(first, second), { onBeforeChange })).applied, []);
  assert.equal(changes.length, 1);
  const rows = await database.asOwner((session) =>
    session.query("select version, name, statements from supabase_migrations.schema_migrations order by version")
  );
  assert.deepEqual(rows, [first, second].map(({ version, text }) => ({ version, name: "test", statements: [text] })));
});

Deno.test("migrate() refuses data of a newer Rookery, changed files and late ones", async () => {
  await using database = await openEmpty();
  await migrate(database, of(first, second));
  assert.match(await refuse(migrate(database, of(first))), /written by a newer Rookery \(migration 20260102000000\)/);
  const changed = write(first.version, `${first.text} -- better`);
  assert.match(await refuse(migrate(database, of(changed, second))), /20260101000000_test is not the one/);
  const late = write("20260101120000", "create table c (id int)");
  assert.match(
    await refuse(migrate(database, of(first, late, second))),
    /the later one 20260102000000_test is applied/,
  );
  const tables = await database.asOwner((session) => session.query("select to_regclass('c') as c"));
  assert.deepEqual(tables, [{ c: null }]);
});

Deno.test("migrate() keeps nothing of a migration that fails, and all of those before it", async () => {
  await using database = await openEmpty();
  const broken = write(second.version, "create table b (id int); insert into b values ('x')");
  await assert.rejects(() => migrate(database, of(first, broken)), (error) => {
    assert.ok(error instanceof DatabaseError);
    assert.equal(error.sqlState, "22P02");
    assert.match(error.message, /^Cannot apply the migration 20260102000000_test: invalid input syntax/);
    return true;
  });
  const tables = await database.asOwner((session) => session.query("select to_regclass('b') as b, id from a"));
  assert.deepEqual(tables, [{ b: null, id: 1 }]);
  assert.deepEqual((await migrate(database, of(first, second))).applied, [second.version]);
});

Deno.test("migrate() does not begin when the backup before it fails", async () => {
  await using database = await openEmpty();
  await migrate(database, of(first));
  const onBeforeChange = () => Promise.reject(new RangeError("no room"));
  await assert.rejects(() => migrate(database, of(first, second), { onBeforeChange }), RangeError);
  const tables = await database.asOwner((session) => session.query("select to_regclass('b') as b"));
  assert.deepEqual(tables, [{ b: null }]);
});

Deno.test("migrate() takes over what `supabase db push` applied, and leaves the operator's own alone", async () => {
  await using database = await openEmpty();
  await database.asOwner((session) =>
    session.query(`create schema supabase_migrations;
      create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);
      insert into supabase_migrations.schema_migrations values ('${first.version}', null, 'test'), ('20990101000000', null, 'own');
      ${first.text}`)
  );
  assert.deepEqual((await migrate(database, of(first, second))).applied, [second.version]);
  const sums = await database.asOwner((session) =>
    session.query("select version, sha256 from supabase_migrations.rookery_checksums order by version")
  );
  assert.deepEqual(sums, [first, second].map(({ version, sha256 }) => ({ version, sha256 })));
});

skipUnless(testPostgres("16"), "Several runtimes migrate one server at once", (programs) => {
  const server = openPostgresServer(programs);
  Deno.test("Several runtimes migrate one server at once, and each migration is applied once", async () => {
    await using database = await server.openEmpty();
    const blueprint = await readProjectBlueprint();
    const reports = await Promise.all([1, 2, 3].map(() => migrate(database, blueprint)));
    const applied = reports.flatMap((report) => report.applied).toSorted();
    assert.deepEqual(applied, blueprint.migrations.map(({ version }) => version));
  });
});
