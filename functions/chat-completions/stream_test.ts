import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { createEngineTable } from "../../lib/inference/engine_table.ts";
import { createScriptedEngine, type ScriptedEngine } from "../../lib/inference/scripted_engine.ts";
import { createLogCollector, readBytes, readUntil, sendRaw, serve } from "../../tests/fixtures/http.ts";
import { until } from "../../tests/fixtures/processes.ts";
import { findStreamViolations } from "../../tests/clients/copilot_stream.ts";
import { createApp } from "./app.ts";

const BODY = { model: "scripted", messages: [{ role: "user", content: "hi" }] };
const forever = new Promise<never>(() => {});

function createTestApp(engine: ScriptedEngine, keepaliveMs = 15_000) {
  const { log, lines } = createLogCollector();
  const edge = { apiKey: null, allowedHosts: [], allowedOrigins: [], log, keepaliveMs };
  return { app: createApp({ inference: createEngineTable([engine]), edge }), lines };
}

async function ask(url: string, changes: object, signal?: AbortSignal): Promise<Response> {
  return await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ ...BODY, ...changes }),
    headers: { "content-type": "application/json" },
    ...(signal === undefined ? {} : { signal }),
  });
}

function renderRequest(changes: object): string {
  const body = JSON.stringify({ ...BODY, ...changes });
  return `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
}

async function lineOf(lines: Record<string, unknown>[]): Promise<Record<string, unknown>> {
  await until(() => lines.length > 0);
  return lines[0]!;
}

async function untilIdle(engine: ScriptedEngine): Promise<void> {
  await until(async () => (await engine.status()).active === 0);
}

Deno.test("Headers and role leave while the request waits in the queue", async () => {
  await using engine = createScriptedEngine();
  const gate = Promise.withResolvers<void>();
  engine.enqueue({ queue: [{ wait: gate.promise }], steps: ["late"] });
  await using server = serve(createTestApp(engine).app);
  const connection = await sendRaw(server.port, renderRequest({ stream: true }));
  const head = await readUntil(connection, (text) => text.includes('"role":"assistant"'));
  assert.match(head, /^HTTP\/1.1 200 OK\r\n/);
  assert.match(head, /content-type: text\/event-stream; charset=utf-8\r\n/);
  gate.resolve();
  assert.match(await readUntil(connection, (text) => text.includes("[DONE]")), /"content":"late"/);
  connection.close();
});

Deno.test("A stream without a token yet is kept alive by comments, and is whole at its end", async () => {
  await using engine = createScriptedEngine();
  const gate = Promise.withResolvers<void>();
  engine.enqueue({ wait: gate.promise }, "Hello");
  await using server = serve(createTestApp(engine, 5).app);
  const connection = await sendRaw(server.port, renderRequest({ stream: true }));
  const quiet = await readUntil(connection, (text) => text.split(": keepalive\n\n").length > 3);
  assert.ok(!quiet.includes("Hello"));
  gate.resolve();
  assert.match(await readUntil(connection, (text) => text.includes("[DONE]")), /"content":"Hello"/);
  connection.close();

  const kept = Promise.withResolvers<void>();
  engine.enqueue({ wait: kept.promise }, "Hello");
  const [seen, whole] = (await ask(server.url, { stream: true })).body!.tee();
  for await (const text of seen.pipeThrough(new TextDecoderStream())) if (text.includes(": keepalive")) kept.resolve();
  const bytes = await readBytes(new Response(whole));
  assert.match(new TextDecoder().decode(bytes), /: keepalive\n\n/);
  assert.deepEqual(findStreamViolations(bytes, { usage: false }), []);
});

Deno.test("A client that leaves a stream stops the engine, before its first token and in the middle", async () => {
  for (const steps of [[], ["a", "b"]]) {
    await using engine = createScriptedEngine();
    engine.enqueue(...steps, { wait: forever });
    const { app, lines } = createTestApp(engine);
    await using server = serve(app);
    const connection = await sendRaw(server.port, renderRequest({ stream: true }));
    const last = steps.length === 0 ? '"role"' : '"content":"b"';
    await readUntil(connection, (text) => text.includes(last));
    assert.equal((await engine.status()).active, 1);
    connection.close();
    await untilIdle(engine);
    const line = await lineOf(lines);
    assert.partialDeepStrictEqual(line, { stream: true, status: 200, outcome: "cancelled", completionTokens: null });
  }
});

Deno.test("A client that leaves while its request is queued gives its place in the queue back", async () => {
  await using engine = createScriptedEngine({ model: { sequences: 1 } });
  const gate = Promise.withResolvers<void>();
  engine.enqueue({ wait: gate.promise });
  await using server = serve(createTestApp(engine).app);
  const first = ask(server.url, { stream: true });
  const second = await sendRaw(server.port, renderRequest({ stream: true }));
  await readUntil(second, (text) => text.includes('"role"'));
  assert.equal((await engine.status()).queued, 1);
  second.close();
  await until(async () => (await engine.status()).queued === 0);
  gate.resolve();
  assert.deepEqual(findStreamViolations(await readBytes(await first), { usage: false }), []);
});

Deno.test("A client that leaves before a whole answer is there stops the engine", async () => {
  await using engine = createScriptedEngine();
  engine.enqueue("a", { wait: forever });
  const { app, lines } = createTestApp(engine);
  await using server = serve(app);
  // In two packets, as many clients send it: Deno notices a client that leaves then only after the headers have left.
  const [head, body] = renderRequest({}).split(/(?<=\r\n\r\n)/);
  const connection = await sendRaw(server.port, head!);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await connection.write(new TextEncoder().encode(body));
  await until(() => engine.charactersTaken > 0);
  connection.close();
  await untilIdle(engine);
  assert.partialDeepStrictEqual(await lineOf(lines), { stream: false, status: 200, outcome: "cancelled" });
});

Deno.test("A whole answer that takes its time has one line in the log, and breaks off when it fails late", async () => {
  await using engine = createScriptedEngine();
  const { app, lines } = createTestApp(engine);
  await using server = serve(app);
  const pause = () => ({ wait: new Promise((resolve) => setTimeout(resolve, 1_500)) });
  engine.enqueue("a", pause(), "b");
  const response = await ask(server.url, {});
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  assert.equal((await response.json()).choices[0].message.content, "ab");
  engine.enqueue("a", pause(), { fail: new DomainError("engine_gone", "It ended") });
  const broken = await ask(server.url, {});
  assert.equal(broken.status, 200);
  await assert.rejects(broken.json());
  await until(() => lines.length > 1);
  assert.deepEqual(lines.map(({ status, outcome, stream }) => ({ status, outcome, stream })), [
    { status: 200, outcome: "ok", stream: false },
    { status: 200, outcome: "engine_gone", stream: false },
  ]);
});

Deno.test("A slow reader holds the engine back instead of filling memory", async () => {
  const characters = 64 * 1024 * 1024;
  const piece = "x".repeat(64 * 1024);
  await using engine = createScriptedEngine({ model: { contextTokensMax: 2 * characters } });
  engine.enqueue(...Array(characters / piece.length).fill(piece));
  const { app, lines } = createTestApp(engine);
  await using server = serve(app);
  const connection = await sendRaw(server.port, renderRequest({ stream: true }));
  await readUntil(connection, (text) => text.includes("xxx"));
  let taken = -1;
  while (taken !== engine.charactersTaken) {
    taken = engine.charactersTaken;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(taken < characters / 2, `${taken} of ${characters} characters were taken for a reader that reads none`);
  connection.close();
  await untilIdle(engine);
  assert.equal((await lineOf(lines))["outcome"], "cancelled");
});

Deno.test("The log has one line for a stream, when it has ended, with its numbers and no content", async () => {
  await using engine = createScriptedEngine();
  engine.enqueue("secret", " answer");
  const { app, lines } = createTestApp(engine);
  const init = {
    method: "POST",
    body: JSON.stringify({ ...BODY, messages: [{ role: "user", content: "secret question" }], stream: true }),
    headers: { "content-type": "application/json", "x-request-id": "r1" },
  };
  const response = await app.request("/v1/chat/completions?secret", init);
  assert.deepEqual(lines, [], "nothing is known before the end");
  await response.text();
  const { time: _time, durationMs, decodeMs, queueMs, ...line } = await lineOf(lines);
  for (const ms of [durationMs, decodeMs, queueMs]) assert.ok(typeof ms === "number" && ms >= 0);
  assert.deepEqual(line, {
    level: "info",
    event: "request",
    id: "r1",
    function: "chat-completions",
    method: "POST",
    path: "/v1/chat/completions",
    status: 200,
    owner: "local",
    model: "scripted",
    stream: true,
    prefillMs: 0,
    promptTokens: "user: secret question\n".length,
    completionTokens: "secret answer".length,
    cachedTokens: 0,
    reasoningTokens: 0,
    outcome: "ok",
  });
  assert.equal(lines.length, 1);
});

Deno.test("The log says by its code how a stream failed", async () => {
  await using engine = createScriptedEngine();
  engine.enqueue("a", { fail: new Error("boom") });
  const { app, lines } = createTestApp(engine);
  const init = {
    method: "POST",
    body: JSON.stringify({ ...BODY, stream: true }),
    headers: { "content-type": "application/json" },
  };
  const response = await app.request("/v1/chat/completions", init);
  assert.deepEqual(findStreamViolations(await readBytes(response), { error: true }), []);
  assert.deepEqual(lines.map(({ event, outcome }) => [event, outcome]), [
    ["request_failed", undefined],
    ["request", "internal_error"],
  ]);
});

Deno.test("The owner of a key is told to the engine, and the id of the request", async () => {
  await using engine = createScriptedEngine();
  const { log, lines } = createLogCollector();
  const apiKey = "correct-horse-battery";
  const app = createApp({
    inference: createEngineTable([engine]),
    edge: { apiKey, allowedHosts: [], allowedOrigins: [], log },
  });
  const response = await app.request("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify(BODY),
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}`, "x-request-id": "r2" },
  });
  assert.equal(response.status, 200);
  const [request] = engine.requests;
  assert.equal(request?.id, "r2");
  assert.match(request?.owner ?? "", /^key-[0-9a-f]{12}$/);
  assert.equal(lines[0]?.["owner"], request?.owner);
});
