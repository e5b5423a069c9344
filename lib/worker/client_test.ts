import assert from "node:assert/strict";
import { testInference } from "../../tests/contract/inference.ts";
import { requestOf as requestTo } from "../../tests/fixtures/chat_request.ts";
import { serve } from "../../tests/fixtures/http.ts";
import { puppetModel } from "../../tests/fixtures/puppet_command.ts";
import { ScriptedWorker } from "../../tests/fixtures/worker_inference.ts";
import { EmbedRequest } from "../contracts/embedding.ts";
import { DomainError } from "../errors.ts";
import { createWorkerApp } from "./app.ts";
import { createWorkerClient, type WorkerClient } from "./client.ts";

const requestOf = (content: string) => requestTo(content, { model: "scripted" });

const token = "t".repeat(64);
const never = new AbortController().signal;

type Handler = (request: Request) => Response | Promise<Response>;

/** Serves `handler` as a worker; the test's end must not wait for streams that hang on purpose. */
async function withServer(handler: Handler, test: (client: WorkerClient) => Promise<void>): Promise<void> {
  const ending = new AbortController();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal: ending.signal, onListen() {} }, handler);
  const client = createWorkerClient({ url: `http://127.0.0.1:${server.addr.port}`, token });
  try {
    await test(client);
  } finally {
    await client[Symbol.asyncDispose]();
    ending.abort();
    await server.finished;
  }
}

async function withWorker(test: (client: WorkerClient, worker: ScriptedWorker) => Promise<void>): Promise<void> {
  const worker = new ScriptedWorker();
  const app = createWorkerApp({ inference: worker, token });
  await withServer((request) => app.fetch(request), (client) => test(client, worker));
}

async function failureOf(work: Promise<unknown>): Promise<DomainError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DomainError, Deno.inspect(error));
  return error;
}

