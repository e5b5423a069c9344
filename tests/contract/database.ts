import assert from "node:assert/strict";
import {
  type Claims,
  type Database,
  DatabaseError,
  type Session,
  toDomainError,
  type Value,
} from "../../lib/database/database.ts";
import { DomainError } from "../../lib/errors.ts";
import { soon, until } from "../fixtures/processes.ts";

/** Opens a database of its own for one test: the roles of Supabase are in it, and nothing else. */
export type OpenDatabase = (limits?: { statementMs?: number; transactionMs?: number }) => Promise<Database>;

const ana: Claims = { sub: "00000000-0000-7000-8000-00000000000a", role: "authenticated", app_role: "user" };

const NOTES = `
  create table notes (id int constraint notes_pkey primary key, owner text default auth.uid()::text, text text);
  alter table notes enable row level security;
  create policy "owners" on notes using (owner = auth.uid()::text) with check (owner = auth.uid()::text);
  grant all on notes to anon, authenticated`;

/** A value, the type that it goes to, and what comes back where that is another. */
const VALUES: [type: string, value: Value, back?: unknown][] = [
  ["text", `it's "odd" \\ ü 🐦\n`],
  ["text", ""],
  ["text", null],
  ["text", "\ud800", "\ufffd"],
  ["int4", -7],
  ["int8", 9007199254740991],
  ["int8", 9007199254740993n],
  ["int8", 5n, 5],
  ["float8", 0.1],
  ["float8", -Infinity],
  ["numeric", 1.5, "1.5"],
  ["boolean", false],
  ["uuid", "01890a5d-ac96-774b-bcce-b302099a8057"],
  ["bytea", new Uint8Array([0, 1, 92, 255])],
  ["bytea", new Uint8Array()],
  ["timestamptz", new Date(1_700_000_000_123), "2023-11-14T22:13:20.123Z"],
  ["timestamptz", "2023-11-14T22:13:20.123456Z"],
  ["timestamptz", "infinity"],
  ["date", "2024-02-29"],
  ["timestamp", "2024-02-29T01:02:03"],
  ["text[]", ["a", `b"\\,{}`, "", "NULL", null]],
  ["text[]", []],
  ["int4[]", [1, 2, 3]],
  ["int8[]", [1, 2], [1, 2]],
  ["boolean[]", [true, false]],
  ["bytea[]", [new Uint8Array([1])] as unknown as Value, [new Uint8Array([1])]],
  ["int4[]", [[1, 2], [3, 4]]],
  ["jsonb", { a: [1, "x", null, { b: true }] }],
  ["jsonb", ["not", "an", "array", "of", "Postgres"]],
  ["jsonb", [{ seq: 1 }, { seq: 2 }]],
  ["jsonb", "a string"],
  ["jsonb", 5],
  ["jsonb", null],
  ["jsonb", { text: "half \ud83d of a pair, \\ud83d as text" }, { text: "half \ufffd of a pair, \\ud83d as text" }],
  ["json", { a: 1 }],
  ["interval", "1 day", "1 day"],
];

/** What every {@linkcode Database} promises. */
export function testDatabase(name: string, open: OpenDatabase): void {
  testClaims(name, open);
  testValues(name, open);
  testFailures(name, open);
  testEnds(name, open);
  testNotifications(name, open);
  testLimits(name, open);
}

/** Who the database takes a session for. */
async function readIdentity(session: Session): Promise<{ role: string; sub: string | null }> {
  const [row] = await session.query<{ role: string; claims: string | null }>(
    "select current_user::text as role, nullif(current_setting('request.jwt.claims', true), '') as claims",
  );
  return { role: row!.role, sub: row!.claims === null ? null : JSON.parse(row!.claims).sub };
}

async function countNotes(database: Database): Promise<number> {
  const [row] = await database.asOwner((session) => session.query<{ count: number }>("select count(*) from notes"));
  return row!.count;
}

