/** The suites of conversations, which run beside their code on the embedded database, on a real Postgres. */
// It adds to zod what the functions' schemas call, and has to come before any schema is made.
import "@hono/zod-openapi";
import { useDatabases } from "../fixtures/conversations.ts";
import { openPostgresServer } from "../fixtures/postgres_database.ts";
import { skipUnless, testPostgres } from "../prerequisites.ts";

const programs = testPostgres("16");

skipUnless(programs, "Conversations keep their promises on Postgres 16", (programs) => {
  const server = openPostgresServer(programs);
  useDatabases(() => server.openMigrated());
});

// Each registers its tests when it is loaded; without a server they would run on the embedded database again.
if ("found" in programs) {
  await import("../../lib/conversations/answer_runner_test.ts");
  await import("../../lib/conversations/export_test.ts");
  await import("../../lib/conversations/follow_answer_test.ts");
  await import("../../lib/conversations/messages_test.ts");
  await import("../../functions/conversations/access_test.ts");
  await import("../../functions/conversations/app_test.ts");
  await import("../../functions/conversations/stream_test.ts");
  await import("../../functions/chat-completions/turns_test.ts");
}
