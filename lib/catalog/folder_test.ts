import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { hash, ModelsHome } from "../../tests/fixtures/models.ts";
import { type RawReply, type RawRequest, RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";
import type { Progress } from "./progress.ts";

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

const WEIGHTS = crypto.getRandomValues(new Uint8Array(50_000));
const TOKENIZER = encode('{"model":{"type":"WordPiece"}}');
const CONFIG = { model_type: "bert", max_position_embeddings: 512 };
const CONFIG_BYTES = encode(JSON.stringify(CONFIG, null, 2) + "\n");

const NAMES = ["config.json", "onnx/model_quantized.onnx", "tokenizer.json"];

/** The manifest of `small`, whose files a server at `url` has. */
function makeFolderManifest(url: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: "small",
    name: "Small Embedder",
    kind: "embedding",
    engine: "onnx",
    licence: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    contextTokens: 256,
    memoryBytes: 200_000_000,
    files: [
      { name: "config.json", content: CONFIG },
      { name: "tokenizer.json", sizeBytes: TOKENIZER.length, sha256: hash(TOKENIZER), sources: [`${url}/tokenizer`] },
      {
        name: "onnx/model_quantized.onnx",
        sizeBytes: WEIGHTS.length,
        sha256: hash(WEIGHTS),
        sources: [`${url}/weights`],
      },
    ],
    ...change,
  };
}

const serve = (request: RawRequest, reply: RawReply): Promise<void> =>
  replyWithFile(request, { reply, bytes: request.path === "/weights" ? WEIGHTS : TOKENIZER, etag: '"one"' });

/** What `sha256sum config.json onnx/model_quantized.onnx tokenizer.json | sha256sum` prints. */
const SHA256 = createHash("sha256").update(
  `${hash(CONFIG_BYTES)}  ${NAMES[0]}\n${hash(WEIGHTS)}  ${NAMES[1]}\n${hash(TOKENIZER)}  ${NAMES[2]}\n`,
).digest("hex");

Deno.test("pull() brings the files of a folder to their places and describes the model", async () => {
  await using server = new RawServer(serve);
  await using home = await ModelsHome.create(makeFolderManifest(server.url));
  const seen: Progress[] = [];
  const model = await home.open().pull("small", { onProgress: (progress) => seen.push(progress) });
  const sizeBytes = CONFIG_BYTES.length + WEIGHTS.length + TOKENIZER.length;
  const { modifiedAtMs, ...described } = model;
  assert.deepEqual(described, {
    id: "small",
    name: "Small Embedder",
    kind: "embedding",
    engine: "onnx",
    path: await Deno.realPath(home.path("small")),
    sizeBytes,
    sha256: SHA256,
    architecture: "bert",
    parameters: null,
    quantization: "INT8",
    contextTokensTrained: 256,
    chatTemplate: null,
    licence: "Apache-2.0",
  });
  assert.ok(modifiedAtMs > 0);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(`${model.path}/config.json`)), CONFIG);
  assert.equal(hash(await Deno.readFile(`${model.path}/onnx/model_quantized.onnx`)), hash(WEIGHTS));
  const { file, sha256, receivedBytes, totalBytes } = seen.at(-1)!;
  assert.deepEqual([file, sha256, receivedBytes, totalBytes], ["small", SHA256, sizeBytes, sizeBytes]);
  assert.ok(seen.every((progress) => progress.totalBytes === sizeBytes && progress.receivedBytes <= sizeBytes));
  assert.deepEqual(await home.names(), [".pulls", "small", "small.checksums"]);
  await home.open().pull("small");
  assert.equal(server.requests.length, 2);
});