/** The DatabaseError that `work` ends in. */
async function catchError(work: Promise<unknown>): Promise<DatabaseError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DatabaseError, String(error));
  return error;
}

function testClaims(name: string, open: OpenDatabase): void {
  Deno.test(`${name} works under the claims of a transaction and under nobody's behind it`, async () => {
    await using database = await open();
    assert.deepEqual(await database.transaction(ana, readIdentity), { role: "authenticated", sub: ana.sub });
    assert.deepEqual(await database.asOwner(readIdentity), { role: "postgres", sub: null });
    const refused = database.transaction(ana, async (session) => {
      await session.query("select 1 / 0");
    });
    assert.equal((await catchError(refused)).sqlState, "22012");
    for (let round = 0; round < 12; round++) {
      assert.deepEqual(await database.asOwner(readIdentity), { role: "postgres", sub: null });
    }
  });

  Deno.test(`${name} hands claims on exactly, and knows no other roles`, async () => {
    await using database = await open();
    const claims: Claims = { sub: null, role: "anon", strange: `it's "quoted" \\ and $1 ü` };
    const read = (session: Session) =>
      session.query<{ claims: unknown }>("select current_setting('request.jwt.claims')::jsonb as claims");
    assert.deepEqual(await database.transaction(claims, read), [{ claims }]);
    const role = "postgres" as "anon";
    await assert.rejects(() => database.transaction({ sub: null, role }, readIdentity), TypeError);
  });

  Deno.test(`${name} keeps transactions apart that run at the same time`, async () => {
    await using database = await open();
    await database.asOwner((session) => session.query(NOTES));
    const people = Array.from({ length: 40 }, (_, at) => `00000000-0000-7000-8000-${String(at).padStart(12, "0")}`);
    const seen = await Promise.all(
      people.map((sub, id) =>
        database.transaction({ sub, role: "authenticated" }, async (session) => {
          await session.query("insert into notes (id) values ($1)", [id]);
          if (id % 5 === 4) await session.query("select pg_sleep(0.01)");
          const identity = await readIdentity(session);
          const rows = await session.query("select id, owner from notes");
          return { identity, rows };
        })
      ),
    );
    assert.deepEqual(
      seen,
      people.map((sub, id) => ({ identity: { role: "authenticated", sub }, rows: [{ id, owner: sub }] })),
    );
  });
}

function testValues(name: string, open: OpenDatabase): void {
  Deno.test(`${name} brings values there and back`, async () => {
    await using database = await open();
    for (const [type, value, back = value] of VALUES) {
      const [row] = await database.asOwner((session) =>
        session.query<{ value: unknown }>(`select $1::${type} as value`, [value])
      );
      assert.deepEqual(row!.value, back, `${type} ${String(value)}`);
    }
  });

  Deno.test(`${name} runs several statements when there are no values, and gives the last rows`, async () => {
    await using database = await open();
    const rows = await database.asOwner((session) => session.query("select 1 as one; select 2 as two union select 3"));
    assert.deepEqual(rows.toSorted(), [{ two: 2 }, { two: 3 }]);
    const last = await database.asOwner((session) => session.query("select 1 as one; create table made (id int)"));
    assert.deepEqual(last, [{ one: 1 }]);
    assert.deepEqual(await database.asOwner((session) => session.query("drop table made")), []);
    for (const values of [undefined, []]) {
      assert.deepEqual(await database.asOwner((session) => session.query("select", values)), [{}]);
    }
  });
}