testInference("A worker client", (model) => {
  const worker = new ScriptedWorker({ model: { ...model } });
  const app = createWorkerApp({ inference: worker, token });
  const server = serve(app);
  const inference = createWorkerClient({ url: server.url, token });
  return {
    inference,
    engine: worker.engine,
    model: "scripted",
    embedder: "scripted-embedder",
    async [Symbol.asyncDispose]() {
      await inference[Symbol.asyncDispose]();
      await worker[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});

Deno.test("a worker client is the models behind it", async () => {
  await withWorker(async (client, worker) => {
    assert.deepEqual(await client.list(), await worker.list());
    assert.deepEqual(await client.describe("scripted-embedder"), await worker.describe("scripted-embedder"));
    assert.deepEqual(await client.tokenize({ model: "scripted", text: "aß" }), [97, 223]);
    worker.engine.enqueue("Good ", "morning 🙂");
    const events = await Array.fromAsync(client.chat(requestOf("hello"), never));
    assert.equal(events.map((event) => event.type === "text" ? event.text : "").join(""), "Good morning 🙂");
    assert.deepEqual(worker.engine.requests[0], requestOf("hello"));
    await client.keep({ model: "scripted", keepAliveMs: -1 });
    await client.forget("ada");
    assert.deepEqual([worker.kept, worker.forgotten], [[{ model: "scripted", keepAliveMs: -1 }], ["ada"]]);
    assert.deepEqual(await client.status(), await worker.status());
    await client.setModels([puppetModel("a"), puppetModel("b")]);
    assert.deepEqual(worker.models, [puppetModel("a"), puppetModel("b")]);
  });
});

Deno.test("a worker client describes models whose ids have slashes, and names the others of an unknown one", async () => {
  const worker = new ScriptedWorker({ model: { id: "hub/owner/model" }, embedder: null });
  const app = createWorkerApp({ inference: worker, token });
  await withServer((request) => app.fetch(request), async (client) => {
    assert.equal((await client.describe("hub/owner/model")).id, "hub/owner/model");
    const refusal = {
      code: "model_not_found",
      message: 'Unknown model "a/b"; there is "hub/owner/model"',
      param: "model",
    };
    await assert.rejects(client.describe("a/b"), refusal);
    await assert.rejects(client.tokenize({ model: "a/b", text: "" }), refusal);
  });
});

Deno.test("a worker client brings vectors to the last bit, and refusals", async () => {
  await withWorker(async (client, worker) => {
    const ask = (part: object) =>
      EmbedRequest.parse({ id: "r", owner: "local", model: "scripted-embedder", inputs: ["a", [98]], ...part });
    const embeddings = await client.embed(ask({}), never);
    assert.deepEqual(embeddings, await worker.embed(ask({}), never));
    assert.ok(embeddings.vectors[0] instanceof Float32Array);
    const refusal = { code: "invalid_request", param: "dimensions" };
    await assert.rejects(client.embed(ask({ dimensions: 9 }), never), refusal);
    worker.embedding = new Promise(() => {});
    const leaving = new AbortController();
    const embedding = client.embed(ask({}), leaving.signal);
    leaving.abort();
    await assert.rejects(embedding, { code: "request_cancelled" });
  });
});

Deno.test("a worker client throws what the engine refused, and what ended its stream", async () => {
  await withWorker(async (client, { engine }) => {
    engine.enqueue({ refuse: new DomainError("context_length_exceeded", "9 > 8", { param: "messages" }) });
    const refused = await failureOf(Array.fromAsync(client.chat(requestOf("hello"), never)));
    assert.deepEqual([refused.code, refused.message, refused.param], ["context_length_exceeded", "9 > 8", "messages"]);
    engine.enqueue("so far", { fail: new DomainError("prefill_timeout", "too long") });
    const ended = await failureOf(Array.fromAsync(client.chat(requestOf("hello"), never)));
    assert.deepEqual([ended.code, ended.message], ["prefill_timeout", "too long"]);
  });
});

Deno.test("leaving the iteration, or aborting, closes the connection and frees the engine", async () => {
  await withWorker(async (client, { engine }) => {
    engine.enqueue("first", { wait: new Promise(() => {}) });
    for await (const event of client.chat(requestOf("hello"), never)) {
      if (event.type === "text") break;
    }
    await engine.idle();
    engine.enqueue("first", { wait: new Promise(() => {}) });
    const abortion = new AbortController();
    const reading = (async () => {
      for await (const event of client.chat(requestOf("hello"), abortion.signal)) {
        if (event.type === "text") abortion.abort();
      }
    })();
    assert.equal((await failureOf(reading)).code, "request_cancelled");
    await engine.idle();
    assert.equal((await engine.status()).active, 0);
  });
});

Deno.test("a stream that ends without done is engine_gone", async () => {
  const event = 'data: {"type":"admitted","promptTokens":1}\n\n';
  await withServer(() => new Response(event), async (client) => {
    const events: string[] = [];
    const reading = (async () => {
      for await (const event of client.chat(requestOf("hello"), never)) events.push(event.type);
    })();
    assert.equal((await failureOf(reading)).code, "engine_gone");
    assert.deepEqual(events, ["admitted"]);
  });
});

Deno.test("a worker that is not there is engine_gone", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const client = createWorkerClient({ url: `http://127.0.0.1:${port}`, token });
  assert.equal((await failureOf(client.describe("scripted"))).code, "engine_gone");
  assert.equal((await failureOf(Array.fromAsync(client.chat(requestOf("x"), never)))).code, "engine_gone");
  await client[Symbol.asyncDispose]();
});

Deno.test("a proxy in the environment sees nothing of what goes to the worker", async () => {
  const proxied: string[] = [];
  const proxy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    proxied.push(request.url);
    return new Response(null, { status: 502 });
  });
  await withWorker(async (client) => {
    assert.equal((await client.describe("scripted")).id, "scripted");
  });
  const script = `
    import { createWorkerClient } from ${JSON.stringify(import.meta.resolve("./client.ts"))};
    const worker = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => Response.json({ state: "ready" }));
    const client = createWorkerClient({ url: "http://127.0.0.1:" + worker.addr.port, token: "t".repeat(64) });
    console.log((await client.status()).state);
    Deno.exit();`;
  const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.addr.port}`, NO_PROXY: "" };
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", script], env }).output();
  assert.equal(new TextDecoder().decode(stdout).trim(), "ready");
  assert.deepEqual(proxied, []);
  await proxy.shutdown();
});
