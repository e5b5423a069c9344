import assert from "node:assert/strict";
import { Pulls } from "../../lib/catalog/pulls.ts";
import { postJson, readJson } from "../../tests/fixtures/http.ts";
import { hash, makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";
import { soon, until } from "../../tests/fixtures/processes.ts";
import { type RawReply, RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { createApp } from "./app.ts";
import { PullLine } from "./model_schemas.ts";

const MODEL = makeModel(1);

/** A home whose manifest of `tiny` has its file at `url`, and an app over it. */
async function createTestApp(url: string, { hub = url, file = {} }: { hub?: string; file?: object } = {}) {
  const home = await ModelsHome.create(makeManifest({ sources: [`${url}/tiny.gguf`], ...file }));
  // Only a client that leaves ends a download: patience is longer than any test's.
  const policy = { stallTimeoutMs: 300_000, retryDelaysMs: [1] };
  const library = home.open({ env: { hfEndpoint: hub, hfToken: null }, policy });
  const inference = new ScriptedInference({ model: { id: "tiny" } });
  return { home, library, inference, app: createApp({ inference, library }) };
}

type App = Awaited<ReturnType<typeof createTestApp>>["app"];

const serveModel = () => new RawServer((request, reply) => replyWithFile(request, { reply, bytes: MODEL }));

/** A server that sends half of the model and the rest when it is told to; it tells when its client goes. */
function serveSlowly() {
  const half = Promise.withResolvers<void>();
  const rest = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const server = new RawServer(async (_, reply: RawReply) => {
    await reply.head(200, { "content-length": MODEL.length });
    await reply.body(MODEL.subarray(0, MODEL.length >> 1));
    half.resolve();
    reply.hang().then(gone.resolve, gone.resolve);
    await Promise.race([rest.promise, gone.promise]);
    await reply.body(MODEL.subarray(MODEL.length >> 1));
  });
  return { server, half: half.promise, gone: gone.promise, sendRest: rest.resolve };
}

async function readLines(response: Response): Promise<PullLine[]> {
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trimEnd().split("\n");
  return lines.map((line) => PullLine.strict().parse(JSON.parse(line)));
}

async function readToEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

async function remove(app: App, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  const init = { method: "DELETE", body: JSON.stringify(body), headers };
  return await app.fetch(new Request("http://localhost/api/delete", init));
}

Deno.test("POST /api/pull fetches a model of a manifest and tells how far it is", async () => {
  await using server = serveModel();
  const { app, home, library } = await createTestApp(server.url, { file: { sha256: hash(MODEL) } });
  await using _ = home;
  const lines = await readLines(await postJson(app, "/api/pull", { body: { name: "tiny:latest" } }));
  assert.deepEqual([lines[0], lines.at(-1)], [{ status: "pulling manifest" }, { status: "success" }]);
  const last = lines.findLast(({ total }) => total !== undefined);
  assert.deepEqual(last, {
    status: "pulling tiny.gguf",
    digest: `sha256:${hash(MODEL)}`,
    total: MODEL.length,
    completed: MODEL.length,
  });
  assert.equal((await library.list())[0]!.state, "installed");
  const again = await readLines(await postJson(app, "/api/pull", { body: { model: "TINY" } }));
  assert.deepEqual(again.map(({ status }) => status), ["pulling manifest", "success"]);
  assert.equal(server.requests.length, 1);
});

Deno.test("POST /api/pull without a stream answers when it is done, or fails with a status", async () => {
  await using server = serveModel();
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const response = await postJson(app, "/api/pull", { body: { model: "tiny", stream: false } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await readJson(response), { status: "success" });
  assert.deepEqual(await home.names(), ["tiny.gguf", "tiny.json"]);
});

Deno.test("A pull that fails says why: with a status, or in the last line of a stream", async () => {
  await using server = new RawServer((_, reply) => reply.head(404, { "content-length": 0 }));
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const whole = await postJson(app, "/api/pull", { body: { model: "tiny", stream: false } });
  assert.equal(whole.status, 502);
  assert.match((await readJson(whole)).error, /answers 404/);
  const streamed = await postJson(app, "/api/pull", { body: { model: "tiny" } });
  assert.equal(streamed.status, 200);
  const last = JSON.parse((await streamed.text()).trimEnd().split("\n").at(-1)!);
  assert.deepEqual(Object.keys(last), ["error"]);
  assert.match(last.error, /answers 404/);
});

Deno.test("POST /api/pull takes no address and no unknown name, and lists what can be pulled", async () => {
  await using server = serveModel();
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const names = [
    "llama3",
    `${server.url}/tiny.gguf`,
    "https://huggingface.co/owner/repo",
    `hf:owner/repo`,
    "file:///etc/passwd",
    "../tiny",
    "127.0.0.1/owner/repo",
    "hf.co.example.org/owner/repo",
    "hf.co/owner/../repo",
    "hf.co/owner",
    `hf.co/${server.url}/repo`,
    "x".repeat(10_000),
  ];
  for (const model of names) {
    for (const stream of [true, false]) {
      const response = await postJson(app, "/api/pull", { body: { model, stream } });
      assert.equal(response.status, 404, model);
      const { error } = await readJson(response);
      assert.match(error, /^Cannot pull ".*": manifests tell how to get "tiny"; .* hf\.co\/owner\/repository/);
      assert.ok(error.length < 500);
    }
  }
  assert.equal((await postJson(app, "/api/pull", { body: {} })).status, 400);
  assert.equal(server.requests.length, 0);
});

Deno.test("Who asks for a model that is being pulled follows that pull", async () => {
  const { server, half, sendRest } = serveSlowly();
  await using _server = server;
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const first = (await postJson(app, "/api/pull", { body: { model: "tiny" } })).text();
  await soon(half);
  const second = postJson(app, "/api/pull", { body: { model: "tiny", stream: false } });
  sendRest();
  assert.match(await first, /"success"/);
  assert.equal((await second).status, 200);
  assert.equal(server.requests.length, 1);
});

Deno.test("A name in other letters follows the same pull, and a model that is being pulled cannot be removed", async () => {
  const { server, half, sendRest } = serveSlowly();
  await using _server = server;
  const { home } = await createTestApp(server.url);
  await using _ = home;
  const library = home.open({ policy: { stallTimeoutMs: 300_000, retryDelaysMs: [1] } });
  const pulls = new Pulls(library);
  const { signal } = new AbortController();
  const follow = (name: string) => Array.fromAsync(pulls.follow(name, signal));
  const first = follow("tiny");
  await soon(half);
  const second = follow("TINY");
  const removed = await remove(createApp({ inference: new ScriptedInference(), library }), { model: "tiny" });
  assert.equal(removed.status, 409);
  assert.match((await readJson(removed)).error, /another process is pulling or changing it/);
  sendRest();
  for (const news of await Promise.all([first, second])) assert.equal(news.at(-1)?.type, "progress");
  assert.equal(server.requests.length, 1);
});

Deno.test("A pull goes on when one of those who follow it leaves", async () => {
  const { server, half, sendRest } = serveSlowly();
  await using _server = server;
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const leaving = (await postJson(app, "/api/pull", { body: { model: "tiny" } })).body!.getReader();
  const staying = (await postJson(app, "/api/pull", { body: { model: "tiny" } })).text();
  const read = readToEnd(leaving);
  await soon(half);
  await leaving.cancel();
  await read;
  sendRest();
  assert.match(await soon(staying), /"success"/);
  assert.equal(server.requests.length, 1);
});

Deno.test("A pull ends when the last one who follows it has left, and can be gone on with", async () => {
  const { server, half, gone } = serveSlowly();
  await using _server = server;
  const { app, home } = await createTestApp(server.url);
  await using _ = home;
  const leaving = (await postJson(app, "/api/pull", { body: { model: "tiny" } })).body!.getReader();
  const read = readToEnd(leaving);
  await soon(half);
  await using whole = serveModel();
  await home.describe(makeManifest({ sources: [`${whole.url}/tiny.gguf`] }));
  await leaving.cancel();
  // The pull that nobody follows is still ending; who comes now waits for that and begins anew.
  const lines = await readLines(await postJson(app, "/api/pull", { body: { model: "tiny" } }));
  assert.deepEqual(lines.at(-1), { status: "success" });
  await Promise.all([soon(gone), read]);
});

Deno.test("No more than four models are pulled at the same time", async () => {
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  await using server = new RawServer(async (request, reply) => {
    asked.push(request.path);
    await gate.promise;
    await replyWithFile(request, { reply, bytes: MODEL });
  });
  await using home = await ModelsHome.create();
  const names = ["a", "b", "c", "d", "e"];
  for (const id of names) {
    const files = [{ name: `${id}.gguf`, sizeBytes: null, sha256: null, sources: [`${server.url}/${id}`] }];
    await home.describe({ ...makeManifest({}), id, files });
  }
  const policy = { stallTimeoutMs: 30_000, retryDelaysMs: [] };
  const app = createApp({ inference: new ScriptedInference(), library: home.open({ policy }) });
  const pull = (model: string) => postJson(app, "/api/pull", { body: { model, stream: false } });
  const pulls = names.slice(0, 4).map(pull);
  await until(() => asked.length === 4);
  const fifth = await pull("e");
  assert.equal(fifth.status, 429);
  assert.match((await readJson(fifth)).error, /^4 models are being pulled/);
  gate.resolve();
  for (const response of await Promise.all(pulls)) assert.equal(response.status, 200);
  assert.equal((await pull("e")).status, 200);
});

Deno.test("A model of the hub is pulled by its name there, and answers to that name", async () => {
  const repository = {
    id: "Owner/Some-GGUF",
    sha: "0123456789abcdef0123456789abcdef01234567",
    siblings: ["Q4_K_M", "Q8_0"].map((each) => ({ rfilename: `Some-${each}.gguf`, size: MODEL.length })),
  };
  await using hub = new RawServer(async (request, reply) => {
    if (!request.path.startsWith("/api/")) return await replyWithFile(request, { reply, bytes: MODEL });
    const bytes = new TextEncoder().encode(JSON.stringify(repository));
    await reply.head(200, { "content-length": bytes.length });
    await reply.body(bytes);
  });
  await using home = await ModelsHome.create();
  const inference = new ScriptedInference({ model: { id: "some-q8_0" } });
  const app = createApp({ inference, library: home.open({ env: { hfEndpoint: hub.url, hfToken: null } }) });
  for (const model of ["hf.co/owner/some-gguf:Q8_0", "huggingface.co/Owner/Some-GGUF:q8_0"]) {
    const lines = await readLines(await postJson(app, "/api/pull", { body: { model } }));
    assert.deepEqual(lines.at(-1), { status: "success" });
    const messages = [{ role: "user", content: "hi" }];
    const answer = await postJson(app, "/api/chat", { body: { model, messages, stream: false } });
    assert.partialDeepStrictEqual(await readJson(answer), { model, message: { content: "hi" } });
  }
  const bare = await postJson(app, "/api/show", { body: { model: "hf.co/owner/some-gguf:latest" } });
  assert.equal(bare.status, 200);
  const other = await postJson(app, "/api/show", { body: { model: "hf.co/owner/some-gguf:Q4_K_M" } });
  assert.equal(other.status, 404);
  assert.equal((await remove(app, { model: "hf.co/owner/some-gguf:Q8_0" })).status, 200);
  assert.ok(!(await home.names()).some((name) => name.endsWith(".gguf")));
});

Deno.test("DELETE /api/delete unloads a model and removes its files", async () => {
  await using server = serveModel();
  const { app, home, inference } = await createTestApp(server.url);
  await using _ = home;
  for (const body of [{ model: "tiny" }, { name: "Tiny:latest" }]) {
    await home.pull();
    await inference.keep({ model: "tiny", keepAliveMs: -1 });
    const response = await remove(app, body);
    assert.equal(response.status, 200, await response.clone().text());
    assert.deepEqual(await readJson(response), { status: "success" });
    assert.deepEqual(inference.kept.at(-1), { model: "tiny", keepAliveMs: 0 });
    assert.deepEqual(await home.names(), []);
  }
  await home.pull();
  assert.equal((await remove(app, { model: "tiny" })).status, 200);
  assert.equal(inference.kept.length, 4, "what is not loaded is not unloaded");
});

Deno.test("DELETE /api/delete refuses unknown models and no name", async () => {
  const { app, home } = await createTestApp("http://127.0.0.1:9");
  await using _ = home;
  const unknown = await remove(app, { model: "llama3" });
  assert.equal(unknown.status, 404);
  assert.match((await readJson(unknown)).error, /Unknown model "llama3"/);
  assert.equal((await remove(app, {})).status, 400);
  assert.equal((await app.request("/api/delete", { method: "POST" })).status, 405);
});
