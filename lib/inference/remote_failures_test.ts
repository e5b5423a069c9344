/** What servers of other makers refuse, and how they fail. */
import assert from "node:assert/strict";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { serve } from "../../tests/fixtures/http.ts";
import { type Script, serveScripts, streamOf, toEvents } from "../../tests/fixtures/other_server.ts";
import { type RawReply, RawServer } from "../../tests/fixtures/raw_server.ts";
import {
  answerOf,
  createRemote,
  ended,
  failureOf,
  said,
  textOf,
  VLLM_MODELS,
  waitNot,
} from "../../tests/fixtures/remote_exchange.ts";
import type { ChatEvent } from "../contracts/chat.ts";
import { listDirectHosts } from "./remote_http.ts";

const never = new AbortController().signal;

Deno.test("A stream that ends without a reason, breaks off or holds garbage is an error, after what came before it", async () => {
  const broken: Record<string, Response> = {
    "ends early": streamOf(toEvents([said("half")]).slice(0, 1)),
    "says [DONE] early": streamOf(toEvents([said("half")])),
    "is no JSON": streamOf([...toEvents([said("half")]).slice(0, 1), "data: <html>\n\n"]),
    "is no answer": streamOf([...toEvents([said("half")]).slice(0, 1), 'data: {"choices":[{"delta":7}]}\n\n']),
    "was aborted": streamOf(toEvents([said("half"), ended("abort")])),
    "has an error": streamOf(toEvents([said("half"), { error: { message: "out of memory", code: 500 } }])),
    "has Ollama's error": streamOf(toEvents([said("half"), { error: "out of memory" }])),
    "has llama-server's error": streamOf([
      ...toEvents([said("half")]).slice(0, 1),
      'event: error\ndata: {"error":{"code":500,"message":"out of memory","type":"server_error"}}\n\n',
    ]),
  };
  for (const [what, response] of Object.entries(broken)) {
    const { code, text, attempts } = await failureOf(() => response);
    assert.deepEqual([code, text, attempts], ["engine_gone", "half", 1], what);
  }
  const none = await failureOf(() => streamOf([]));
  assert.deepEqual([none.code, none.text], ["engine_gone", ""]);
});

Deno.test("A connection that breaks in the middle of an answer is an error, and before it a reason to ask once more", async () => {
  const write = async (reply: RawReply, text: string, leavesAfterMs: number) => {
    await reply.head(200, { "content-type": "text/event-stream" });
    await reply.body(new TextEncoder().encode(text));
    // Reads what the client still sends: to close before it would discard what was written.
    await Promise.race([reply.hang().catch(() => {}), new Promise((resolve) => setTimeout(resolve, leavesAfterMs))]);
  };
  await using server = new RawServer(async ({ path }, reply) => {
    if (path === "/v1/models") return await write(reply, JSON.stringify(VLLM_MODELS), 50);
    if (server.requests.filter((request) => request.path === path).length === 1) return; // without a word
    await write(reply, toEvents([said("half")])[0]!, 50);
  });
  await using remote = createRemote(server.url);
  const events: ChatEvent[] = [];
  await assert.rejects(async () => {
    for await (const event of remote.chat(requestOf("hello", { model: "gpu/org/model" }), never)) events.push(event);
  }, { code: "engine_gone", message: /broke off/ });
  assert.equal(textOf(events), "half");
  assert.deepEqual(server.requests.map(({ path }) => path), ["/v1/models", ...Array(2).fill("/v1/chat/completions")]);
});

