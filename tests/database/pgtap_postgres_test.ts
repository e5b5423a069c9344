import postgres from "postgres";
import { openPostgresServer } from "../fixtures/postgres_database.ts";
import { skipUnless, testPostgres } from "../prerequisites.ts";
import { assertPassed, listTapFiles, readPgtapScript, type RunScript, runTapFile, SETUP_FILE } from "./pgtap.ts";

for (const version of ["18", "16"] as const) {
  skipUnless(testPostgres(version), `Postgres ${version} passes supabase/tests`, (programs) => {
    const server = openPostgresServer(programs);
    let sql: postgres.Sql | null = null;

    const run: RunScript = async (text) => {
      // One statement gives its rows, several give an array of them.
      const results: unknown = await sql!.unsafe(text).simple().catch(async (error) => {
        await sql!.unsafe("rollback").simple();
        throw error;
      });
      return [results].flat(3).flatMap((row) => Object.values(Object(row)))
        .filter((value): value is string => typeof value === "string");
    };

    Deno.test.beforeAll(async () => {
      // Disposing of this one leaves the database that it was copied from.
      await (await server.openMigrated())[Symbol.asyncDispose]();
      sql = postgres(server.server().url("migrated"), { max: 1, fetch_types: false, onnotice: () => {} });
      await run(await readPgtapScript());
    });
    Deno.test.afterAll(async () => {
      await sql?.end();
    });

    for (const file of [SETUP_FILE, ...listTapFiles()]) {
      Deno.test(`Postgres ${version} passes supabase/tests/${file}`, async () => {
        assertPassed(await runTapFile(file, run));
      });
    }
  });
}
