import assert from "node:assert/strict";
import { join } from "node:path";
import { hash, makeModel, ModelsHome, waitForBytes } from "../../tests/fixtures/models.ts";
import { RawServer, replyWithFile } from "../../tests/fixtures/raw_server.ts";

const MODEL = makeModel(1);
const MAIN = join(import.meta.dirname!, "main.ts");

/** The command line with its models in a home; the environment is nothing but what is given. */
function start(home: ModelsHome, args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
  const { HOME = "", PATH = "", DENO_DIR = "" } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-A", MAIN, ...args],
    clearEnv: true,
    env: { HOME, PATH, ...(DENO_DIR === "" ? {} : { DENO_DIR }), NO_COLOR: "1", ROOKERY_DATA: home.root, ...env },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function finish(child: Deno.ChildProcess): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

const run = (home: ModelsHome, ...args: string[]) => finish(start(home, args));

Deno.test("models says how it is used, and what it did not understand", async () => {
  await using home = await ModelsHome.create();
  const help = await run(home, "--help");
  assert.equal(help.code, 0);
  assert.match(help.out, /^Usage: deno task models/);
  for (
    const args of [["fetch"], ["pull"], ["pull", "a", "b"], ["list", "--id", "x"], ["list", "--what"], ["import"], [
      "recommend",
      "x",
    ], [
      "recommend",
      "--for",
      "x",
    ], ["list", "--json"]]
  ) {
    const { code, out, err } = await run(home, ...args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(out, "");
    assert.match(err, /Usage: deno task models/);
  }
});

Deno.test("models imports, lists, verifies and removes a file", async () => {
  await using home = await ModelsHome.create();
  const path = join(home.root, "Some Model.gguf");
  await Deno.writeFile(path, MODEL);
  const imported = await run(home, "import", path, "--id", "mine");
  assert.equal(imported.code, 0, imported.err);
  assert.match(imported.out, /100 %.*\n"mine" is here: /);
  const again = await run(home, "import", path, "--id", "mine");
  assert.equal(again.code, 1);
  assert.match(again.err, /there is a model of that id; .*--force/);

  const listed = await run(home, "list");
  assert.equal(listed.code, 0);
  assert.match(listed.out, /^mine +installed +263 kB +Tiny, Q4_K_M, 2048 tokens, from \/.*Some Model\.gguf$/m);
  assert.match(listed.out, /^smollm2-135m +available +98\.4 MB/m);

  assert.match((await run(home, "verify", "mine")).out, new RegExp(`mine: intact, SHA-256 ${hash(MODEL)}`));
  const flipped = MODEL.slice();
  flipped[200_000]! ^= 1;
  await Deno.writeFile(home.path("mine.gguf"), flipped);
  const verified = await run(home, "verify");
  assert.equal(verified.code, 1);
  assert.match(
    verified.err,
    new RegExp(`mine: changed \\(mine\\.gguf\\)\\. Its SHA-256 is ${hash(flipped)} and should be`),
  );

  const removed = await run(home, "remove", "mine");
  assert.equal(removed.code, 0);
  assert.match(removed.out, /Removed "mine": 263 kB are free again/);
  assert.deepEqual(await home.names(), []);
  assert.equal((await run(home, "remove", "mine")).code, 1);
});

Deno.test("models pull names what can be pulled when the id is unknown", async () => {
  await using home = await ModelsHome.create();
  const { code, err } = await run(home, "pull", "gpt-4");
  assert.equal(code, 1);
  assert.match(err, /Cannot pull "gpt-4": .*"smollm2-135m"/);
});

Deno.test({
  name: "models pull ends on Ctrl-C, also when it comes twice, and leaves a part to go on with",
  ignore: Deno.build.os === "windows",
}, async () => {
  const totalBytes = 2_019_377_696;
  const sent = Promise.withResolvers<void>();
  await using hub = new RawServer(async (_, reply) => {
    await reply.head(200, { "content-length": totalBytes, etag: '"one"' });
    await reply.body(new Uint8Array(1_000_000));
    sent.resolve();
    await reply.hang();
  });
  await using home = await ModelsHome.create();
  const child = start(home, ["pull", "llama-3.2-3b-instruct"], { HF_ENDPOINT: hub.url });
  await sent.promise;
  const part = home.path("llama-3.2-3b-instruct.gguf.part");
  await waitForBytes(part, 1_000_000);
  child.kill("SIGINT");
  child.kill("SIGINT");
  const { code, err } = await finish(child);
  assert.equal(code, 130);
  assert.match(err, /was stopped; pull again to go on/);
  assert.equal((await Deno.stat(part)).size, 1_000_000);
  assert.match((await run(home, "list")).out, /^llama-3\.2-3b-instruct +unfinished/m);
});

Deno.test("models pulls a model by its name on a hub, and lists it with its licence", async () => {
  const repository = {
    id: "Owner/Tiny-GGUF",
    cardData: { license: "mit" },
    siblings: [{ rfilename: "Tiny-Q8_0.gguf", size: MODEL.length, lfs: { sha256: hash(MODEL) } }],
  };
  await using hub = new RawServer(async (request, reply) => {
    if (!request.path.startsWith("/api/")) return await replyWithFile(request, { reply, bytes: MODEL });
    const bytes = new TextEncoder().encode(JSON.stringify(repository));
    await reply.head(200, { "content-length": bytes.length });
    await reply.body(bytes);
  });
  await using home = await ModelsHome.create();
  const pulled = await finish(start(home, ["pull", "hf.co/owner/tiny-gguf"], { HF_ENDPOINT: hub.url }));
  assert.equal(pulled.code, 0, pulled.err);
  assert.match(pulled.out, /"tiny-q8_0" is here: /);
  assert.match(pulled.out, /licence: mit/);
  assert.match(
    (await run(home, "list")).out,
    /^tiny-q8_0 +installed +263 kB +Tiny Q8_0, Q4_K_M, 2048 tokens, mit, from hf\.co\/Owner\/Tiny-GGUF$/m,
  );
});

Deno.test("models recommend tells what fits this machine, and what to do next", async () => {
  await using home = await ModelsHome.create();
  const { code, out } = await run(home, "recommend", "--for", "copilot");
  assert.equal(code, 0);
  assert.match(out, /^This machine has [\d.]+ GB of memory, [\d.]+ GB of it free now\.$/m);
  assert.match(out, /^smollm2-135m +no +\? +98\.4 MB +Apache-2\.0 +was trained for 8,192 tokens; 32,768 are needed$/m);
  const json = JSON.parse((await run(home, "recommend", "--json")).out);
  assert.equal(json.purpose, "chat");
  const ids: string[] = json.models.map(({ id }: { id: string }) => id);
  assert.ok(ids.includes("qwen3-8b") && !ids.includes("all-minilm-l6-v2"), ids.join());
});
