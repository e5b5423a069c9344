import assert from "node:assert/strict";
import { testDatabase } from "../../tests/contract/database.ts";
import { openPostgresServer } from "../../tests/fixtures/postgres_database.ts";
import { TestPostgres } from "../../tests/fixtures/postgres.ts";
import { soon, until } from "../../tests/fixtures/processes.ts";
import { skipUnless, testPostgres } from "../../tests/prerequisites.ts";
import { silentLogger } from "../log.ts";
import { type Claims, type Database, DatabaseError } from "./database.ts";
import { openPostgres } from "./postgres.ts";

for (const version of ["18", "16"] as const) {
  skipUnless(testPostgres(version), `Postgres ${version} keeps the contract of a database`, (programs) => {
    const server = openPostgresServer(programs);
    testDatabase(`Postgres ${version}`, (limits) => server.openEmpty(limits));
  });
}

const ana: Claims = { sub: "00000000-0000-7000-8000-00000000000a", role: "authenticated" };

async function catchError(work: Promise<unknown>): Promise<DatabaseError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DatabaseError, String(error));
  return error;
}

skipUnless(testPostgres("18"), "A Postgres server that goes away comes back", (programs) => {
  const { openEmpty } = openPostgresServer(programs);

  Deno.test("A transaction whose connection is cut never speaks into another one", async () => {
    await using database = await openEmpty({ connectionsMax: 2 });
    await database.asOwner((session) =>
      session.query("create table seen (who text default current_user); grant insert, select on seen to authenticated")
    );
    for (let round = 0; round < 5; round++) {
      const pid = Promise.withResolvers<number>();
      const goOn = Promise.withResolvers<void>();
      const cut = database.transaction(ana, async (session) => {
        const [row] = await session.query<{ pid: number }>("select pg_backend_pid() as pid");
        pid.resolve(row!.pid);
        await goOn.promise;
        // By now the connection is gone, and the pool has others: none of them may take this.
        await session.query("insert into seen default values").catch(() => {});
        await session.query("insert into seen default values");
      });
      const outcome = catchError(cut);
      const victim = await pid.promise;
      await database.asOwner((session) => session.query("select pg_terminate_backend($1)", [victim]));
      const others = Array.from({ length: 8 }, () => database.asOwner((session) => session.query("select 1 as one")));
      await Promise.all(others);
      goOn.resolve();
      assert.match((await soon(outcome)).sqlState, /^(08006|57P01)$/);
      assert.deepEqual(await database.asOwner((session) => session.query("select who from seen")), []);
    }
  });

  Deno.test("kill -9 of the server fails what runs, loses nothing acknowledged, and listeners hear of the gap", async () => {
    await using server = await TestPostgres.start(programs);
    await using database = await openPostgres({ url: server.url(), log: silentLogger });
    await database.asOwner((session) => session.query("create table kept (id int primary key)"));
    const heard: string[] = [];
    let gaps = 0;
    const onGap = () => void gaps++;
    await using _listening = await database.listen("ravens", (payload) => heard.push(payload), { onGap });
    for (let round = 1; round <= 2; round++) {
      const acknowledged = await writeUntilKilled(database, server, round * 1_000);
      await server.start();
      await until(() => gaps >= round);
      const rows = await database.asOwner((session) => session.query<{ id: number }>("select id from kept"));
      const there = new Set(rows.map(({ id }) => id));
      assert.deepEqual(acknowledged.filter((id) => !there.has(id)), []);
      await database.asOwner((session) => session.query("select pg_notify('ravens', $1)", [String(round)]));
      await until(() => heard.includes(String(round)));
    }
    assert.deepEqual(heard, ["1", "2"]);
  });

  Deno.test("A server that is not there is named as such", async () => {
    const error = await catchError(openPostgres({ url: "postgres://nobody@127.0.0.1:1/none", log: silentLogger }));
    assert.equal(error.sqlState, "08006");
    assert.match(error.message, /connection to the database is lost.*ECONNREFUSED/);
  });
});

/** Inserts from several sides at once until the server dies; returns what was acknowledged. */
async function writeUntilKilled(database: Database, server: TestPostgres, from: number): Promise<number[]> {
  const acknowledged: number[] = [];
  let isOver = false;
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let id = from + writer; !isOver; id += 6) {
      await database.asOwner((session) => session.query("insert into kept values ($1)", [id]));
      acknowledged.push(id);
    }
  });
  const outcomes = Promise.allSettled(writers);
  await until(() => acknowledged.length >= 30);
  await server.stop("SIGKILL");
  isOver = true;
  for (const outcome of await soon(outcomes)) {
    if (outcome.status === "rejected") assert.match(outcome.reason.sqlState, /^(08006|57P0.)$/);
  }
  return acknowledged;
}
