import assert from "node:assert/strict";
import { DomainError } from "../../lib/errors.ts";
import { readBody } from "./limits.ts";

function send(...chunks: string[]): Request {
  return new Request("http://localhost", {
    method: "POST",
    body: ReadableStream.from(chunks).pipeThrough(new TextEncoderStream()),
  });
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof DomainError && error.code === code;
}

Deno.test("readBody() joins what arrives", async () => {
  assert.equal(new TextDecoder().decode(await readBody(send("one ", "two"))), "one two");
  assert.equal((await readBody(new Request("http://localhost"))).length, 0);
});

Deno.test("readBody() takes a body of exactly the limit and none that is a byte longer", async () => {
  assert.equal((await readBody(send("12", "34"), { bytesMax: 4 })).length, 4);
  await assert.rejects(readBody(send("12", "345"), { bytesMax: 4 }), hasCode("payload_too_large"));
});

Deno.test("readBody() does not wait for ever", async () => {
  const silent = new Request("http://localhost", { method: "POST", body: new ReadableStream() });
  await assert.rejects(readBody(silent, { timeoutMs: 5 }), hasCode("request_timeout"));
});

Deno.test("readBody() says when the client broke off", async () => {
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error("connection reset")) });
  const request = new Request("http://localhost", { method: "POST", body: broken });
  await assert.rejects(readBody(request), hasCode("request_cancelled"));
});
