import assert from "node:assert/strict";
import { hash, makeManifest, makeModel, ModelsHome } from "../../tests/fixtures/models.ts";
import { RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";

const MODEL = makeModel(1);
const OTHER = makeModel(2);
const SOURCE = "hf:owner/repo@v1/folder/model.gguf";

/** A store of bytes that is not the hub. */
function serveBytes(bytes: Uint8Array): RawServer {
  return new RawServer((request, reply) => replyWithFile(request, { reply, bytes, etag: '"stored"' }));
}

/** A hub that sends its readers elsewhere and names what they will find. */
function serveHub(store: RawServer, headers: Record<string, string | number>): RawServer {
  return new RawServer((_, reply) =>
    reply.head(302, { location: `${store.url}/blob?signature=x`, "content-length": 0, ...headers })
  );
}

const linkedTo = (bytes: Uint8Array) => ({ "x-linked-size": bytes.length, "x-linked-etag": `"${hash(bytes)}"` });

Deno.test("a hub's file is found under its revision, and the token stays with the hub", async () => {
  await using store = serveBytes(MODEL);
  await using hub = serveHub(store, linkedTo(MODEL));
  await using home = await ModelsHome.create(makeManifest({ sources: [SOURCE] }));
  assert.equal(await home.pull({}, { env: { hfEndpoint: hub.url, hfToken: "secret" } }), hash(MODEL));
  assert.equal(hub.requests[0]!.path, "/owner/repo/resolve/v1/folder/model.gguf");
  assert.equal(hub.requests[0]!.headers.get("authorization"), "Bearer secret");
  assert.equal(store.requests[0]!.headers.get("authorization"), null);
});

Deno.test("the token does not come back when a redirect returns to the hub by way of another host", async () => {
  await using hub: RawServer = new RawServer(async (request, reply) => {
    if (request.path === "/back") return await replyWithFile(request, { reply, bytes: MODEL });
    await reply.head(307, { location: `${detour.url}/x`, "content-length": 0, ...linkedTo(MODEL) });
  });
  await using detour = new RawServer((_, reply) => reply.head(302, { location: `${hub.url}/back` }));
  await using home = await ModelsHome.create(makeManifest({ sources: [SOURCE] }));
  assert.equal(await home.pull({}, { env: { hfEndpoint: hub.url, hfToken: "secret" } }), hash(MODEL));
  assert.deepEqual(hub.requests.map((request) => request.headers.get("authorization")), ["Bearer secret", null]);
});

Deno.test("no other source is given the hub's token", async () => {
  await using store = serveBytes(MODEL);
  await using home = await ModelsHome.create(makeManifest({ sources: [`${store.url}/model.gguf`] }));
  await home.pull({}, { env: { hfEndpoint: store.url, hfToken: "secret" } });
  assert.equal(store.requests[0]!.headers.get("authorization"), null);
});

Deno.test("the checksum that a hub names is demanded of the bytes when the manifest has none", async () => {
  await using store = serveBytes(OTHER);
  await using hub = serveHub(store, { ...linkedTo(MODEL) });
  await using home = await ModelsHome.create(makeManifest({ sources: [SOURCE] }));
  const pull = home.pull({}, { env: { hfEndpoint: hub.url, hfToken: null } });
  await assert.rejects(pull, { code: "pull_failed", message: new RegExp(`should be ${hash(MODEL)}`) });
  assert.deepEqual(await home.names(), []);
});

Deno.test("headers that another host than the hub adds are not believed", async () => {
  await using store = new RawServer(async (_, reply) => {
    await reply.head(200, { "content-length": OTHER.length, ...linkedTo(OTHER) });
    await reply.body(OTHER);
  });
  await using hub = serveHub(store, linkedTo(MODEL));
  await using home = await ModelsHome.create(makeManifest({ sources: [SOURCE] }));
  const pull = home.pull({}, { env: { hfEndpoint: hub.url, hfToken: null } });
  await assert.rejects(pull, { code: "pull_failed", message: new RegExp(`should be ${hash(MODEL)}`) });
});

Deno.test("nothing is fetched when the hub has another file than the manifest", async () => {
  await using store = serveBytes(OTHER);
  await using hub = serveHub(store, linkedTo(OTHER));
  await using home = await ModelsHome.create(makeManifest({ sha256: hash(MODEL), sources: [SOURCE] }));
  const pull = home.pull({}, { env: { hfEndpoint: hub.url, hfToken: null } });
  await assert.rejects(pull, { code: "pull_failed", message: new RegExp(`SHA-256 is ${hash(OTHER)} and should be`) });
  assert.deepEqual(await home.names(), []);
});

Deno.test("a hub that denies access is answered with what to do", async () => {
  await using hub = new RawServer((_, reply) => reply.head(401, { "content-length": 0 }));
  await using home = await ModelsHome.create(makeManifest({ sources: [SOURCE] }));
  const pull = home.pull({}, { env: { hfEndpoint: hub.url, hfToken: null } });
  await assert.rejects(pull, { code: "pull_failed", message: /answers 401: access denied; accept .* set HF_TOKEN/ });
});

Deno.test("redirects that never end, or lead to no web address, are a failure of the source", async () => {
  await using loop: RawServer = new RawServer((_, reply) =>
    reply.head(302, { location: "/again", "content-length": 0 })
  );
  await using file = new RawServer((_, reply) => reply.head(302, { location: "file:///etc/passwd" }));
  await using home = await ModelsHome.create(makeManifest({ sources: [`${loop.url}/a`, `${file.url}/b`] }));
  await assert.rejects(home.pull(), { code: "pull_failed", message: /more than 10 times.*no web address/ });
  assert.equal(loop.requests.length, 11);
});

Deno.test("a redirect from https to http is refused", async () => {
  const asked: string[] = [];
  const fake = (url: string | URL | Request): Promise<Response> => {
    asked.push(String(url));
    return Promise.resolve(new Response(null, { status: 302, headers: { location: "http://127.0.0.1:9/x" } }));
  };
  await using home = await ModelsHome.create(makeManifest({ sources: ["https://models.example/tiny.gguf"] }));
  await assert.rejects(home.pull({}, { fetch: fake }), { code: "pull_failed", message: /from https to http/ });
  assert.deepEqual(asked, ["https://models.example/tiny.gguf"]);
});
