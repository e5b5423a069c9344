import { testDatabase } from "../../tests/contract/database.ts";
import { openPostgresServer } from "../../tests/fixtures/postgres_database.ts";
import { skipUnless, testPostgres } from "../../tests/prerequisites.ts";

for (const version of ["18", "16"] as const) {
  skipUnless(testPostgres(version), `Postgres ${version} keeps the contract of a database`, (programs) => {
    const server = openPostgresServer(programs);
    testDatabase(`Postgres ${version}`, (limits) => server.openEmpty(limits));
  });
}
