import assert from "node:assert/strict";
import { until } from "../../tests/fixtures/processes.ts";
import { withDatabase } from "../../tests/fixtures/database.ts";
import type { Claims, Database } from "../database/database.ts";
import { silentLogger } from "../log.ts";
import { hashOwner } from "../inference/state_files.ts";
import { clearAway, startUpkeep } from "./upkeep.ts";

/** Makes an account; the first one is the administrator. */
async function makeAccount(database: Database, name: string): Promise<Claims & { sub: string }> {
  return await database.asOwner(async (session) => {
    await session.query("update app.settings set value = '\"open\"' where name = 'sign_up'");
    const text = "select app.create_user($1, 'hash', $1, null, false) as id";
    const [row] = await session.query<{ id: string }>(text, [`${name}@example.org`]);
    return { sub: row!.id, role: "authenticated" };
  });
}

function rememberForgotten(): { inference: { forget(owner: string): Promise<void> }; forgotten: string[] } {
  const forgotten: string[] = [];
  return { forgotten, inference: { forget: (owner) => Promise.resolve(void forgotten.push(owner)) } };
}

/** Begins a conversation with one message, and deletes it as long ago as `since` says. */
async function deleteConversation(database: Database, claims: Claims, since: string): Promise<string> {
  const id = await database.transaction(claims, async (session) => {
    const [row] = await session.query<{ id: string }>("select conversation_id as id from app.create_conversation('A')");
    await session.query("select app.post_message($1, null, 'user', 'Hello')", [row!.id]);
    await session.query("select app.delete_conversation($1)", [row!.id]);
    return row!.id;
  });
  await database.asOwner((session) => {
    const text = "update public.conversations set deleted_at = now() - $2::interval where id = $1";
    return session.query(text, [id, since]);
  });
  return id;
}

withDatabase(
  "Conversations that were deleted long ago are erased, with what models keep of their authors",
  async (database) => {
    const ada = await makeAccount(database, "ada");
    const old = await deleteConversation(database, ada, "31 days");
    const young = await deleteConversation(database, ada, "29 days");
    const { inference, forgotten } = rememberForgotten();
    await clearAway({ database, inference, log: silentLogger });
    const left = await database.asOwner((session) => {
      return session.query<{ id: string }>("select id from public.conversations where id = any($1::uuid[])", [[
        old,
        young,
      ]]);
    });
    assert.deepEqual(left, [{ id: young }]);
    assert.deepEqual(forgotten, [ada.sub]);
  },
);

withDatabase("Nothing is forgotten of anybody when there is nothing to clear away", async (database) => {
  await makeAccount(database, "ada");
  const { inference, forgotten } = rememberForgotten();
  await clearAway({ database, inference, log: silentLogger });
  assert.deepEqual(forgotten, []);
});

withDatabase("What models keep of an account goes with it, and not when it only changes", async (database) => {
  const ada = await makeAccount(database, "ada");
  const { sub: bob } = await makeAccount(database, "bob");
  const { inference, forgotten } = rememberForgotten();
  await using _upkeep = await startUpkeep({ database, inference, log: silentLogger });
  await database.transaction(ada, (session) => session.query("select app.set_role($1, 'read_only')", [bob]));
  await database.transaction(ada, (session) => session.query("select app.delete_user($1)", [bob]));
  await until(() => forgotten.length > 0);
  assert.deepEqual(forgotten, [bob]);
});

withDatabase("What was left on disk of an account that is no more goes when Rookery starts", async (database) => {
  const root = await Deno.makeTempDir();
  try {
    const left = `${root}/kv-2/model/${hashOwner(crypto.randomUUID())}`;
    const own = `${root}/kv/model/${hashOwner("local")}`;
    for (const folder of [left, own]) await Deno.mkdir(folder, { recursive: true });
    const { inference } = rememberForgotten();
    const kept = { kvDir: `${root}/kv`, others: ["local"] };
    await using _upkeep = await startUpkeep({ database, inference, log: silentLogger, kept });
    await until(() => Deno.stat(left).then(() => false, () => true));
    await Deno.stat(own);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