Deno.test("A server that is starting, or busy for a moment, is asked once more", async () => {
  const answer = () => streamOf(toEvents([said("ok"), ended("stop")]));
  const refusals: [status: number, headers: Record<string, string>][] = [
    [503, {}],
    [502, {}],
    [503, { "retry-after": "1" }],
    [429, { "retry-after": "1" }],
  ];
  for (const [status, headers] of refusals) {
    const waits: number[] = [];
    const wait = (ms: number, signal: AbortSignal) => {
      waits.push(ms);
      return waitNot(ms, signal);
    };
    const refuse = () => Response.json({ error: { message: "Loading model" } }, { status, headers });
    const { events, attempts } = await answerOf(({ attempt }) => attempt === 1 ? refuse() : answer(), {
      options: { clock: { wait } },
    });
    assert.deepEqual([textOf(events), attempts], ["ok", 2]);
    assert.ok(waits.includes(headers["retry-after"] === undefined ? 250 : 1_000), `${waits}`);
    assert.equal(events.filter(({ type }) => type === "admitted").length, 1);
  }
});

Deno.test("A server that stays busy, or wants more time than a client would wait, is not asked again and again", async () => {
  const refuse = (status: number, headers: Record<string, string> = {}) => () =>
    Response.json({ error: { message: "no" } }, { status, headers });
  const outcomes: [script: Script, code: string, attempts: number][] = [
    [refuse(503), "engine_unavailable", 2],
    [refuse(502), "engine_gone", 2],
    [refuse(429), "queue_full", 1],
    [refuse(429, { "retry-after": "1" }), "queue_full", 2],
    [refuse(429, { "retry-after": "60" }), "queue_full", 1],
    [refuse(500), "engine_gone", 1],
  ];
  for (const [script, code, attempts] of outcomes) {
    const failure = await failureOf(script);
    assert.deepEqual([failure.code, failure.attempts], [code, attempts]);
  }
});