Deno.test("a folder that is half pulled is not installed, and the next pull fetches only what is missing", async () => {
  let isBroken = true;
  await using server = new RawServer(async (request, reply) => {
    if (request.path !== "/weights" || !isBroken) return await serve(request, reply);
    await reply.head(200, { "content-length": WEIGHTS.length, etag: '"one"' });
    await reply.body(WEIGHTS.subarray(0, 20_000));
  });
  await using home = await ModelsHome.create(makeFolderManifest(server.url));
  const policy = { stallTimeoutMs: 300, retryDelaysMs: [] };
  await assert.rejects(home.open({ policy }).pull("small"), { code: "pull_failed" });
  const [entry] = await home.open().list();
  assert.equal(entry!.state, "available");
  assert.ok(entry!.partialBytes > 20_000);
  await assert.rejects(home.open().find("small"), { code: "model_not_found", message: /models pull small/ });
  isBroken = false;
  assert.equal((await home.open().pull("small")).sha256, SHA256);
  assert.deepEqual(server.requests.map(({ path }) => path), ["/tokenizer", "/weights", "/weights"]);
  assert.equal(server.requests[2]!.headers.get("range"), "bytes=20000-");
  assert.equal((await home.open().list())[0]!.partialBytes, 0);
});

Deno.test("a pull goes on with nothing that an interrupted pull of another manifest left", async () => {
  await using server = new RawServer(serve);
  await using home = await ModelsHome.create(makeFolderManifest(server.url));
  await Deno.mkdir(home.path(".pulls/small/onnx"), { recursive: true });
  await Deno.writeTextFile(home.path(".pulls/small/onnx/old.onnx"), "old");
  await Deno.writeTextFile(home.path(".pulls/small/old.txt"), "old");
  await Deno.writeTextFile(home.path(".pulls/small/tokenizer.json"), "x".repeat(TOKENIZER.length));
  assert.equal((await home.open().pull("small")).sha256, SHA256);
});

Deno.test("pull() keeps nothing of a folder whose files are not a model", async () => {
  await using server = new RawServer(serve);
  const files = makeFolderManifest(server.url)["files"] as Record<string, unknown>[];
  const cases: [Record<string, unknown>[], RegExp][] = [
    [files.slice(1), /it has no config\.json/],
    [files.filter(({ name }) => name !== "tokenizer.json"), /it has no tokenizer\.json/],
    [files.slice(0, 2), /it has no \.onnx file/],
    [[{ name: "config.json", content: "{}" }, ...files.slice(1)], /does not name a model_type/],
  ];
  for (const [files, message] of cases) {
    await using home = await ModelsHome.create(makeFolderManifest(server.url, { files }));
    await assert.rejects(home.open().pull("small"), { code: "invalid_model_file", message });
    assert.deepEqual((await home.open().list()).map(({ state, partialBytes }) => [state, partialBytes]), [[
      "available",
      0,
    ]]);
  }
});

Deno.test("pull() never overwrites a folder that somebody put in the model's place", async () => {
  await using server = new RawServer(serve);
  await using home = await ModelsHome.create(makeFolderManifest(server.url));
  await Deno.mkdir(home.path("small"), { recursive: true });
  await Deno.writeTextFile(home.path("small/diary.txt"), "mine");
  await assert.rejects(home.open().pull("small"), { code: "model_exists" });
  assert.equal(await Deno.readTextFile(home.path("small/diary.txt")), "mine");
  assert.equal(server.requests.length, 0);
});

Deno.test("verify() names the file of a folder that changed or is gone", async () => {
  await using server = new RawServer(serve);
  await using home = await ModelsHome.create(makeFolderManifest(server.url));
  const catalog = home.open();
  await catalog.pull("small");
  const intact = { id: "small", sha256: SHA256, expectedSha256: SHA256, intact: true, changedFiles: [] };
  assert.deepEqual(await catalog.verify("small"), intact);
  await Deno.writeTextFile(home.path("small/tokenizer.json"), "{}");
  assert.deepEqual((await catalog.verify("small")).changedFiles, ["tokenizer.json"]);
  assert.equal((await catalog.find("small").catch((error) => error)).sha256, null);
  await Deno.remove(home.path("small/tokenizer.json"));
  const { intact: isIntact, changedFiles } = await catalog.verify("small");
  assert.deepEqual([isIntact, changedFiles], [false, ["tokenizer.json"]]);
});

