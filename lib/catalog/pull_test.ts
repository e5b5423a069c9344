import assert from "node:assert/strict";
import { hash, makeManifest, makeModel, ModelsHome, waitForBytes } from "../../tests/fixtures/models.ts";
import { type RawReply, type RawRequest, RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";
import { DomainError } from "../errors.ts";
import type { Progress } from "./progress.ts";

const MODEL = makeModel(1);
const OTHER = makeModel(2);
const HALF = MODEL.length >> 1;

/** A server whose answers come in this order; the last one stays. */
function serveInTurn(...answers: ((request: RawRequest, reply: RawReply) => Promise<void>)[]): RawServer {
  let turn = 0;
  return new RawServer((request, reply) => answers[Math.min(turn++, answers.length - 1)]!(request, reply));
}

const whole = (bytes: Uint8Array, etag?: string) => (request: RawRequest, reply: RawReply): Promise<void> =>
  replyWithFile(request, { reply, bytes, ...(etag === undefined ? {} : { etag }) });

const refuse = (status: number) => (_: RawRequest, reply: RawReply): Promise<void> =>
  reply.head(status, { "content-length": 0 });

/** Promises all of `bytes`, sends half and closes the connection. */
const cut = (bytes: Uint8Array, etag: string) => async (_: RawRequest, reply: RawReply): Promise<void> => {
  await reply.head(200, { "content-length": bytes.length, etag });
  await reply.body(bytes.subarray(0, HALF));
};

/** A home whose manifest knows size and checksum of {@linkcode MODEL} and one or more sources. */
function homeFor(...sources: string[]): Promise<ModelsHome> {
  return ModelsHome.create(makeManifest({ sizeBytes: MODEL.length, sha256: hash(MODEL), sources }));
}

async function assertFails(
  work: Promise<unknown>,
  { code, reason }: { code: string; reason: RegExp },
): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof DomainError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("pull() stores a model with its checksum and tells its progress", async () => {
  await using server = serveInTurn(whole(MODEL));
  await using home = await homeFor(`${server.url}/model.gguf`);
  const seen: Progress[] = [];
  const model = await home.open().pull("tiny", { onProgress: (progress) => seen.push(progress) });
  assert.equal(hash(await Deno.readFile(model.path)), hash(MODEL));
  assert.equal(model.sha256, hash(MODEL));
  assert.equal(model.name, "Tiny Model");
  assert.equal(model.licence, "MIT");
  assert.equal(seen.at(-1)!.file, "tiny.gguf");
  assert.equal(seen.at(-1)!.receivedBytes, MODEL.length);
  assert.equal(seen.at(-1)!.totalBytes, MODEL.length);
  assert.deepEqual(await home.names(), ["tiny.gguf", "tiny.json"]);
});

Deno.test("pull() fetches nothing when the model is there", async () => {
  await using server = serveInTurn(whole(MODEL));
  await using home = await homeFor(`${server.url}/model.gguf`);
  await home.pull();
  await Deno.remove(home.path("tiny.json"));
  assert.equal((await home.open().pull("tiny")).sha256, hash(MODEL));
  assert.equal(server.requests.length, 1);
});

Deno.test("pull() goes on by Range and If-Range where a connection was cut", async () => {
  await using server = serveInTurn(cut(MODEL, '"one"'), whole(MODEL, '"one"'));
  await using home = await homeFor(`${server.url}/model.gguf`);
  assert.equal(await home.pull(), hash(MODEL));
  assert.equal(server.requests.length, 2);
  assert.equal(server.requests[1]!.headers.get("range"), `bytes=${HALF}-`);
  assert.equal(server.requests[1]!.headers.get("if-range"), '"one"');
});

Deno.test("pull() gives up a connection on which nothing comes, and goes on with the next", async () => {
  const stall = async (_: RawRequest, reply: RawReply): Promise<void> => {
    await reply.head(200, { "content-length": MODEL.length, etag: '"one"' });
    await reply.body(MODEL.subarray(0, HALF));
    await reply.hang();
  };
  const silent = (_: RawRequest, reply: RawReply): Promise<void> => reply.hang();
  await using server = serveInTurn(stall, silent, whole(MODEL, '"one"'));
  await using home = await homeFor(`${server.url}/model.gguf`);
  const notices: string[] = [];
  assert.equal(await home.pull({ onNotice: (notice) => notices.push(notice) }), hash(MODEL));
  assert.equal(notices.length, 2);
  assert.match(notices[0]!, /nothing came for 0.3 seconds/);
});

Deno.test("pull() does not count attempts that bring a megabyte and more", async () => {
  const large = makeModel(3, 5_000);
  await using server = new RawServer(async (request, reply) => {
    const start = Number(/\d+/.exec(request.headers.get("range") ?? "0"));
    const range = `bytes ${start}-${large.length - 1}/${large.length}`;
    const more = { "content-length": large.length - start, etag: '"one"' };
    await reply.head(start > 0 ? 206 : 200, start > 0 ? { ...more, "content-range": range } : more);
    await reply.body(large.subarray(start, start + 1_200_000)); // and the connection ends
  });
  await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/model.gguf`] }));
  assert.equal(await home.pull({}, { policy: { stallTimeoutMs: 2_000, retryDelaysMs: [1] } }), hash(large));
  assert.equal(server.requests.length, 5);
});

Deno.test("pull() is patient with a slow server as long as something comes", async () => {
  await using server = serveInTurn(async (_, reply) => {
    await reply.head(200, { "content-length": MODEL.length });
    for (let start = 0; start < MODEL.length; start += 60_000) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await reply.body(MODEL.subarray(start, start + 60_000));
    }
  });
  await using home = await homeFor(`${server.url}/model.gguf`);
  // Five pieces take longer than the wait for each may be.
  const policy = { stallTimeoutMs: 1_200, retryDelaysMs: [] };
  assert.equal(await home.pull({}, { policy }), hash(MODEL));
  assert.equal(server.requests.length, 1);
});

Deno.test("pull() starts over when a server ignores Range", async () => {
  const always = async (_: RawRequest, reply: RawReply): Promise<void> => {
    await reply.head(200, { "content-length": MODEL.length });
    await reply.body(MODEL);
  };
  await using server = serveInTurn(cut(MODEL, '"one"'), always);
  await using home = await homeFor(`${server.url}/model.gguf`);
  assert.equal(await home.pull(), hash(MODEL));
});

Deno.test("pull() never stitches a file that changed between attempts", async () => {
  const stubborn = async (request: RawRequest, reply: RawReply): Promise<void> => {
    // Honours Range and ignores If-Range, as some servers do.
    request.headers.delete("if-range");
    await replyWithFile(request, { reply, bytes: OTHER, etag: '"two"' });
  };
  for (const second of [whole(OTHER, '"two"'), stubborn]) {
    await using server = serveInTurn(cut(MODEL, '"one"'), second);
    await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/model.gguf`] }));
    assert.equal(await home.pull(), hash(OTHER));
  }
});

