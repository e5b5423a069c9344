import assert from "node:assert/strict";
import { streamText, type TextStreamOptions } from "./text_stream.ts";

/** What a stream was seen to do. */
interface Seen {
  aborted: number;
  ended: boolean[];
}

function createTestStream(
  texts: AsyncGenerator<string, void, void>,
  options: Partial<TextStreamOptions> = {},
): { reader: ReadableStreamDefaultReader<Uint8Array>; seen: Seen } {
  const seen: Seen = { aborted: 0, ended: [] };
  const stream = streamText(texts, {
    keepalive: null,
    keepaliveMs: 1,
    renderFailure: (error) => `failed: ${(error as Error).message}`,
    abort: () => seen.aborted++,
    onEnd: (cancelled) => seen.ended.push(cancelled),
    ...options,
  });
  return { reader: stream.getReader(), seen };
}

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | null> {
  const { value } = await reader.read();
  return value === undefined ? null : new TextDecoder().decode(value);
}

Deno.test("streamText() passes on texts one by one, ends with them, and says so once", async () => {
  const { reader, seen } = createTestStream((async function* () {
    yield "a";
    yield "é";
  })());
  assert.deepEqual([await readText(reader), await readText(reader), await readText(reader)], ["a", "é", null]);
  assert.deepEqual(seen, { aborted: 0, ended: [false] });
});

Deno.test("streamText() asks for a text only when the reader asks for it", async () => {
  let made = 0;
  const { reader } = createTestStream((async function* () {
    while (true) yield `${++made}`;
  })());
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(made, 0);
  assert.equal(await readText(reader), "1");
  assert.equal(await readText(reader), "2");
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(made, 2);
  await reader.cancel();
});

Deno.test("streamText() keeps a quiet stream alive before its first text and between texts, and loses none", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const texts = (async function* () {
    await gates[0].promise;
    yield "first";
    await gates[1].promise;
    yield "second";
  })();
  const { reader } = createTestStream(texts, { keepalive: ": keepalive\n\n" });
  assert.equal(await readText(reader), ": keepalive\n\n");
  assert.equal(await readText(reader), ": keepalive\n\n");
  gates[0].resolve();
  const untilText = async () => {
    for (let reads = 0; reads < 1_000; reads++) {
      const text = await readText(reader);
      if (text !== ": keepalive\n\n") return text;
    }
    throw new Error("Only keepalives came");
  };
  assert.equal(await untilText(), "first");
  assert.equal(await readText(reader), ": keepalive\n\n");
  gates[1].resolve();
  assert.equal(await untilText(), "second");
  assert.equal(await untilText(), null);
});

Deno.test("streamText() breaks off, stops and ends when a failure cannot be told", async () => {
  // deno-lint-ignore require-yield -- it fails before its first text
  const failing = (async function* () {
    throw new Error("first");
  })();
  const { reader, seen } = createTestStream(failing, {
    renderFailure: () => {
      throw new Error("second");
    },
  });
  await assert.rejects(readText(reader), { message: "second" });
  assert.deepEqual(seen, { aborted: 1, ended: [false] });
});

Deno.test("streamText() sends nothing of its own where a keepalive would do harm", async () => {
  const gate = Promise.withResolvers<void>();
  const { reader } = createTestStream((async function* () {
    await gate.promise;
    yield "a";
  })());
  const first = readText(reader);
  await new Promise((resolve) => setTimeout(resolve, 10));
  gate.resolve();
  assert.equal(await first, "a");
  assert.equal(await readText(reader), null);
});

Deno.test("streamText() ends a failure with what is said about it, or with nothing", async () => {
  const failing = async function* () {
    yield "a";
    throw new Error("no");
  };
  const { reader, seen } = createTestStream(failing());
  assert.deepEqual([await readText(reader), await readText(reader), await readText(reader)], ["a", "failed: no", null]);
  assert.deepEqual(seen, { aborted: 0, ended: [false] });
  const silent = createTestStream(failing(), { renderFailure: () => null });
  assert.deepEqual([await readText(silent.reader), await readText(silent.reader)], ["a", null]);
});

Deno.test("streamText() aborts when its reader goes away, also in the middle of a wait", async () => {
  for (const waits of [false, true]) {
    const abortion = Promise.withResolvers<void>();
    let left = false;
    const texts = (async function* () {
      try {
        yield "a";
        await abortion.promise;
        throw new Error("aborted");
      } finally {
        left = true;
      }
    })();
    const { reader, seen } = createTestStream(texts, {
      abort: () => abortion.resolve(),
      renderFailure: () => assert.fail("nobody is left to hear it"),
    });
    assert.equal(await readText(reader), "a");
    const pending = waits ? readText(reader) : null;
    await reader.cancel();
    assert.equal(await pending, null);
    assert.ok(left);
    assert.deepEqual(seen.ended, [true]);
  }
});

Deno.test("streamText() gives up a reader that takes nothing", async () => {
  let left = false;
  const texts = (async function* () {
    try {
      while (true) yield "a";
    } finally {
      left = true;
    }
  })();
  const { reader, seen } = createTestStream(texts, { stallMs: 5 });
  assert.equal(await readText(reader), "a");
  await new Promise((resolve) => setTimeout(resolve, 30));
  await assert.rejects(reader.read(), /took nothing for 5 ms/);
  assert.ok(left);
  assert.deepEqual(seen, { aborted: 1, ended: [true] });
});

Deno.test("streamText() does not count the time in which the reader waits for it", async () => {
  const gate = Promise.withResolvers<void>();
  const { reader } = createTestStream(
    (async function* () {
      await gate.promise;
      yield "late";
    })(),
    { stallMs: 5 },
  );
  const late = readText(reader);
  await new Promise((resolve) => setTimeout(resolve, 30));
  gate.resolve();
  assert.equal(await late, "late");
  await reader.cancel();
});
