import assert from "node:assert/strict";
import { withDatabase } from "../../tests/fixtures/database.ts";
import { hashOwner } from "../inference/state_files.ts";
import { eraseStrangers } from "./strangers.ts";

withDatabase("States of accounts that are no more leave the disk, whichever worker wrote them", async (database) => {
  const made = "select app.create_user('ada@example.org', 'hash', 'Ada', null, false)::text as id";
  const [ada] = await database.asOwner((session) => session.query<{ id: string }>(made));
  const gone = crypto.randomUUID();
  const root = await Deno.makeTempDir();
  try {
    const kvDir = `${root}/kv`;
    assert.equal(await eraseStrangers({ kvDir, database, others: [] }), 0, "there is no folder yet");
    const place = (folder: string, owner: string) => `${root}/${folder}/model/${hashOwner(owner)}`;
    for (const folder of ["kv", "kv-2", "kv-old", "models"]) {
      for (const owner of [ada!.id, gone, "local"]) {
        await Deno.mkdir(place(folder, owner), { recursive: true });
        await Deno.writeTextFile(`${place(folder, owner)}/1.kv`, "words");
      }
    }
    assert.equal(await eraseStrangers({ kvDir, database, others: ["local"] }), 2);
    const left = [];
    for (const folder of ["kv", "kv-2", "kv-old", "models"]) {
      for (const [name, owner] of [["ada", ada!.id], ["gone", gone], ["local", "local"]] as const) {
        if (await Deno.stat(`${place(folder, owner)}/1.kv`).then(() => true, () => false)) {
          left.push(`${folder} ${name}`);
        }
      }
    }
    const others = ["kv-old", "models"].flatMap((folder) =>
      ["ada", "gone", "local"].map((name) => `${folder} ${name}`)
    );
    assert.deepEqual(left, ["kv ada", "kv local", "kv-2 ada", "kv-2 local", ...others]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
