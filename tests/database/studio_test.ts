/** What Supabase's Studio shows of our database, as its back end tells it, against what Postgres' own catalogue says. */
import assert from "node:assert/strict";
import type { PostgresDatabase } from "../../lib/database/postgres.ts";
import { readProjectBlueprint } from "../fixtures/database.ts";
import { openPostgresServer } from "../fixtures/postgres_database.ts";
import { StudioBackEnd } from "../fixtures/studio.ts";
import { skipUnless, testPostgres, testStudio } from "../prerequisites.ts";

const TITLE = "Supabase's Studio reads the database";
const OURS = "included_schemas=public,app";

/** Pages whose content is Postgres' own, or nothing here; each answers with a list all the same. */
const OTHER_PAGES = [
  "/views",
  "/materialized-views",
  "/foreign-tables",
  "/types",
  "/extensions",
  "/publications",
  "/config",
  "/indexes",
  "/column-privileges",
  "/table-privileges",
];

interface Table {
  schema: string;
  name: string;
  rls_enabled: boolean;
  primary_keys: { name: string }[];
  columns: { name: string; data_type: string; is_nullable: boolean; default_value: string | null }[];
  relationships: {
    constraint_name: string;
    source_table_name: string;
    source_column_name: string;
    target_table_name: string;
    target_column_name: string;
  }[];
}

interface Role {
  name: string;
  is_superuser: boolean;
  can_login: boolean;
  can_bypass_rls: boolean;
}

interface Policy {
  schema: string;
  table: string;
  name: string;
  action: string;
  roles: string[];
  command: string;
  definition: string | null;
  check: string | null;
}

interface Procedure {
  schema: string;
  name: string;
  argument_types: string;
  return_type: string;
  language: string;
  security_definer: boolean;
}

interface Trigger {
  schema: string;
  table: string;
  name: string;
}

/** A table's columns one by one, in the words of information_schema. */
const COLUMNS = `
  select concat_ws(' ', table_schema || '.' || table_name, column_name, data_type,
    case is_nullable when 'NO' then 'not null' end, 'default ' || column_default) as told
  from information_schema.columns
  where (table_schema, table_name) in (
    select table_schema, table_name from information_schema.tables
    where table_schema in ('public', 'app') and table_type = 'BASE TABLE'
  )`;

const PRIMARY_KEYS = `
  select concat_ws(' ', table_schema || '.' || table_name, string_agg(column_name, ' ' order by ordinal_position)) as told
  from information_schema.key_column_usage
  join information_schema.table_constraints using (constraint_schema, constraint_name, table_schema, table_name)
  where constraint_type = 'PRIMARY KEY' and table_schema in ('public', 'app')
  group by table_schema, table_name`;

/** Of each table what refers to it, and what it refers to. */
const RELATIONSHIPS = `
  select distinct nspname || '.' || relname || ' ' || conname as told
  from pg_constraint
  join pg_class on pg_class.oid in (conrelid, confrelid)
  join pg_namespace on pg_namespace.oid = relnamespace
  where contype = 'f' and nspname in ('public', 'app')`;

const POLICIES = `
  select schemaname as schema, tablename as table, policyname as name, permissive as action, roles::text[] as roles,
    cmd as command, qual as definition, with_check as check
  from pg_policies where schemaname in ('public', 'app')`;

const FUNCTIONS = `
  select concat_ws(' ', nspname || '.' || proname || '(' || pg_get_function_arguments(pg_proc.oid) || ')',
    'returns', pg_get_function_result(pg_proc.oid), lanname, case when prosecdef then 'security definer' end) as told
  from pg_proc
  join pg_namespace on pg_namespace.oid = pronamespace
  join pg_language on pg_language.oid = prolang
  where nspname in ('public', 'app') and prokind = 'f'`;

/** Without those on truncate (32 in `tgtype`): information_schema, which Studio's back end asks, leaves them out. */
const TRIGGERS = `
  select nspname || '.' || relname || ' ' || tgname as told
  from pg_trigger
  join pg_class on pg_class.oid = tgrelid
  join pg_namespace on pg_namespace.oid = relnamespace
  where nspname in ('public', 'app') and not tgisinternal and tgtype & 32 = 0`;

/** The back end, and the database that it reads, as its owner sees it. */
interface Subject {
  studio: StudioBackEnd;
  database: PostgresDatabase;
}

function query<Row extends object>({ database }: Subject, text: string): Promise<Row[]> {
  return database.asOwner((session) => session.query<Row>(text));
}

/** What the catalogue says in column `told`, sorted; there is some of everything. */
async function readTold(subject: Subject, text: string): Promise<string[]> {
  const told = (await query<{ told: string }>(subject, text)).map((row) => row.told).sort();
  assert.notDeepEqual(told, [], text);
  return told;
}

/** A list that the back end answers with. */
async function ask<Row>({ studio }: Subject, path: string, body: unknown = null): Promise<Row[]> {
  const response = await studio.ask(path, body);
  const text = await response.text();
  assert.equal(response.status, 200, `${path}: ${text}`);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  const rows: Row[] = JSON.parse(text);
  assert.ok(Array.isArray(rows), path);
  return rows;
}

/** Parts of a line; those that are null are left out. */
function tell(...parts: (string | null)[]): string {
  return parts.filter((part) => part !== null).join(" ");
}

type Checks = Record<string, (subject: Subject) => Promise<void>>;