function testFailures(name: string, open: OpenDatabase): void {
  Deno.test(`${name} keeps nothing of a transaction that fails`, async () => {
    await using database = await open();
    await database.asOwner((session) => session.query(NOTES));
    const thrown = database.transaction(ana, async (session) => {
      await session.query("insert into notes (id) values (1)");
      throw new RangeError("no");
    });
    await assert.rejects(thrown, RangeError);
    const swallowed = database.transaction(ana, async (session) => {
      await session.query("insert into notes (id) values (2)");
      await session.query("insert into notes (id) values (2)").catch(() => {});
      return "done";
    });
    assert.equal((await catchError(swallowed)).sqlState, "23505");
    assert.equal(await countNotes(database), 0);
  });

  Deno.test(`${name} names the code, the constraint and the detail of an error`, async () => {
    await using database = await open();
    await database.asOwner((session) => session.query(NOTES));
    const insert = (session: Session) => session.query("insert into notes (id) values ($1)", [1]);
    await database.transaction(ana, insert);
    const { sqlState, constraint, detail, message } = await catchError(database.asOwner(insert));
    assert.deepEqual([sqlState, constraint, detail], ["23505", "notes_pkey", "Key (id)=(1) already exists."]);
    assert.match(message, /duplicate key value/);
    // What row level security hides, errors do not tell either.
    assert.equal((await catchError(database.transaction(ana, insert))).detail, null);
    const forbidden = database.transaction({ sub: null, role: "service_role" }, insert);
    assert.equal(toDomainError(await catchError(forbidden)).code, "forbidden");
    const unstorable = database.transaction(ana, (session) => session.query("select $1::text", ["a\0b"]));
    assert.equal(toDomainError(await catchError(unstorable)).code, "invalid_request");
    const inJson = database.transaction(ana, (session) => session.query("select $1::jsonb", [{ text: "a\0b" }]));
    assert.equal(toDomainError(await catchError(inJson)).code, "invalid_request");
  });

  Deno.test(`${name} lets procedures refuse with a code and a sentence`, async () => {
    await using database = await open();
    const raise = `do $$ begin
      raise exception using errcode = 'P0001', message = 'not_found', detail = 'Unknown raven; count them';
    end $$`;
    const error = toDomainError(await catchError(database.asOwner((session) => session.query(raise))));
    assert.ok(error instanceof DomainError);
    assert.deepEqual([error.code, error.message], ["not_found", "Unknown raven; count them"]);
  });
}

function testEnds(name: string, open: OpenDatabase): void {
  Deno.test(`${name} lets no statement through after a failure or the end`, async () => {
    await using database = await open();
    await database.asOwner((session) => session.query(NOTES));
    let kept: Session | null = null;
    const failed = database.transaction(ana, async (session) => {
      kept = session;
      await session.query("select no_such_column").catch(() => {});
      const second = await session.query("select 1").catch((error) => error);
      assert.equal(second.sqlState, "42703");
    });
    assert.equal((await catchError(failed)).sqlState, "42703");
    const late = (kept as Session | null)!.query("insert into notes (id) values (9)");
    await catchError(late);
    await database.transaction(ana, (session) => {
      kept = session;
      return Promise.resolve();
    });
    assert.equal((await catchError((kept as Session | null)!.query("select 1"))).sqlState, "25000");
    assert.equal(await countNotes(database), 0);
  });

  Deno.test(`${name} tries again what could not be serialised, and not for ever`, async () => {
    await using database = await open();
    let tries = 0;
    const fail = (session: Session) => session.query("do $$ begin raise exception using errcode = '40001'; end $$");
    const result = await database.transaction(ana, async (session) => {
      if (++tries < 3) await fail(session);
      return tries;
    });
    assert.equal(result, 3);
    tries = 0;
    const hopeless = database.transaction(ana, async (session) => {
      tries++;
      await fail(session);
    });
    assert.equal(toDomainError(await catchError(hopeless)).code, "database_unavailable");
    assert.equal(tries, 4);
  });
}

