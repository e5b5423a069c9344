import assert from "node:assert/strict";
import { createRoute, z } from "@hono/zod-openapi";
import { DomainError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { createLogCollector, postJson, readJson, readUntil, sendRaw, serve } from "../../tests/fixtures/http.ts";
import { type App, createFunction, type EdgeOptions } from "./create_function.ts";
import { BODY_BYTES_MAX } from "./limits.ts";

const KEY = "correct-horse-battery";

const echo = createRoute({
  method: "post",
  path: "/echo",
  request: {
    body: {
      required: true,
      content: {
        "application/json": {
          schema: z.looseObject({ text: z.string(), list: z.array(z.looseObject({ n: z.int() })) }),
        },
      },
    },
  },
  responses: { 200: { description: "What was sent" } },
});

function createTestApp(edge: Partial<EdgeOptions> = {}, options = {}): App {
  const defaults = { apiKey: null, allowedHosts: [], allowedOrigins: [], log: silentLogger };
  const app = createFunction("test", { ...defaults, ...edge }, { openPaths: ["/health"], ...options });
  app.get("/", (c) => c.text("hello ".repeat(1000)));
  app.get("/health", (c) => c.text("ok"));
  app.get("/owner", (c) => c.text(c.get("owner")));
  app.get("/broken", () => {
    throw new TypeError("the secret of the house");
  });
  app.get("/busy", () => {
    throw new DomainError("queue_full", "Too many wait");
  });
  app.openapi(echo, (c) => c.json(c.req.valid("json")));
  return app;
}

async function statusOf(app: App, path: string, headers: Record<string, string>, method = "GET"): Promise<number> {
  const response = await app.request(path, { method, headers });
  await response.body?.cancel();
  return response.status;
}

Deno.test("A function answers to loopback names and configured hosts alone", async () => {
  const app = createTestApp({ allowedHosts: ["rookery.lan", "proxy.lan:8443"] });
  const hosts = ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000"];
  for (const host of [...hosts, "rookery.lan", "Rookery.LAN:80", "proxy.lan:8443"]) {
    assert.equal(await statusOf(app, "/", { host }), 200, host);
  }
  for (
    const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "proxy.lan", "10.0.0.1", "a b"]
  ) {
    assert.equal(await statusOf(app, "/", { host }), 403, host);
  }
});

Deno.test("A refused host is named, with what to do", async () => {
  const response = await createTestApp().request("/", { headers: { host: "evil.example" } });
  assert.equal(response.status, 403);
  const { error } = await readJson(response);
  assert.equal(error.code, "forbidden");
  assert.match(error.message, /"evil.example".*ROOKERY_ALLOWED_HOSTS/);
});

Deno.test("A web page of a foreign origin is refused on every method, preflights included", async () => {
  const app = createTestApp({ allowedOrigins: ["https://chat.example"] });
  for (
    const origin of ["https://evil.example", "null", "http://localhost.evil.example", "vscode-webview://x", "http://["]
  ) {
    for (const method of ["GET", "HEAD", "POST", "OPTIONS", "PUT"]) {
      assert.equal(await statusOf(app, "/", { host: "localhost", origin }, method), 403, `${method} ${origin}`);
    }
  }
  assert.equal(await statusOf(app, "/", { host: "localhost:8000", origin: "http://localhost:9000" }), 403);
});