const CHECKS: Checks = {
  async "it lists our schemas, and the roles of Supabase with no more rights than they need"(subject) {
    const schemas = (await ask<{ name: string }>(subject, "/schemas")).map(({ name }) => name);
    for (const name of ["public", "app", "auth", "extensions", "supabase_migrations"]) {
      assert.ok(schemas.includes(name), `${name} is not in ${schemas}`);
    }
    const roles = new Map((await ask<Role>(subject, "/roles")).map((role) => [role.name, role]));
    for (const name of ["anon", "authenticated", "service_role", "authenticator"]) {
      const { is_superuser, can_login, can_bypass_rls } = roles.get(name)!;
      assert.deepEqual([is_superuser, can_login, can_bypass_rls], [false, false, false], name);
    }
  },

  async "it shows every table of the migrations, each with row level security and its key"(subject) {
    const tables = await ask<Table>(subject, `/tables?${OURS}`);
    const { migrations } = await readProjectBlueprint();
    const made = migrations.flatMap(({ text }) =>
      [...text.matchAll(/^create table (\S+) \(/gm)].map(([, name]) => name)
    );
    assert.ok(made.length > 0);
    assert.deepEqual(tables.map(({ schema, name }) => `${schema}.${name}`).sort(), made.sort());
    assert.deepEqual(tables.filter((table) => !table.rls_enabled), []);
    const keys = tables.map(({ schema, name, primary_keys }) =>
      tell(`${schema}.${name}`, ...primary_keys.map((column) => column.name))
    );
    assert.deepEqual(keys.sort(), await readTold(subject, PRIMARY_KEYS));
  },

  async "it shows every column as it is"(subject) {
    const tables = await ask<Table>(subject, `/tables?${OURS}`);
    const columns = tables.flatMap(({ schema, name: table, columns }) =>
      columns.map(({ name, data_type, is_nullable, default_value }) =>
        tell(
          `${schema}.${table} ${name} ${data_type}`,
          is_nullable ? null : "not null",
          default_value === null ? null : `default ${default_value}`,
        )
      )
    );
    assert.deepEqual(columns.sort(), await readTold(subject, COLUMNS));
  },

  async "it shows what refers to what"(subject) {
    const tables = await ask<Table>(subject, `/tables?${OURS}`);
    const told = tables.flatMap(({ schema, name, relationships }) =>
      relationships.map(({ constraint_name }) => `${schema}.${name} ${constraint_name}`)
    );
    // A key of two columns is told as each of them with each of the other side.
    assert.deepEqual([...new Set(told)].sort(), await readTold(subject, RELATIONSHIPS));
    const threads = tables.find(({ name }) => name === "threads")!;
    const end = threads.relationships.find(({ constraint_name }) =>
      constraint_name === "threads_conversation_id_fkey"
    )!;
    assert.deepEqual(
      [end.source_table_name, end.source_column_name, end.target_table_name, end.target_column_name],
      ["threads", "conversation_id", "conversations", "id"],
    );
  },

  async "it shows every policy: for whom, for what, and its conditions"(subject) {
    const shown = await ask<Policy & { id: number; table_id: number }>(subject, `/policies?${OURS}`);
    const policies = await query<Policy>(subject, POLICIES);
    assert.ok(policies.length > 0);
    const byName = (rows: Policy[]) => new Map(rows.map((row) => [`${row.schema}.${row.table} ${row.name}`, row]));
    assert.deepEqual(byName(shown.map(({ id: _, table_id: __, ...policy }) => policy)), byName(policies));
  },

  async "it shows every procedure with what it takes and gives, and every trigger"(subject) {
    const procedures = (await ask<Procedure>(subject, `/functions?${OURS}`)).map((shown) =>
      tell(
        `${shown.schema}.${shown.name}(${shown.argument_types}) returns ${shown.return_type} ${shown.language}`,
        shown.security_definer ? "security definer" : null,
      )
    );
    assert.deepEqual(procedures.sort(), await readTold(subject, FUNCTIONS));
    const triggers = (await ask<Trigger>(subject, `/triggers?${OURS}`)).map(({ schema, table, name }) =>
      `${schema}.${table} ${name}`
    );
    assert.deepEqual(triggers.sort(), await readTold(subject, TRIGGERS));
  },

  async "it answers on all its other pages"(subject) {
    for (const page of OTHER_PAGES) await ask(subject, page);
  },

  async "its editor runs a statement"(subject) {
    const [row] = await ask<{ said: string }>(subject, "/query", { query: "select app.uuid_v7()::text as said" });
    assert.match(row?.said ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  },

  async "its generator writes the types of every public table"(subject) {
    const response = await subject.studio.ask("/generators/typescript?included_schemas=public");
    const types = await response.text();
    assert.equal(response.status, 200, types);
    const tables = await ask<Table>(subject, "/tables?included_schemas=public");
    assert.ok(tables.length > 0);
    for (const { name } of tables) assert.match(types, new RegExp(`^ +${name}: \\{\n +Row: `, "m"));
  },
};

skipUnless(testPostgres("16"), TITLE, (programs) =>
  skipUnless(testStudio(), TITLE, (program) => {
    const server = openPostgresServer(programs);
    Deno.test(TITLE, async (t) => {
      await using database = await server.openMigrated();
      const [here] = await database.asOwner((session) =>
        session.query<{ name: string }>("select current_database() as name")
      );
      await using studio = await StudioBackEnd.start(program, server.server().url(here!.name));
      for (const [name, check] of Object.entries(CHECKS)) await t.step(name, () => check({ studio, database }));
    });
  }));
