import assert from "node:assert/strict";
import { hash, makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";
import { type RawReply, type RawRequest, RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";
import { ModelManifest } from "../contracts/manifest.ts";
import type { CatalogOptions } from "./catalog.ts";
import type { GgufHeader } from "./gguf_header.ts";
import { completeManifest, parseHubName } from "./hub_repository.ts";
import type { Progress } from "./progress.ts";

const MODEL = makeModel(1);
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const gguf = (rfilename: string, bytes = MODEL): Record<string, unknown> => (
  { rfilename, size: bytes.length, lfs: { sha256: hash(bytes), size: bytes.length, pointerSize: 135 } }
);

/** What the hub answers about a repository of these files. */
const describe = (
  siblings: Record<string, unknown>[],
  change: Record<string, unknown> = {},
): Record<string, unknown> => ({
  _id: "x",
  id: "Owner/Some-Model-2507-GGUF",
  sha: COMMIT,
  gated: false,
  cardData: { license: "apache-2.0", tags: ["x"] },
  gguf: { total: 40, architecture: "llama", context_length: 4096 },
  siblings: [{ rfilename: "README.md", size: 10 }, ...siblings],
  ...change,
});

const FILES = [
  gguf("Some-Model-2507-BF16.gguf"),
  gguf("Some-Model-2507-Q4_K_M.gguf"),
  gguf("Some-Model-2507-Q8_0.gguf"),
  gguf("Some-Model-2507-UD-Q4_K_XL.gguf"),
  gguf("mmproj-Some-Model-2507-Q4_K_M.gguf"),
  gguf("imatrix_some.gguf"),
];

async function replyWithJson(reply: RawReply, answer: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(answer));
  await reply.head(200, { "content-type": "application/json", "content-length": bytes.length });
  await reply.body(bytes);
}

/** A hub with one repository. */
function serveHub(
  answer: Record<string, unknown>,
  serve: (request: RawRequest, reply: RawReply) => Promise<void> = (request, reply) =>
    replyWithFile(request, { reply, bytes: MODEL, etag: '"one"' }),
): RawServer {
  return new RawServer((request, reply) =>
    request.path.startsWith("/api/") ? replyWithJson(reply, answer) : serve(request, reply)
  );
}

const envOf = (hub: RawServer): Partial<CatalogOptions> => ({ env: { hfEndpoint: hub.url, hfToken: "secret" } });

Deno.test("names on a hub are read in all the ways that people write them, and nothing else is taken for one", () => {
  const parts = { owner: "Owner", repository: "Some-Model.v2-GGUF", wanted: null };
  for (const prefix of ["hf.co/", "huggingface.co/", "https://huggingface.co/", "hf:", "HF.co/"]) {
    assert.deepEqual(parseHubName(`${prefix}Owner/Some-Model.v2-GGUF`), parts);
    const wanted = parseHubName(`${prefix}Owner/Some-Model.v2-GGUF:Q8_0`);
    assert.deepEqual(wanted, { ...parts, wanted: "Q8_0" });
  }
  const others = [
    "smollm2-135m",
    "owner/repo",
    "hf.co/owner",
    "hf.co/owner/repo/file.gguf",
    "hf.co/owner/../repo",
    "hf.co/../repo",
    "hf.co/owner/repo:../x",
    "hf.co/owner/repo:a b",
    "hf.co/owner/repo?x=1",
    "hf.co.example.org/owner/repo",
    "https://example.org/hf.co/owner/repo",
    "hf.co/owner/repo\n:x",
    `hf.co/owner/${"x".repeat(300)}`,
    "",
  ];
  for (const text of others) assert.equal(parseHubName(text), null, text);
});

Deno.test("pull() of a name on a hub takes Q4_K_M, checks it against the hub's SHA-256 and remembers where it came from", async () => {
  await using hub = serveHub(describe(FILES));
  await using home = await ModelsHome.create();
  const seen: Progress[] = [];
  const catalog = home.open(envOf(hub));
  const model = await catalog.pull("hf.co/owner/some-model-2507-gguf", {
    onProgress: (progress) => seen.push(progress),
  });
  assert.equal(model.id, "some-model-2507-q4_k_m");
  assert.equal(model.name, "Some-Model-2507 Q4_K_M");
  assert.equal(model.sha256, hash(MODEL));
  assert.equal(model.licence, "apache-2.0");
  assert.equal(model.kind, "chat");
  assert.deepEqual(hub.requests.map(({ path }) => path), [
    "/api/models/owner/some-model-2507-gguf?blobs=true",
    `/Owner/Some-Model-2507-GGUF/resolve/${COMMIT}/Some-Model-2507-Q4_K_M.gguf`,
  ]);
  assert.ok(hub.requests.every(({ headers }) => headers.get("authorization") === "Bearer secret"));
  for (const progress of seen) {
    assert.deepEqual([progress.sha256, progress.totalBytes], [hash(MODEL), MODEL.length]);
  }
  const [entry] = await home.open().list();
  assert.equal(entry!.source, `hf:Owner/Some-Model-2507-GGUF@${COMMIT}/Some-Model-2507-Q4_K_M.gguf`);
  assert.equal(entry!.manifest!.contextTokens, 2048);
  assert.equal(entry!.manifest!.licence!.url, "https://huggingface.co/owner/some-model-2507-gguf");
  assert.equal((await home.open().verify("SOME-model-2507-q4_k_m")).intact, true);
  await catalog.remove(model.id);
  assert.deepEqual(await home.open().list(), []);
});

Deno.test("pull() takes the quantization that is asked for, in any case, or a file by its name", async () => {
  await using hub = serveHub(describe(FILES));
  await using home = await ModelsHome.create();
  const idOf = async (name: string): Promise<string> => (await home.open(envOf(hub)).pull(name)).id;
  assert.equal(await idOf("hf:Owner/Some-Model-2507-GGUF:q8_0"), "some-model-2507-q8_0");
  assert.equal(await idOf("hf.co/owner/some-model-2507-gguf:ud-q4_k_xl"), "some-model-2507-ud-q4_k_xl");
  assert.equal(await idOf("hf.co/owner/some-model-2507-gguf:Some-Model-2507-BF16.gguf"), "some-model-2507-bf16");
  assert.equal(await idOf("hf.co/owner/some-model-2507-gguf:latest"), "some-model-2507-q4_k_m");
});

Deno.test("pull() prefers Q4_K_M, then Q4_0, then Q8_0, and takes whatever is the only one", async () => {
  const cases: [string[], string][] = [
    [["m-Q8_0.gguf", "m-Q4_0.gguf", "m-Q4_K_M.gguf"], "q4_k_m"],
    [["m-Q8_0.gguf", "m-Q4_0.gguf", "m-Q5_K_M.gguf"], "q4_0"],
    [["m-f16.gguf", "m.Q8_0.gguf"], "q8_0"],
    [["gpt-oss-20b-mxfp4.gguf"], "mxfp4"],
    [
      ["Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", "Q4_K_M/m-Q4_K_M-00002-of-00002.gguf", "whole.gguf", "m-Q4_K_M.gguf"],
      "q4_k_m",
    ],
  ];
  for (const [names, quantization] of cases) {
    await using hub = serveHub(describe(names.map((name) => gguf(name))));
    await using home = await ModelsHome.create();
    const { id } = await home.open(envOf(hub)).pull("hf.co/owner/some-model-2507-gguf");
    assert.equal(id, `some-model-2507-${quantization}`, names.join());
  }
});

Deno.test("pull() that cannot choose says what there is", async () => {
  const split = [gguf("Q4_K_M/big-Q4_K_M-00001-of-00003.gguf"), gguf("Q4_K_M/big-Q4_K_M-00002-of-00003.gguf")];
  const cases: [string, Record<string, unknown>[], RegExp][] = [
    [":Q3_K_S", FILES, /there is no Q3_K_S; there is BF16, Q4_K_M, Q8_0, UD-Q4_K_XL$/],
    [
      "",
      [gguf("m-Q5_K_M.gguf"), gguf("m-Q6_K.gguf")],
      /choose one of Q5_K_M, Q6_K by .* e\.g\. hf\.co\/owner\/.*:Q5_K_M/,
    ],
    ["", [gguf("a-Q4_K_M.gguf"), gguf("b-Q4_K_M.gguf")], /choose one of a-q4_k_m, b-q4_k_m/],
    ["", [], /holds no GGUF model/],
    ["", [gguf("mmproj-x-f16.gguf")], /holds no GGUF model/],
    ["", split, /is one of 3 pieces, .*llama-gguf-split --merge/],
  ];
  for (const [suffix, files, message] of cases) {
    await using hub = serveHub(describe(files));
    await using home = await ModelsHome.create();
    const pull = home.open(envOf(hub)).pull(`hf.co/owner/some-model-2507-gguf${suffix}`);
    await assert.rejects(pull, { code: "model_not_found", message });
    assert.equal(hub.requests.length, 1);
    assert.deepEqual(await home.open().list(), []);
  }
});

Deno.test("pull() of what the hub denies says where to accept the licence", async () => {
  for (const status of [401, 403]) {
    await using hub = new RawServer((_, reply) => reply.head(status, { "content-length": 0 }));
    await using home = await ModelsHome.create();
    const message = new RegExp(`answers ${status}: .*https://huggingface\\.co/owner/repo, and set HF_TOKEN`);
    await assert.rejects(home.open(envOf(hub)).pull("hf.co/owner/repo"), { code: "pull_failed", message });
  }
  // The list is open to everybody, the files are not.
  await using hub = serveHub(describe(FILES), (_, reply) => reply.head(403, { "content-length": 0 }));
  await using home = await ModelsHome.create();
  const message = /answers 403: access denied; accept the model's licence at .*\/Owner\/Some-Model-2507-GGUF and set/;
  const pull = home.open(envOf(hub)).pull("hf.co/owner/some-model-2507-gguf");
  await assert.rejects(pull, { code: "pull_failed", message });
});

Deno.test("pull() says why a hub could not be asked", async () => {
  const cases: [(reply: RawReply) => Promise<void>, string, RegExp][] = [
    [(reply) => reply.head(404, { "content-length": 0 }), "model_not_found", /no such repository/],
    [(reply) => reply.head(500, { "content-length": 0 }), "pull_failed", /answers 500/],
    [(reply) => replyWithJson(reply, { error: "x" }), "pull_failed", /something else than a list/],
    [(reply) => replyWithJson(reply, describe(FILES, { id: "../x" })), "pull_failed", /something else than a list/],
    [(reply) => replyWithJson(reply, describe([gguf("a/../../x-Q4_K_M.gguf")])), "pull_failed", /cannot store/],
    [(reply) => reply.head(200, { "content-length": 10 }), "pull_failed", /cannot be asked/],
  ];
  for (const [answer, code, message] of cases) {
    await using hub = new RawServer((_, reply) => answer(reply));
    await using home = await ModelsHome.create();
    await assert.rejects(home.open(envOf(hub)).pull("hf.co/owner/repo"), { code, message });
  }
  await using home = await ModelsHome.create();
  await assert.rejects(home.open().pull("hf.co/owner/repo"), { code: "pull_failed", message: /cannot be asked/ });
  const stopped = home.open().pull("hf.co/owner/repo", { signal: AbortSignal.abort() });
  await assert.rejects(stopped, { code: "request_cancelled" });
});

Deno.test("an interrupted pull of a hub's model is listed, and gone on with by its id", async () => {
  const half = MODEL.length >> 1;
  let isBroken = true;
  await using hub = serveHub(describe(FILES), async (request, reply) => {
    if (!isBroken) return await replyWithFile(request, { reply, bytes: MODEL, etag: '"one"' });
    await reply.head(200, { "content-length": MODEL.length, etag: '"one"' });
    await reply.body(MODEL.subarray(0, half));
  });
  await using home = await ModelsHome.create();
  const options = { ...envOf(hub), policy: { stallTimeoutMs: 300, retryDelaysMs: [] } };
  await assert.rejects(home.open(options).pull("hf.co/owner/some-model-2507-gguf"), { code: "pull_failed" });
  const [entry] = await home.open(options).list();
  assert.deepEqual([entry!.id, entry!.state, entry!.partialBytes], ["some-model-2507-q4_k_m", "available", half]);
  isBroken = false;
  assert.equal((await home.open(options).pull("some-model-2507-q4_k_m")).sha256, hash(MODEL));
  assert.equal(hub.requests.at(-1)!.headers.get("range"), `bytes=${half}-`);
});

Deno.test("a model of another owner that comes to the same id does not replace the first", async () => {
  await using hub = serveHub(describe(FILES));
  await using home = await ModelsHome.create();
  await home.open(envOf(hub)).pull("hf.co/owner/some-model-2507-gguf");
  const other = makeModel(2);
  const theirs = describe([gguf("x-Q4_K_M.gguf", other)], { id: "Other/Some-Model-2507-GGUF" });
  await using second = serveHub(theirs, (request, reply) => replyWithFile(request, { reply, bytes: other }));
  const pull = home.open(envOf(second)).pull("hf.co/other/some-model-2507-gguf");
  await assert.rejects(pull, { code: "model_exists", message: /models remove some-model-2507-q4_k_m/ });
  const [entry] = await home.open().list();
  assert.match(entry!.source!, /^hf:Owner\//);
});

Deno.test("a licence that the hub does not name is read from the file, or stays unknown", async () => {
  for (const [cardData, expected] of [[null, null], [{ license: "other", license_name: "gemma" }, "gemma"]]) {
    await using hub = serveHub(describe(FILES, { cardData, sha: null }));
    await using home = await ModelsHome.create();
    const model = await home.open(envOf(hub)).pull("hf.co/owner/some-model-2507-gguf");
    assert.equal(model.licence, expected);
  }
});

Deno.test("what a hub's model needs is counted from its own header once it is here", () => {
  const manifest = ModelManifest.parse({ ...makeManifest({ sources: ["hf:o/r/x.gguf"] }), licence: null });
  const header: GgufHeader = {
    kind: "embedding",
    architecture: "qwen3",
    name: null,
    quantization: "Q8_0",
    parameters: 596_049_920,
    contextTokensTrained: 32_768,
    chatTemplate: null,
    licence: null,
    attention: { layers: 28, heads: 8, keySize: 128, valueSize: 128, windowTokens: null },
  };
  const complete = completeManifest(manifest, { header, weightsBytes: 639_000_000 });
  assert.equal(complete.kind, "embedding");
  assert.equal(complete.contextTokens, 32_768);
  assert.equal(complete.memoryBytes, 639_000_000 + 8_192 * 112 * 1024 + 700_000_000);
  const unknown = completeManifest(manifest, { header: { ...header, attention: null }, weightsBytes: 639_000_000 });
  assert.deepEqual([unknown.attention, unknown.memoryBytes], [null, null]);
});
