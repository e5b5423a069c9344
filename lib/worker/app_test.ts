import assert from "node:assert/strict";
import { requestOf as requestTo } from "../../tests/fixtures/chat_request.ts";
import { ScriptedWorker } from "../../tests/fixtures/worker_inference.ts";
import { readEventStream } from "../client/event_stream.ts";
import type { WorkerEvent } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import type { ScriptedEngine } from "../inference/scripted_engine.ts";
import { createWorkerApp, type WorkerAppOptions } from "./app.ts";

const requestOf = (content: string) => requestTo(content, { model: "scripted" });

const token = "t".repeat(64);
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

interface Started {
  inference: ScriptedWorker;
  engine: ScriptedEngine;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

function start(options: Partial<WorkerAppOptions> = {}): Started {
  const inference = new ScriptedWorker();
  const app = createWorkerApp({ inference, token, ...options });
  const post = async (path: string, body: unknown, init: RequestInit = {}) =>
    await app.request(path, { method: "POST", headers, body: JSON.stringify(body), ...init });
  return { inference, engine: inference.engine, post };
}

async function readAll(response: Response): Promise<WorkerEvent[]> {
  const messages = await Array.fromAsync(readEventStream(response.body!));
  return messages.map(({ data }) => JSON.parse(data) as WorkerEvent);
}

/** Lets everything that is ready to go on do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("the worker answers nobody without its token", async () => {
  const { engine, post } = start();
  for (const authorization of ["", "Bearer", "Bearer ", `Bearer ${token}x`, `Bearer ${token.slice(1)}`, token]) {
    const response = await post("/chat", requestOf("hello"), { headers: { ...headers, authorization } });
    assert.equal(response.status, 422);
    assert.equal((await response.json()).code, "invalid_api_key");
  }
  assert.equal(engine.requests.length, 0);
});

Deno.test("POST /chat streams the answer's events", async () => {
  const { engine, post } = start();
  engine.enqueue("Good ", "morning");
  const response = await post("/chat", requestOf("hello"));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const events = await readAll(response);
  assert.deepEqual(events.map(({ type }) => type).filter((type) => type !== "text"), ["admitted", "started", "done"]);
  assert.equal(events.map((event) => event.type === "text" ? event.text : "").join(""), "Good morning");
});

Deno.test("POST /chat refuses with a report and no stream what the engine does not admit", async () => {
  const { engine, post } = start();
  engine.enqueue({ refuse: new DomainError("context_length_exceeded", "9 do not fit into 8", { param: "messages" }) });
  const response = await post("/chat", requestOf("hello"));
  assert.equal(response.status, 422);
  const report = { code: "context_length_exceeded", message: "9 do not fit into 8", param: "messages" };
  assert.deepEqual(await response.json(), report);
});

Deno.test("POST /chat ends a stream that fails with one coded error event, and hides unknown causes", async () => {
  const failures: [Error, string][] = [
    [new DomainError("prefill_timeout", "600 s were not enough"), "prefill_timeout"],
    [new TypeError("secret detail"), "internal_error"],
  ];
  for (const [failure, code] of failures) {
    const { engine, post } = start();
    engine.enqueue("so far", { fail: failure });
    const events = await readAll(await post("/chat", requestOf("hello")));
    const last = events.at(-1)!;
    assert.ok(last.type === "error");
    assert.equal(last.error.code, code);
    assert.ok(!JSON.stringify(events).includes("secret detail"));
  }
});

Deno.test("POST /chat names what is wrong with a body", async () => {
  const { post } = start();
  const wrong = await post("/chat", { ...requestOf("hello"), sampling: { temperature: 3 } });
  assert.equal(wrong.status, 422);
  assert.equal((await wrong.json()).param, "sampling.temperature");
  const malformed = await post("/chat", null, { body: "{" });
  assert.equal(malformed.status, 422);
  assert.equal((await malformed.json()).code, "invalid_request");
});

Deno.test("a reader that leaves stops the engine at once", async () => {
  const { engine, post } = start();
  engine.enqueue("first", { wait: new Promise(() => {}) });
  const response = await post("/chat", requestOf("hello"));
  const reader = response.body!.getReader();
  await reader.read();
  await settle();
  assert.equal((await engine.status()).active, 1);
  await reader.cancel();
  await engine.idle();
  assert.equal((await engine.status()).active, 0);
});

Deno.test("a reader that leaves before it is admitted stops the engine too", async () => {
  const { engine, post } = start();
  let stopped = false;
  engine.chat = (_request, signal) => ({
    [Symbol.asyncIterator]: () => ({
      async next() {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        stopped = true;
        throw new DomainError("request_cancelled", "The request was cancelled");
      },
    }),
  });
  const leaving = new AbortController();
  const response = post("/chat", requestOf("hello"), { signal: leaving.signal });
  await settle();
  assert.equal(stopped, false);
  leaving.abort();
  assert.equal((await (await response).json()).code, "request_cancelled");
  assert.equal(stopped, true);
});

Deno.test("generation does not wait for a slow reader, whose texts are merged into one", async () => {
  const { engine, post } = start();
  const pieces = Array.from({ length: 200 }, (_, index) => `${index} `);
  engine.enqueue(...pieces);
  const response = await post("/chat", requestOf("hello"));
  await engine.idle();
  const events = await readAll(response);
  assert.deepEqual(events.map(({ type }) => type), ["admitted", "started", "text", "done"]);
  assert.ok(events[2]!.type === "text" && events[2]!.text === pieces.join(""));
});

Deno.test("a reader that takes nothing loses its answer and frees the engine", async () => {
  const { engine, post } = start({ stallMs: 20 });
  engine.enqueue("first", { wait: new Promise(() => {}) });
  const response = await post("/chat", requestOf("hello"));
  await engine.idle();
  await assert.rejects(readAll(response), /took nothing for 20 ms/);
});

Deno.test("a reader that waits for a slow engine loses nothing", async () => {
  const { engine, post } = start({ stallMs: 20 });
  engine.enqueue("first ", { wait: new Promise((resolve) => setTimeout(resolve, 100)) }, "second");
  const events = await readAll(await post("/chat", requestOf("hello")));
  assert.equal(events.map((event) => event.type === "text" ? event.text : "").join(""), "first second");
  assert.equal(events.at(-1)!.type, "done");
});

Deno.test("the number of open answers is bounded, complete ones that nobody took included", async () => {
  const { engine, post } = start({ answersMax: 2 });
  const first = await post("/chat", requestOf("one"));
  const second = await post("/chat", requestOf("two"));
  await engine.idle();
  const third = await post("/chat", requestOf("three"));
  assert.equal(third.status, 422);
  assert.equal((await third.json()).code, "queue_full");
  await readAll(first);
  const fourth = await post("/chat", requestOf("four"));
  assert.equal(fourth.status, 200);
  await Promise.all([second.body!.cancel(), fourth.body!.cancel()]);
  assert.equal((await post("/chat", requestOf("five"))).status, 200);
});

Deno.test("a refused answer leaves no place taken", async () => {
  const { engine, post } = start({ answersMax: 1 });
  for (let attempt = 0; attempt < 3; attempt++) {
    engine.enqueue({ refuse: new DomainError("queue_full", "full") });
    assert.equal((await post("/chat", requestOf("hello"))).status, 422);
  }
  const response = await post("/chat", requestOf("hello"));
  assert.equal(response.status, 200);
  assert.equal((await readAll(response)).at(-1)!.type, "done");
});