Deno.test("pull() does not go on with a part when nothing says that the file is the same", async () => {
  const cutWithoutTag = async (_: RawRequest, reply: RawReply): Promise<void> => {
    await reply.head(200, { "content-length": MODEL.length });
    await reply.body(MODEL.subarray(0, HALF));
  };
  await using server = serveInTurn(cutWithoutTag, whole(OTHER));
  await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/model.gguf`] }));
  assert.equal(await home.pull(), hash(OTHER));
  assert.equal(server.requests[1]!.headers.get("range"), null);
});

Deno.test("pull() discards wrong bytes, says so and takes the next source", async () => {
  await using server = new RawServer((request, reply) =>
    replyWithFile(request, { reply, bytes: request.path === "/wrong" ? OTHER : MODEL })
  );
  await using home = await homeFor(`${server.url}/wrong`, `${server.url}/right`);
  const notices: string[] = [];
  assert.equal(await home.pull({ onNotice: (notice) => notices.push(notice) }), hash(MODEL));
  assert.match(notices[0]!, new RegExp(`/wrong: its SHA-256 is ${hash(OTHER)} and should be ${hash(MODEL)}; it was`));
});

Deno.test("pull() keeps nothing when the only source serves wrong bytes", async () => {
  await using server = serveInTurn(whole(OTHER));
  await using home = await homeFor(`${server.url}/model.gguf`);
  await assertFails(home.pull(), { code: "pull_failed", reason: /SHA-256 is .* it was discarded/ });
  assert.deepEqual(await home.names(), []);
});

Deno.test("pull() starts over once when the part of an earlier pull held wrong bytes", async () => {
  await using server = serveInTurn(whole(MODEL, '"one"'));
  const url = `${server.url}/model.gguf`;
  await using home = await homeFor(url);
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("tiny.gguf.part"), OTHER.subarray(0, HALF));
  const record = { url, validator: '"one"', totalBytes: MODEL.length, sha256: hash(MODEL) };
  await Deno.writeTextFile(home.path("tiny.gguf.part.json"), JSON.stringify(record));
  assert.equal(await home.pull(), hash(MODEL));
  assert.deepEqual(server.requests.map((request) => request.headers.get("range")), [`bytes=${HALF}-`, null]);
});

Deno.test("pull() refuses lengths that are not the manifest's before it fetches the bytes", async () => {
  await using server = serveInTurn(async (_, reply) => {
    await reply.head(200, { "content-length": MODEL.length + 1 });
    await reply.hang();
  });
  await using home = await homeFor(`${server.url}/model.gguf`);
  const reason = new RegExp(`has ${MODEL.length + 1} bytes and should have ${MODEL.length}`);
  await assertFails(home.pull(), { code: "pull_failed", reason });
});

Deno.test("pull() stops a server that sends more than it may", async () => {
  await using server = serveInTurn(async (_, reply) => {
    await reply.head(200);
    for (;;) await reply.body(OTHER); // without end and without a length
  });
  await using home = await homeFor(`${server.url}/model.gguf`);
  await assertFails(home.pull(), { code: "pull_failed", reason: /sends more than the \d+ bytes/ });
  assert.deepEqual(await home.names(), []);
});

Deno.test("pull() fails when a server promises more than it sends, and keeps what came", async () => {
  await using server = serveInTurn(cut(MODEL, '"one"'), async (_, reply) => {
    const rest = MODEL.length - HALF;
    const range = `bytes ${HALF}-${MODEL.length - 1}/${MODEL.length}`;
    await reply.head(206, { "content-length": rest, "content-range": range, etag: '"one"' });
  });
  await using home = await homeFor(`${server.url}/model.gguf`);
  await assertFails(home.pull(), { code: "pull_failed", reason: /connection/ });
  assert.equal(server.requests.length, 4);
  assert.equal((await Deno.stat(home.path("tiny.gguf.part"))).size, HALF);
  const [entry] = await home.open().list();
  assert.equal(entry!.state, "available");
  assert.equal(entry!.partialBytes, HALF);
});

Deno.test("pull() tries a busy server again, and a missing file not", async () => {
  await using server = serveInTurn(refuse(500), refuse(503), refuse(429), whole(MODEL));
  await using home = await homeFor(`${server.url}/model.gguf`);
  assert.equal(await home.pull(), hash(MODEL));
  for (const status of [400, 401, 403, 404, 410]) {
    await using refusing = serveInTurn(refuse(status));
    await using other = await homeFor(`${refusing.url}/a`, `${refusing.url}/b`);
    await assertFails(other.pull(), { code: "pull_failed", reason: new RegExp(`/a: it answers ${status}.*/b: it`) });
    assert.equal(refusing.requests.length, 2);
  }
});

Deno.test("pull() gives up a server that stays broken and takes the next source", async () => {
  await using server = new RawServer((request, reply) =>
    request.path === "/broken" ? refuse(500)(request, reply) : whole(MODEL)(request, reply)
  );
  await using home = await homeFor(`${server.url}/broken`, "http://127.0.0.1:9/nobody", `${server.url}/model.gguf`);
  assert.equal(await home.pull(), hash(MODEL));
  assert.equal(server.requests.length, 5);
});

Deno.test("pull() says both numbers when the disk is too small, and fetches nothing", async () => {
  await using server = serveInTurn(whole(MODEL));
  await using home = await homeFor(`${server.url}/model.gguf`);
  const measureFreeBytes = (): Promise<number> => Promise.resolve(100_000);
  const reason = /needs 67\.\d MB and 100 kB are free/;
  await assertFails(home.pull({}, { measureFreeBytes }), { code: "disk_full", reason });
  assert.equal(server.requests.length, 0);
  // Without a size in the manifest, the server's answer tells it.
  await home.describe(makeManifest({ sources: [`${server.url}/model.gguf`] }));
  await assertFails(home.pull({}, { measureFreeBytes }), { code: "disk_full", reason });
  assert.deepEqual(await home.names(), []);
});

Deno.test("pull() keeps nothing that native code could not read", async () => {
  const hostile = MODEL.slice();
  hostile[15] = 0xff; // the count of tensors
  await using server = serveInTurn(whole(hostile));
  await using home = await ModelsHome.create(makeManifest({ sources: [`${server.url}/model.gguf`] }));
  await assertFails(home.pull(), { code: "invalid_model_file", reason: /more than can be in it/ });
  assert.deepEqual(await home.names(), []);
});

Deno.test("pull() never overwrites a file that somebody put in the model's place", async () => {
  await using server = serveInTurn(whole(MODEL));
  await using home = await homeFor(`${server.url}/model.gguf`);
  await Deno.mkdir(home.modelsDir);
  await Deno.writeFile(home.path("tiny.gguf"), OTHER);
  await assertFails(home.pull(), { code: "model_exists", reason: /models remove tiny/ });
  assert.equal(hash(await Deno.readFile(home.path("tiny.gguf"))), hash(OTHER));
});

Deno.test("pull() stopped by its caller leaves a part from which the next one goes on", async () => {
  const stop = new AbortController();
  await using server = serveInTurn(async (_, reply) => {
    await reply.head(200, { "content-length": MODEL.length, etag: '"one"' });
    await reply.body(MODEL.subarray(0, HALF));
    await reply.hang();
  }, whole(MODEL, '"one"'));
  await using home = await homeFor(`${server.url}/model.gguf`);
  const stopped = home.pull({
    signal: stop.signal,
    onProgress: (progress) => progress.receivedBytes > 0 && stop.abort(),
  });
  await assertFails(stopped, { code: "request_cancelled", reason: /pull again to go on/ });
  const partBytes = (await Deno.stat(home.path("tiny.gguf.part"))).size;
  assert.ok(partBytes > 0);
  assert.equal(await home.pull(), hash(MODEL));
  assert.equal(server.requests[1]!.headers.get("range"), `bytes=${partBytes}-`);
});

Deno.test("pull() of a killed process is gone on with, and two processes never pull the same file", async () => {
  const half = Promise.withResolvers<void>();
  await using server = serveInTurn(async (_, reply) => {
    await reply.head(200, { "content-length": MODEL.length, etag: '"one"' });
    await reply.body(MODEL.subarray(0, HALF));
    half.resolve();
    await reply.hang();
  }, whole(MODEL, '"one"'));
  await using home = await homeFor(`${server.url}/model.gguf`);
  const script = new URL("../../tests/fixtures/pull_process.ts", import.meta.url).pathname;
  const args = ["run", "-A", script, home.manifestsDir, home.modelsDir];
  const child = new Deno.Command(Deno.execPath(), { args, stdout: "null", stderr: "null" }).spawn();
  await half.promise;
  await assertFails(home.pull(), { code: "model_busy", reason: /another process is pulling/ });
  await waitForBytes(home.path("tiny.gguf.part"), HALF);
  child.kill("SIGKILL");
  await child.status;
  assert.equal(await home.pull(), hash(MODEL));
  assert.equal(server.requests[1]!.headers.get("range"), `bytes=${HALF}-`);
});

Deno.test("pull() puts parts together, and goes on with the part that was interrupted", async () => {
  const ends = [100_000, 200_001, MODEL.length];
  const pieces = ends.map((end, index) => MODEL.subarray(ends[index - 1] ?? 0, end));
  let broken = true;
  await using server = new RawServer(async (request, reply) => {
    const index = Number(request.path.slice(1));
    if (index === 1 && broken) return await refuse(404)(request, reply);
    await replyWithFile(request, { reply, bytes: pieces[index]! });
  });
  const parts = pieces.map((piece, index) => (
    { sizeBytes: piece.length, sha256: hash(piece), sources: [`${server.url}/${index}`] }
  ));
  await using home = await ModelsHome.create(makeManifest({ sizeBytes: MODEL.length, sha256: hash(MODEL), parts }));
  await assertFails(home.pull(), { code: "pull_failed", reason: /part 2 of 3 of tiny.gguf: .*it answers 404/ });
  // As if it had been killed while the second part was appended.
  await Deno.writeFile(home.path("tiny.gguf.part"), OTHER.subarray(0, 50_000), { append: true });
  broken = false;
  assert.equal(await home.pull(), hash(MODEL));
  assert.deepEqual(server.requests.map((request) => request.path), ["/0", "/1", "/1", "/2"]);
  assert.deepEqual(await home.names(), ["tiny.gguf", "tiny.json"]);
});

Deno.test("pull() copies a file: source and discards a wrong one", async () => {
  await using home = await ModelsHome.create();
  const path = `${home.root}/source.gguf`;
  await Deno.writeFile(path, MODEL);
  await home.describe(
    makeManifest({ sha256: hash(MODEL), sources: [`file://${home.root}/none.gguf`, `file://${path}`] }),
  );
  assert.equal(await home.pull(), hash(MODEL));
  await home.open().remove("tiny");
  await Deno.writeFile(path, OTHER);
  await assertFails(home.pull(), { code: "pull_failed", reason: /no such file.*SHA-256/ });
});
