import assert from "node:assert/strict";
import { makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";
import { RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";
import { watchLibrary } from "./watched_library.ts";

Deno.test("watchLibrary() looks at what is installed after a pull and a removal, and not after a failed one", async () => {
  await using server = new RawServer((request, reply) => replyWithFile(request, { reply, bytes: makeModel(1) }));
  await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/tiny.gguf`] }));
  const catalog = home.open();
  const seen: string[][] = [];
  const look = async () => {
    const entries = await catalog.list();
    seen.push(entries.filter(({ state }) => state === "installed").map(({ id }) => id));
  };
  const library = watchLibrary(catalog, { look });
  assert.equal((await library.pull("tiny")).id, "tiny");
  assert.ok(await library.remove("tiny") > 0);
  await assert.rejects(library.pull("nothing"), { code: "model_not_found" });
  assert.deepEqual(seen, [["tiny"], []]);
});

Deno.test("watchLibrary() keeps the outcome of its work when the look fails", async () => {
  await using server = new RawServer((request, reply) => replyWithFile(request, { reply, bytes: makeModel(1) }));
  await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/tiny.gguf`] }));
  const library = watchLibrary(home.open(), { look: () => Promise.reject(new Error("no look")) });
  assert.equal((await library.pull("tiny")).id, "tiny");
});