Deno.test("a folder that somebody put there is found, and removed without what is beside it", async () => {
  await using home = await ModelsHome.create();
  await Deno.mkdir(home.path("By Hand"), { recursive: true });
  await Deno.writeFile(home.path("By Hand/config.json"), CONFIG_BYTES);
  await Deno.writeFile(home.path("By Hand/tokenizer.json"), TOKENIZER);
  await Deno.writeFile(home.path("By Hand/model.onnx"), WEIGHTS);
  await Deno.mkdir(home.path("notes"));
  await Deno.writeFile(home.path("notes/config.json"), CONFIG_BYTES);
  const catalog = home.open();
  const [entry, ...others] = await catalog.list();
  assert.equal(others.length, 0);
  assert.ok(entry?.state === "installed");
  assert.deepEqual([entry.id, entry.model.kind, entry.model.engine], ["By-Hand", "embedding", "onnx"]);
  assert.equal((await catalog.find("by-hand")).contextTokensTrained, 512);
  assert.equal((await catalog.verify("By-Hand")).expectedSha256, null);
  await catalog.remove("By-Hand");
  assert.deepEqual(await home.names(), ["notes"]);
});

Deno.test("removing a link to a folder leaves the folder", async () => {
  await using home = await ModelsHome.create();
  const elsewhere = `${home.root}/elsewhere`;
  await Deno.mkdir(elsewhere);
  await Deno.writeFile(`${elsewhere}/config.json`, CONFIG_BYTES);
  await Deno.writeFile(`${elsewhere}/tokenizer.json`, TOKENIZER);
  await Deno.writeFile(`${elsewhere}/model.onnx`, WEIGHTS);
  await Deno.mkdir(home.modelsDir);
  await Deno.symlink(elsewhere, home.path("linked"));
  const catalog = home.open();
  assert.equal((await catalog.find("linked")).path, await Deno.realPath(elsewhere));
  await catalog.remove("linked");
  assert.deepEqual(await home.names(), []);
  assert.equal((await Array.fromAsync(Deno.readDir(elsewhere))).length, 3);
});

Deno.test("remove() clears an unfinished pull of a folder, and no other model's parts", async () => {
  await using home = await ModelsHome.create(makeFolderManifest("http://127.0.0.1:9"));
  await Deno.mkdir(home.path(".pulls/small/onnx"), { recursive: true });
  await Deno.writeFile(home.path(".pulls/small/onnx/model_quantized.onnx.part"), WEIGHTS);
  await Deno.mkdir(home.path(".pulls/other"));
  assert.equal(await home.open().remove("small"), WEIGHTS.length);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(home.path(".pulls")))).map(({ name }) => name), ["other"]);
});

Deno.test("a manifest cannot name a file outside of its folder", async () => {
  const sources = ["https://models.example/x"];
  const config = { name: "config.json", content: CONFIG };
  const refused = [
    "../x",
    "a/../x",
    "/x",
    "a/b/c",
    "a//b",
    ".hidden",
    "a/.hidden",
    "a\\b",
    "",
    "a/",
    "CONFIG.json",
    "config.json/x",
  ];
  for (const name of refused) {
    await using home = await ModelsHome.create(makeFolderManifest("", { files: [config, { name, sources }] }));
    await assert.rejects(home.open().list(), { code: "invalid_config", message: /files/ }, name);
  }
  const wrong = [{ name: "x", content: "a", sources }, { name: "x" }, { name: "x", content: "a", sizeBytes: 1 }];
  for (const file of wrong) {
    await using home = await ModelsHome.create(makeFolderManifest("", { files: [config, file] }));
    await assert.rejects(home.open().list(), { code: "invalid_config", message: /content/ });
  }
});
