import assert from "node:assert/strict";
import { createWorkerApp } from "../../lib/worker/app.ts";
import { drawToken } from "../../lib/worker/token.ts";
import { postJson, readBytes, readJson, serve } from "../../tests/fixtures/http.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { ScriptedWorker } from "../../tests/fixtures/worker_inference.ts";
import { findStreamViolations } from "../../tests/clients/copilot_stream.ts";
import { type App, createFunction } from "./create_function.ts";
import { createStandalone } from "./standalone.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const NEAR = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;
const FAR = { remoteAddr: { transport: "tcp", hostname: "192.168.1.7", port: 1 } } as const;

/** One function under `deno serve`, with a data folder of its own. */
class ServedFunction implements AsyncDisposable {
  private constructor(readonly url: string, readonly data: string, private readonly child: Deno.ChildProcess) {}

  static async start(name: string): Promise<ServedFunction> {
    const data = await Deno.makeTempDir();
    await Deno.mkdir(`${data}/run`);
    const entry = new URL(`../${name}/index.ts`, import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["serve", "-A", "--no-prompt", "--host", "127.0.0.1", "--port", "0", `--config=${CONFIG}`, entry],
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: Deno.env.get("HOME") ?? "", ROOKERY_DATA: data },
      clearEnv: true,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let text = "";
    const listening = Promise.withResolvers<string>();
    (async () => {
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        text += part;
        const url = /Listening on (http:\/\/127\.0\.0\.1:\d+)\//.exec(text)?.[1];
        if (url !== undefined) listening.resolve(url);
      }
      listening.reject(new Error(`deno serve ended: ${text}`));
    })();
    return new ServedFunction(await listening.promise, data, child);
  }

  async announceWorker(address: { url: string; token: string }): Promise<void> {
    await Deno.writeTextFile(`${this.data}/run/worker.json`, JSON.stringify(address));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
    await Deno.remove(this.data, { recursive: true });
  }
}

function startWorker(id: string) {
  const token = drawToken();
  const server = serve(createWorkerApp({ inference: new ScriptedWorker({ model: { id } }), token }));
  return { address: { url: server.url, token }, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

Deno.test("chat-completions runs alone: it finds the worker, and the next one after it was started again", async () => {
  await using served = await ServedFunction.start("chat-completions");
  const ask = (changes: object) =>
    fetch(`${served.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], ...changes }),
      headers: { "content-type": "application/json" },
    });

  const early = await ask({ model: "first" });
  assert.equal(early.status, 503);
  assert.match((await readJson(early)).error.message, /start Rookery with `deno task start`/);

  for (const id of ["first", "second"]) {
    await using worker = startWorker(id);
    await served.announceWorker(worker.address);
    const whole = await ask({ model: id });
    assert.equal(whole.status, 200);
    assert.equal((await readJson(whole)).choices[0].message.content, "hello");
    const streamed = await ask({ model: id, stream: true });
    assert.deepEqual(findStreamViolations(await readBytes(streamed), { usage: false }), []);
  }
  const late = await ask({ model: "second" });
  assert.equal(late.status, 502);
  assert.equal((await readJson(late)).error.code, "engine_gone");
});

for (const [name, path] of [["models", "/v1/models"], ["ollama", "/api/tags"], ["status", "/status"]] as const) {
  Deno.test(`${name} runs alone`, async () => {
    await using served = await ServedFunction.start(name);
    await using worker = startWorker("first");
    await served.announceWorker(worker.address);
    const response = await fetch(`${served.url}${path}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.match(await response.text(), /"first"/);
  });
}

const POSTS: Record<string, [path: string, body: object]> = {
  completions: ["/v1/completions", { prompt: "hello" }],
  responses: ["/v1/responses", { input: "hello" }],
  tokenize: ["/v1/tokenize", { prompt: "hello" }],
};

for (const [name, [path, body]] of Object.entries(POSTS)) {
  Deno.test(`${name} runs alone`, async () => {
    await using served = await ServedFunction.start(name);
    await using worker = startWorker("first");
    await served.announceWorker(worker.address);
    const response = await fetch(`${served.url}${path}`, {
      method: "POST",
      body: JSON.stringify({ model: "first", ...body }),
      headers: { "content-type": "application/json" },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.match(await response.text(), /"text":"hello"|"count":5/);
  });
}

Deno.test("A function that runs alone without a key answers this machine only", async () => {
  const createApp = (): App => createFunction("test").get("/", (c) => c.text("hello")) as App;
  const connect = () => new ScriptedInference();
  const open = createStandalone(createApp, { env: {}, connect });
  assert.equal((await open.fetch(new Request("http://localhost/"), NEAR)).status, 200);
  const refused = await open.fetch(new Request("http://localhost/"), FAR);
  assert.equal(refused.status, 403);
  assert.match((await readJson(refused)).error.message, /ROOKERY_API_KEY/);
  const keyed = createStandalone(createApp, { env: { ROOKERY_API_KEY: "correct-horse-battery" }, connect });
  assert.equal((await keyed.fetch(new Request("http://localhost/"), FAR)).status, 200);
});

Deno.test("A function that runs alone has the manners that its settings ask for", async () => {
  const log = await Deno.makeTempFile();
  const env = {
    ROOKERY_API_KEY: "correct-horse-battery",
    ROOKERY_ALLOWED_HOSTS: "rookery.lan",
    ROOKERY_ALLOWED_ORIGINS: "https://chat.example",
    ROOKERY_LOG_FILE: log,
  };
  const { fetch } = createStandalone(({ edge }) => createFunction("test", edge), {
    env,
    connect: () => new ScriptedInference(),
  });
  const app = { fetch: (request: Request) => fetch(request, FAR) };
  const headers = {
    host: "rookery.lan",
    origin: "https://chat.example",
    authorization: `Bearer ${env.ROOKERY_API_KEY}`,
  };
  assert.equal((await postJson(app, "/", { body: {}, headers })).status, 404);
  assert.equal((await postJson(app, "/", { body: {}, headers: { ...headers, authorization: "" } })).status, 401);
  assert.equal(
    (await postJson(app, "/", { body: {}, headers: { ...headers, origin: "https://evil.example" } })).status,
    403,
  );
  const lines = (await Deno.readTextFile(log)).trim().split("\n").map((line) => JSON.parse(line).status);
  assert.deepEqual(lines, [404, 401, 403]);
  await Deno.remove(log);
});