Deno.test("What a server refuses is told with its own words, and blamed on whom it concerns", async () => {
  const refusals: [status: number, body: unknown, code: string, message: RegExp][] = [
    [401, { error: { message: "Incorrect API key provided" } }, "invalid_config", /ROOKERY_REMOTE_KEYS/],
    [403, "Forbidden", "invalid_config", /refuses Rookery's key/],
    [
      404,
      { object: "error", message: "The model `x` does not exist.", code: 404 },
      "model_not_found",
      /does not exist/,
    ],
    [404, { detail: "Not Found" }, "invalid_request", /Not Found/],
    [400, { error: { message: "temperature must be positive", param: "temperature" } }, "invalid_request", /positive/],
    [400, { error: "invalid role" }, "invalid_request", /invalid role/],
    [422, { detail: [{ msg: "field required" }] }, "invalid_request", /field required/],
    [
      400,
      {
        error: {
          code: 400,
          message: "too long",
          type: "exceed_context_size_error",
          n_prompt_tokens: 3031,
          n_ctx: 1024,
        },
      },
      "context_length_exceeded",
      /3031 tokens.* 1024 /,
    ],
    [
      400,
      { object: "error", message: "This model's maximum context length is 1024 tokens. However, you requested 3031." },
      "context_length_exceeded",
      /1024 tokens.* 3031/,
    ],
  ];
  for (const [status, body, code, message] of refusals) {
    const failure = await failureOf(() => Response.json(body, { status }));
    assert.equal(failure.code, code, JSON.stringify(body));
    assert.match(failure.message, message);
    assert.equal(failure.attempts, 1);
  }
  const long = await failureOf(() => Response.json({ error: { message: "x".repeat(10_000) } }, { status: 400 }));
  assert.ok(long.message.length < 500, "a server that repeats the request is cut short");
});

Deno.test("A server that says nothing is given up, before its first byte and in the middle of an answer", async () => {
  const timeouts = { firstByteMs: 50, idleMs: 50 };
  const silent = await failureOf(() => new Promise<Response>(() => {}), { timeouts });
  assert.deepEqual([silent.code, silent.attempts], ["prefill_timeout", 1]);
  const stuck = await failureOf(() => streamOf(toEvents([said("half")]).slice(0, 1), { hangs: true }), { timeouts });
  assert.deepEqual([stuck.code, stuck.text], ["engine_gone", "half"]);
  assert.match(stuck.message, /silent for 0.05 seconds/);
});

Deno.test("Comments are signs of life", async () => {
  const slow = new ReadableStream<Uint8Array>({
    async start(controller) {
      const write = (text: string) => controller.enqueue(new TextEncoder().encode(text));
      for (let i = 0; i < 15; i++) {
        write(": keepalive\n\n");
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      write(toEvents([said("late"), ended("stop")]).join(""));
      controller.close();
    },
  });
  const { events } = await answerOf(() => new Response(slow), { options: { timeouts: { idleMs: 1_000 } } });
  assert.equal(textOf(events), "late");
});

Deno.test("A request counts as admitted when its server neither refuses nor answers for a while", async () => {
  const gate = Promise.withResolvers<void>();
  const waited = Promise.withResolvers<number>();
  const wait = (ms: number) => {
    waited.resolve(ms);
    return Promise.resolve();
  };
  await using server = serveScripts({
    "/v1/models": () => Response.json(VLLM_MODELS),
    "/v1/chat/completions": async () => {
      await gate.promise;
      return streamOf(toEvents([said("late"), ended("stop")]));
    },
  });
  await using remote = createRemote(server.url, { clock: { wait } });
  const events: ChatEvent[] = [];
  for await (const event of remote.chat(requestOf("hello", { model: "gpu/org/model" }), never)) {
    if (event.type === "admitted") gate.resolve();
    events.push(event);
  }
  assert.equal(await waited.promise, 5_000);
  assert.deepEqual(events.map(({ type }) => type), ["admitted", "started", "text", "done"]);
});

Deno.test("A redirect is refused: neither key nor prompt goes to another address", async () => {
  const seen: string[] = [];
  await using elsewhere = serve({
    fetch: (request) => {
      seen.push(request.url);
      return Response.json({});
    },
  });
  const failure = await failureOf(() => Response.redirect(`${elsewhere.url}/v1/chat/completions`, 307), {
    apiKey: "k",
  });
  assert.deepEqual([failure.code, failure.param, seen], ["invalid_config", "ROOKERY_REMOTES", []]);
});

Deno.test("Requests to other servers are kept from a proxy that is meant for the web", () => {
  const urls = ["http://gpu.lan:8080/v1", "https://desk.lan", "http://[fd00::1]:80", "http://gpu.lan:9090"];
  assert.equal(listDirectHosts(urls, null), "gpu.lan,desk.lan,fd00::1");
  assert.equal(listDirectHosts(urls.slice(0, 1), "intranet,10.0.0.0/8"), "intranet,10.0.0.0/8,gpu.lan");
  assert.equal(listDirectHosts([], "intranet"), "intranet");
});

Deno.test("The key goes to its own server, and an address may end in /v1", async () => {
  const keys: (string | null)[] = [];
  await using server = serveScripts({
    "/v1/models": ({ request }) => {
      keys.push(request.headers.get("authorization"));
      return Response.json(VLLM_MODELS);
    },
  });
  await using remote = createRemote(`${server.url}/v1/`, { apiKey: "secret" });
  assert.equal((await remote.list()).length, 1);
  assert.deepEqual(keys, ["Bearer secret"]);
});

Deno.test("A server takes no more requests at once than it may", async () => {
  await using server = serveScripts({
    "/v1/models": () => Response.json(VLLM_MODELS),
    "/v1/chat/completions": () => streamOf(toEvents([said("a")]).slice(0, 1), { hangs: true }),
  });
  await using remote = createRemote(server.url, { requestsMax: 1 });
  const first = remote.chat(requestOf("hello", { model: "gpu/org/model" }), never);
  const events = first[Symbol.asyncIterator]();
  assert.equal((await events.next()).value.type, "admitted");
  assert.partialDeepStrictEqual(await remote.status(), { active: 1, queuedMax: 1 });
  const second = Array.fromAsync(remote.chat(requestOf("hello", { model: "gpu/org/model" }), never));
  await assert.rejects(second, { code: "queue_full" });
  await events.return?.();
  assert.equal((await remote.status()).active, 0);
});
