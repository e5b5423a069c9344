import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { listModels, streamChat } from "./chat.ts";

const chat = { model: "m", messages: [{ role: "user" as const, content: "hello" }] };

function answering(answer: (request: Request) => Response | Promise<Response>): {
  url: string;
  apiKey: string;
  fetch: typeof fetch;
} {
  return {
    url: "http://rookery.test",
    apiKey: "key",
    fetch: async (input, init) => await answer(new Request(input, init)),
  };
}

function streamOf(...data: unknown[]): Response {
  return new Response(
    data.map((part) => `data: ${typeof part === "string" ? part : JSON.stringify(part)}\n\n`).join(""),
  );
}

const chunk = (content: string | null, finish: string | null = null) => ({
  choices: [{ index: 0, delta: content === null ? {} : { content }, finish_reason: finish }],
});

async function failureOf(work: Promise<unknown>): Promise<DomainError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof DomainError, Deno.inspect(error));
  return error;
}

Deno.test("streamChat() asks with the key and yields texts and how it ended", async () => {
  const asked: Request[] = [];
  const address = answering((request) => {
    asked.push(request);
    return streamOf(chunk(""), chunk("Good "), chunk("day"), chunk(null, "stop"), { choices: [], usage: {} }, "[DONE]");
  });
  assert.deepEqual(await Array.fromAsync(streamChat(address, chat)), [
    { type: "text", text: "Good " },
    { type: "text", text: "day" },
    { type: "done", finishReason: "stop" },
  ]);
  assert.equal(asked[0]!.url, "http://rookery.test/v1/chat/completions");
  assert.equal(asked[0]!.headers.get("authorization"), "Bearer key");
  assert.deepEqual(await asked[0]!.json(), { ...chat, stream: true });
});

Deno.test("streamChat() throws a refusal and an error in the stream with their codes", async () => {
  const error = { message: "9 do not fit into 8", type: "x", code: "context_length_exceeded", param: "messages" };
  const refusing = answering(() => Response.json({ error }, { status: 400 }));
  const refused = await failureOf(Array.fromAsync(streamChat(refusing, chat)));
  assert.deepEqual([refused.code, refused.message, refused.param], [error.code, error.message, error.param]);
  const failing = answering(() => streamOf(chunk("so far"), { error: { ...error, code: "engine_gone", param: null } }));
  const failed = await failureOf(Array.fromAsync(streamChat(failing, chat)));
  assert.deepEqual([failed.code, failed.message, failed.param], ["engine_gone", error.message, null]);
});

Deno.test("streamChat() says so when the stream breaks off or is none", async () => {
  for (const response of [() => streamOf(chunk("so far")), () => streamOf("not JSON"), () => new Response("")]) {
    assert.equal((await failureOf(Array.fromAsync(streamChat(answering(response), chat)))).code, "engine_gone");
  }
});

Deno.test("streamChat() stops with its signal, and closes the stream when the iteration is left", async () => {
  let cancelled = 0;
  const endless = (signal: AbortSignal): Response => {
    const bytes = new TextEncoder().encode(`data: ${JSON.stringify(chunk("on "))}\n\n`);
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => signal.addEventListener("abort", () => controller.error(signal.reason)),
      pull: (controller) => controller.enqueue(bytes),
      cancel: () => void cancelled++,
    });
    return new Response(body);
  };
  const address = answering((request) => endless(request.signal));
  const stopping = new AbortController();
  const reading = (async () => {
    for await (const _event of streamChat(address, { ...chat, signal: stopping.signal })) stopping.abort();
  })();
  assert.equal((await failureOf(reading)).code, "request_cancelled");
  for await (const _event of streamChat(address, chat)) break;
  assert.equal(cancelled, 1);
});

Deno.test("the client says when nobody answers, and when it is somebody else", async () => {
  const nobody = await failureOf(listModels({
    ...answering(() => {
      throw new TypeError("connection refused");
    }),
  }));
  assert.equal(nobody.code, "engine_unavailable");
  assert.equal(nobody.message, "Cannot reach Rookery at http://rookery.test: is it running?");
  const other = await failureOf(listModels(answering(() => new Response("<html>", { status: 404 }))));
  assert.equal(other.message, "What answers at http://rookery.test is not Rookery: it says 404");
});

Deno.test("listModels() names the models", async () => {
  const address = answering(() => Response.json({ object: "list", data: [{ id: "a", object: "model" }, { id: "b" }] }));
  assert.deepEqual(await listModels(address), ["a", "b"]);
});
