import assert from "node:assert/strict";
import { join } from "node:path";
import { makeManifest, ModelsHome } from "../../tests/fixtures/models.ts";
import { SourceText } from "../contracts/manifest.ts";
import { readManifests } from "./manifests.ts";
import { parseSource, resolveHubUrl } from "./sources.ts";

const SHIPPED = join(import.meta.dirname!, "../../models");

Deno.test("the manifests that Rookery ships are valid, and every source of theirs is understood", async () => {
  const manifests = await readManifests(SHIPPED);
  assert.deepEqual(manifests.map((manifest) => manifest.id), [
    "all-minilm-l6-v2",
    "gemma-3-270m",
    "gemma-4-e4b-it",
    "gpt-oss-20b",
    "llama-3.2-3b-instruct",
    "qwen3-4b-instruct-2507",
    "qwen3-8b",
    "qwen3-coder-30b-a3b-instruct",
    "smollm2-135m",
  ]);
  for (const { id, kind, licence, contextTokens, memoryBytes, attention, parameters, goodAt } of manifests) {
    // What people decide by is known of each.
    assert.ok(licence && contextTokens && memoryBytes && parameters, id);
    assert.ok(parameters.active <= parameters.total, id);
    assert.equal(attention !== null && goodAt.length > 0, kind === "chat", id);
  }
  for (const file of manifests.flatMap(({ files }) => files)) {
    const pieces = file.parts ?? [{ sources: file.sources ?? [] }];
    for (const source of pieces.flatMap((piece) => piece.sources)) assert.ok(parseSource(source).kind);
    const partBytes = file.parts?.reduce((sum, part) => sum + part.sizeBytes, 0);
    if (partBytes !== undefined) assert.equal(partBytes, file.sizeBytes);
  }
});

Deno.test("a manifest that is wrong is named with what is wrong in it", async () => {
  const sources = ["https://models.example/x"];
  const part = { sizeBytes: 1, sha256: null, sources };
  const cases: [Record<string, unknown>, RegExp][] = [
    [makeManifest({ sources: [] }), /tiny\.json: .*sources/],
    [makeManifest({}), /needs either sources or parts/],
    [makeManifest({ sources, parts: [part, part] }), /needs either sources or parts/],
    [makeManifest({ parts: [part] }), /parts/],
    [makeManifest({ sources: ["ftp://x/y"] }), /must be hf:/],
    [makeManifest({ sources, sha256: "ABC" }), /64 hexadecimal digits/],
    [makeManifest({ sources, name: "other.gguf" }), /must be <id>\.gguf/],
    [{ ...makeManifest({ sources }), surprise: 1 }, /surprise/],
  ];
  for (const [manifest, reason] of cases) {
    await using home = await ModelsHome.create(manifest);
    await assert.rejects(home.open().list(), { code: "invalid_config", message: reason });
  }
});

Deno.test("a manifest must be JSON and named as its id", async () => {
  await using home = await ModelsHome.create();
  await Deno.writeTextFile(join(home.manifestsDir, "tiny.json"), "{");
  await assert.rejects(home.open().list(), { code: "invalid_config", message: /tiny\.json/ });
  const manifest = makeManifest({ sources: ["https://models.example/x"] });
  await Deno.writeTextFile(join(home.manifestsDir, "tiny.json"), JSON.stringify({ ...manifest, id: "other" }));
  await assert.rejects(home.open().list(), { code: "invalid_config" });
});

Deno.test("sources are read into their pieces", () => {
  assert.deepEqual(parseSource("hf:owner/repo.x/a/b.gguf"), {
    kind: "hub",
    owner: "owner",
    repository: "repo.x",
    revision: "main",
    path: "a/b.gguf",
  });
  const pinned = parseSource("hf:owner/repo@abc123/b.gguf");
  assert.ok(pinned.kind === "hub");
  assert.equal(resolveHubUrl(pinned, "https://hub.example"), "https://hub.example/owner/repo/resolve/abc123/b.gguf");
  assert.deepEqual(parseSource("pypi:some-package==1.0.post1!some/file.gguf"), {
    kind: "pypi",
    package: "some-package",
    version: "1.0.post1",
    member: "some/file.gguf",
  });
  assert.deepEqual(parseSource("https://x.example/a?b"), { kind: "http", url: "https://x.example/a?b" });
  assert.deepEqual(parseSource("file:///a/b.gguf"), { kind: "file", url: "file:///a/b.gguf" });
});

Deno.test("sources that could reach elsewhere than they say are refused", () => {
  const refused = [
    "hf:owner/file.gguf",
    "hf:owner/repo/../../x",
    "hf:owner/repo/a//b",
    "hf:owner/repo@../x/a.gguf",
    "pypi:--index-url==1!x",
    "pypi:package!x",
    "pypi:package==1!../x",
    "pypi:package==1 --pre!x",
    "http://models.example/x",
    "http://127.0.0.1.example.org/x",
    "http://127.0.0.1:80@example.org/x",
    "file://host/x",
    "file:relative",
    "/absolute",
    "",
  ];
  for (const text of refused) assert.equal(SourceText.safeParse(text).success, false, text);
  for (const text of ["http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:1/x", "https://x.example/y"]) {
    assert.equal(SourceText.safeParse(text).success, true, text);
  }
});