function testNotifications(name: string, open: OpenDatabase): void {
  Deno.test(`${name} hears what was committed, in order, until it listens no more`, async () => {
    await using database = await open();
    const heard: string[] = [];
    const others: string[] = [];
    const notify = (payload: string) =>
      database.asOwner((session) => session.query("select pg_notify('Ravens', $1)", [payload]));
    {
      await using _listening = await database.listen("Ravens", (payload) => heard.push(payload));
      await using _other = await database.listen("others", (payload) => others.push(payload));
      await notify("0");
      const rolledBack = database.asOwner(async (session) => {
        await session.query("notify \"Ravens\", 'never'");
        throw new RangeError("no");
      });
      await assert.rejects(rolledBack, RangeError);
      for (let at = 1; at < 50; at++) await notify(String(at));
      await until(() => heard.length === 50);
    }
    await notify("late");
    await using _again = await database.listen("Ravens", (payload) => heard.push(payload));
    await notify("last");
    await until(() => heard.includes("last"));
    assert.deepEqual(heard, [...Array.from({ length: 50 }, (_, at) => String(at)), "last"]);
    assert.deepEqual(others, []);
  });

  Deno.test(`${name} lets several listen to one channel`, async () => {
    await using database = await open();
    const heard: string[] = [];
    await using _first = await database.listen("ravens", (payload) => heard.push(`first ${payload}`));
    {
      await using _second = await database.listen("ravens", (payload) => heard.push(`second ${payload}`));
      await database.asOwner((session) => session.query("notify ravens, 'a'"));
      await until(() => heard.length === 2);
    }
    await database.asOwner((session) => session.query("notify ravens, 'b'"));
    await until(() => heard.length === 3);
    assert.deepEqual(heard, ["first a", "second a", "first b"]);
  });
}

function testLimits(name: string, open: OpenDatabase): void {
  Deno.test(`${name} ends a statement past its deadline, keeps nothing of it, and goes on`, async () => {
    await using database = await open({ statementMs: 2_000 });
    await database.asOwner((session) => session.query(NOTES));
    const heard: string[] = [];
    await using _listening = await database.listen("ravens", (payload) => heard.push(payload));
    const late = database.transaction(ana, async (session) => {
      await session.query("insert into notes (id) values (1)");
      await session.query("with recursive r as (select 1 as n union all select n + 1 from r) select sum(n) from r");
    });
    const error = await catchError(soon(late));
    assert.equal(error.sqlState, "57014");
    assert.equal(toDomainError(error).code, "database_unavailable");
    assert.equal(await countNotes(database), 0);
    await database.asOwner((session) => session.query("notify ravens, 'still here'"));
    await until(() => heard.length === 1);
  });

  Deno.test(`${name} ends a transaction that is never done, and others go on`, async () => {
    await using database = await open({ transactionMs: 300 });
    await database.asOwner((session) => session.query(NOTES));
    const told = Promise.withResolvers<void>();
    let isOver = false;
    const stuck = database.transaction(ana, async (session) => {
      await session.query("insert into notes (id) values (1)");
      await told.promise;
      isOver = true;
      await session.query("insert into notes (id) values (2)");
    });
    const refused = catchError(stuck);
    const others = Array.from(
      { length: 12 },
      (_, id) => database.asOwner((session) => session.query("insert into notes (id) values ($1)", [id])),
    );
    assert.equal((await refused).sqlState, "25P03");
    await Promise.all(others);
    told.resolve();
    await until(() => isOver);
    assert.equal(await countNotes(database), 12);
  });

  Deno.test(`${name} closes during work: what runs is done or fails, what comes is refused`, async () => {
    const database = await open();
    const started = Promise.withResolvers<void>();
    const running = database.transaction(ana, async (session) => {
      started.resolve();
      await session.query("select pg_sleep(0.2)");
      return "done";
    }).catch((error) => error);
    await started.promise;
    const closing = Promise.resolve(database[Symbol.asyncDispose]());
    const error = await catchError(database.asOwner((session) => session.query("select 1")));
    assert.equal(error.sqlState, "57P01");
    await soon(closing);
    const outcome = await soon(running);
    assert.ok(outcome === "done" || outcome instanceof DatabaseError, String(outcome));
    await database[Symbol.asyncDispose]();
  });
}