Deno.test("A page of Rookery's own origin, also behind TLS, is answered without CORS headers", async () => {
  for (const origin of ["http://localhost:8000", "https://localhost:8000"]) {
    const response = await createTestApp().request("/", { headers: { host: "localhost:8000", origin } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("A configured origin is answered, its preflight without a key", async () => {
  const app = createTestApp({ apiKey: KEY, allowedOrigins: ["https://chat.example"] });
  const origin = "https://chat.example";
  const preflight = await app.request("/echo", {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type",
      "access-control-request-private-network": "true",
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
  assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /POST/);
  assert.equal(preflight.headers.get("access-control-allow-headers"), "authorization,content-type");
  assert.equal(preflight.headers.get("access-control-allow-private-network"), "true");

  const response = await app.request("/owner", { headers: { origin, authorization: `Bearer ${KEY}` } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), origin);
  assert.match(response.headers.get("vary") ?? "", /Origin/);

  const refused = await app.request("/owner", { headers: { origin } });
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get("access-control-allow-origin"), origin, "so that the page can read the error");
});

Deno.test('The origin "*" allows all of them', async () => {
  const app = createTestApp({ allowedOrigins: ["*"] });
  const response = await app.request("/", { headers: { origin: "https://any.example" } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("access-control-allow-origin"), "https://any.example");
});

Deno.test("Without a key everyone is local, whatever they send", async () => {
  for (const authorization of ["", "Bearer", "Bearer ", "Bearer sk-none", "Basic dTpw"]) {
    const response = await createTestApp().request("/owner", { headers: { authorization } });
    assert.equal(await response.text(), "local", authorization);
  }
});

Deno.test("With a key its holder has an owner that does not hold the key, and only /health is open", async () => {
  const app = createTestApp({ apiKey: KEY });
  const response = await app.request("/owner", { headers: { authorization: `Bearer ${KEY}` } });
  assert.equal(response.status, 200);
  const owner = await response.text();
  assert.match(owner, /^key-[0-9a-f]{12}$/);
  assert.equal(await statusOf(app, "/owner", { authorization: `bearer ${KEY}` }), 200);

  const refused = [
    "",
    "Bearer",
    "Bearer ",
    `Bearer ${KEY}x`,
    `Bearer ${KEY.slice(1)}`,
    KEY,
    `Basic ${KEY}`,
    `Bearer ${owner}`,
  ];
  for (const authorization of refused) {
    for (const path of ["/owner", "/", "/nowhere"]) {
      assert.equal(await statusOf(app, path, { authorization }), 401, `${path} ${authorization}`);
    }
    assert.equal(await statusOf(app, "/health", { authorization }), 200, authorization);
  }
  const challenge = await app.request("/owner");
  assert.equal(challenge.headers.get("www-authenticate"), 'Bearer realm="Rookery"');
  assert.match((await readJson(challenge)).error.message, /Authorization: Bearer/);
});

Deno.test("A request keeps its own id when that is harmless, and gets one otherwise", async () => {
  const app = createTestApp();
  const given = await app.request("/health", { headers: { "x-request-id": "copilot-1" } });
  assert.equal(given.headers.get("x-request-id"), "copilot-1");
  for (const id of ["", 'a"b', "x".repeat(200), "a b"]) {
    const response = await app.request("/health", { headers: { "x-request-id": id } });
    assert.match(response.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  }
});

Deno.test("Unknown routes get 404, known ones 405 with Allow, whatever body is sent", async () => {
  const app = createTestApp();
  const unknown = await app.request("/nowhere", { method: "POST", body: "x" });
  assert.equal(unknown.status, 404);
  assert.deepEqual((await readJson(unknown)).error, {
    message: "There is no /nowhere here; /openapi.json lists what there is",
    type: "not_found",
    code: "not_found",
    param: null,
    requestId: unknown.headers.get("x-request-id"),
  });
  const wrong = await app.request("/health", { method: "POST", body: "x" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET, HEAD");
  const { error } = await readJson(wrong);
  assert.equal(error.code, "method_not_allowed");
  assert.match(error.message, /POST is not possible on \/health; use GET or HEAD/);
});

Deno.test("Doubled slashes and one at the end make no difference", async () => {
  const app = createTestApp();
  assert.equal(await statusOf(app, "//health", {}), 200);
  assert.equal((await app.fetch(new Request("http://localhost//health//"))).status, 200);
});

Deno.test("JSON is read under its own types, under none, and as a form only where that is usual", async () => {
  const body = JSON.stringify({ text: "hi", list: [] });
  const send = async (app: App, type: string | null) => {
    const headers: Record<string, string> = type === null ? {} : { "content-type": type };
    return await app.request("/echo", { method: "POST", body: new TextEncoder().encode(body), headers });
  };
  for (const type of [null, "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"]) {
    const response = await send(createTestApp(), type);
    assert.equal(response.status, 200, `${type}`);
    assert.deepEqual(await response.json(), JSON.parse(body));
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
    const response = await send(createTestApp(), type);
    assert.equal(response.status, 415, type);
    assert.match((await readJson(response)).error.message, /send JSON with Content-Type: application\/json/);
  }
  const forms = createTestApp({}, { takesForms: true });
  assert.equal((await send(forms, "application/x-www-form-urlencoded")).status, 200);
  assert.equal((await send(forms, "text/plain")).status, 415);
});

Deno.test("A body that is no JSON, or of the wrong shape, gets a 400 that says where", async () => {
  const app = createTestApp();
  for (const body of ["", "{", "{'text': 1}", "nul", "\u0000"]) {
    const response = await postJson(app, "/echo", { body });
    assert.equal(response.status, 400, body);
    assert.equal((await readJson(response)).error.code, "invalid_json");
  }
  const cases: [body: unknown, param: string | null, message: RegExp][] = [
    [null, null, /the body/],
    [[], null, /expected object/],
    ["7", null, /expected object/],
    [{ list: [] }, "text", /"text": expected string/],
    [{ text: 1, list: [] }, "text", /expected string, received number/],
    [{ text: "", list: [{ n: 1 }, { n: 1.5 }] }, "list[1].n", /"list\[1\].n"/],
  ];
  for (const [body, param, message] of cases) {
    const response = await postJson(app, "/echo", { body });
    assert.equal(response.status, 400);
    const { error } = await readJson(response);
    assert.equal(error.code, "invalid_request");
    assert.equal(error.param, param);
    assert.match(error.message, message);
  }
});

Deno.test("A body nested a million levels deep is answered like any other", async () => {
  const depth = 1_000_000;
  const nested = `{"text":"","list":[],"more":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const response = await postJson(createTestApp(), "/echo", { body: nested });
  assert.equal(response.status, 200);
  assert.ok((await response.text()).includes("[".repeat(depth)));
});

Deno.test("A body over 16 MiB gets 413, by its length or by what arrives", async () => {
  const app = createTestApp();
  const claimed = await postJson(app, "/echo", { body: {}, headers: { "content-length": "99999999" } });
  assert.equal(claimed.status, 413);
  const chunk = new Uint8Array(1024 * 1024).fill(32);
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += chunk.length;
      controller.enqueue(chunk);
    },
  });
  const streamed = await app.request("/echo", { method: "POST", body: endless });
  assert.equal(streamed.status, 413);
  assert.match((await readJson(streamed)).error.message, /larger than 16 MiB/);
  assert.ok(sent < BODY_BYTES_MAX + 4 * chunk.length, "it is not read on");
});

Deno.test("Unknown failures are a generic 500 whose cause is in the log alone", async () => {
  const { log, lines } = createLogCollector();
  const response = await createTestApp({ log }).request("/broken");
  assert.equal(response.status, 500);
  const text = await response.text();
  assert.ok(!text.includes("secret"));
  assert.equal(JSON.parse(text).error.code, "internal_error");
  const failure = lines.find(({ event }) => event === "request_failed");
  assert.match(JSON.stringify(failure), /the secret of the house.*create_function_test/);
  assert.equal(failure?.["id"], response.headers.get("x-request-id"));
});

Deno.test("A full queue says when to come again", async () => {
  const response = await createTestApp().request("/busy");
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "5");
  assert.equal((await readJson(response)).error.type, "rate_limit_error");
});

Deno.test("Answers are compressed for who asks for it", async () => {
  const app = createTestApp();
  const response = await app.request("/", { headers: { "accept-encoding": "gzip" } });
  assert.equal(response.headers.get("content-encoding"), "gzip");
  const text = await new Response(response.body!.pipeThrough(new DecompressionStream("gzip"))).text();
  assert.match(text, /^hello /);
  assert.equal((await app.request("/")).headers.get("content-encoding"), null);
});

Deno.test("Every request leaves one line, refused ones too, without query and content", async () => {
  const { log, lines } = createLogCollector();
  const app = createTestApp({ log, apiKey: KEY });
  await app.request("/health?secret=1");
  await app.request("/owner", { headers: { authorization: `Bearer ${KEY}` } });
  await app.request("/owner", { headers: { authorization: "Bearer wrong-key-of-mine" } });
  await app.request("/health", { headers: { host: "evil.example" } });
  const seen = lines.map((line) => [line["event"], line["path"], line["status"], line["owner"], line["outcome"]]);
  assert.partialDeepStrictEqual(seen, [
    ["request", "/health", 200, "anonymous", "ok"],
    ["request", "/owner", 200, lines[1]!["owner"], "ok"],
    ["request", "/owner", 401, null, "invalid_api_key"],
    ["request", "/health", 403, null, "forbidden"],
  ]);
  assert.equal(seen.length, 4);
  assert.ok(!/secret|wrong-key|correct-horse/.test(JSON.stringify(lines)));
});

Deno.test("Requests that no client would send are answered over a socket, and the next one too", async () => {
  await using server = serve(createTestApp());
  const requests: [text: string, status: RegExp][] = [
    ["GET /health HTTP/1.0\r\n\r\n", /^HTTP\/1.0 200 /],
    ["GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", /^HTTP\/1.1 403 /],
    ["GET /%zz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", /^HTTP\/1.1 404 /],
    ["NONSENSE\r\n\r\n", /^HTTP\/1.1 400 /],
    ["POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", /^HTTP\/1.1 413 /],
  ];
  for (const [text, status] of requests) {
    const connection = await sendRaw(server.port, text);
    assert.match(await readUntil(connection, (answer) => answer.includes("\r\n")), status, text);
    connection.close();
  }
  const response = await fetch(`${server.url}/health`);
  assert.equal(await response.text(), "ok");
});
