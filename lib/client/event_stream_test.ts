import assert from "node:assert/strict";
import { readEventStream, type StreamMessage } from "./event_stream.ts";

function streamOf(chunks: Uint8Array[], onCancel: () => void = () => {}): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
    cancel: onCancel,
  });
}

async function read(text: string, chunkBytes: number): Promise<StreamMessage[]> {
  const bytes = new TextEncoder().encode(text);
  const chunks = [];
  for (let start = 0; start < bytes.length; start += chunkBytes) chunks.push(bytes.slice(start, start + chunkBytes));
  return await Array.fromAsync(readEventStream(streamOf(chunks)));
}

Deno.test("readEventStream() reads the same messages however the stream is cut", async () => {
  const text = ": hello\n\nevent: text\ndata: Grüße 🙂\n\ndata: a\ndata:b\ndata\nid: 7\n\ndata: [DONE]\n\n";
  const expected = [
    { event: "text", data: "Grüße 🙂" },
    { event: "message", data: "a\nb\n" },
    { event: "message", data: "[DONE]" },
  ];
  for (const lineEnd of ["\n", "\r\n"]) {
    for (const chunkBytes of [1, 2, 3, 5, 1000]) {
      assert.deepEqual(await read(text.replaceAll("\n", lineEnd), chunkBytes), expected, `${chunkBytes} bytes`);
    }
  }
});

Deno.test("readEventStream() drops a message that the end of the stream cuts off", async () => {
  assert.deepEqual(await read("data: whole\n\ndata: hal", 4), [{ event: "message", data: "whole" }]);
  assert.deepEqual(await read("data: whole\n\ndata: half\n", 4), [{ event: "message", data: "whole" }]);
});

Deno.test("readEventStream() cancels the body when the iteration is left", async () => {
  let cancelled = false;
  const chunks = Array.from({ length: 5 }, () => new TextEncoder().encode("data: x\n\n"));
  for await (const message of readEventStream(streamOf(chunks, () => cancelled = true))) {
    assert.equal(message.data, "x");
    break;
  }
  assert.equal(cancelled, true);
});

Deno.test("readEventStream() refuses a message without end", async () => {
  const chunk = new TextEncoder().encode("x".repeat(1024 * 1024));
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(chunk) });
  await assert.rejects(Array.fromAsync(readEventStream(endless)), RangeError);
});
