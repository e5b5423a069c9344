import assert from "node:assert/strict";
import { decodeSpeedTogether, WordSource } from "./client.ts";
import { measureServer } from "./measure.ts";

/** A server that answers every chat with `count` tokens and keeps what it was asked. */
function serveTokens(count: number) {
  const prompts: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { messages, max_tokens } = await request.json();
    const prompt = messages.map(({ content }: { content: string }) => content).join(" ");
    prompts.push(prompt);
    const tokens = Math.min(count, max_tokens);
    const chunks = [
      ...Array.from({ length: tokens }, () => ({ choices: [{ delta: { content: "a" } }] })),
      { choices: [{ delta: {}, finish_reason: "stop" }] },
      { choices: [], usage: { prompt_tokens: prompt.split(" ").length * 2, completion_tokens: tokens } },
    ];
    const text = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("") + "data: [DONE]\n\n";
    return new Response(text, { headers: { "content-type": "text/event-stream" } });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const measured = {
    name: "fake",
    url,
    measureMemory: () => Promise.resolve(7),
    restart: () => {
      measured.restarts++;
      return Promise.resolve();
    },
    restarts: 0,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return { measured, prompts };
}

Deno.test("measureServer() sizes its prompts in the model's tokens and never repeats a beginning", async () => {
  const { measured, prompts } = serveTokens(500);
  await using server = measured;
  const measurement = await measureServer(server, "m", { round: 1 });
  assert.equal(measurement.memoryBytes, 7);
  for (const value of Object.values(measurement)) assert.ok(value > 0 && Number.isFinite(value));
  const tokens = prompts.map((prompt) => prompt.split(" ").length * 2);
  assert.equal(tokens.filter((count) => count >= 1500 && count < 1520).length, 1);
  const long = prompts.filter((prompt, i) => tokens[i]! >= 1500 && prompt.length > 1000);
  const [read, cold, ...later] = long;
  assert.notEqual(read?.split(" ")[0], cold?.split(" ")[0]);
  assert.equal(later.length, 4, "second turn, sibling, after others, after a restart");
  assert.ok(later.every((prompt) => prompt.startsWith(cold ?? "?")));
  assert.equal(new Set(later).size, 4);
  assert.equal(prompts.slice(prompts.indexOf(later[1]!) + 1, prompts.indexOf(later[2]!)).length, 8);
  assert.equal(server.restarts, 1);
});

Deno.test("measureServer() refuses to measure answers that end early", async () => {
  const { measured } = serveTokens(10);
  await using server = measured;
  await assert.rejects(measureServer(server, "m", { round: 1 }), /fake ended 5 answers before 64 tokens/);
});

Deno.test("measureServer() reads no long prompt when only decoding is asked for", async () => {
  const { measured, prompts } = serveTokens(500);
  await using server = measured;
  const measurement = await measureServer(server, "m", { round: 1, decodeOnly: true });
  assert.ok(measurement.decodeSixteen! > 0 && measurement.prefill === undefined);
  assert.ok(prompts.every((prompt) => prompt.length < 300));
  assert.equal(server.restarts, 0);
});

Deno.test("WordSource makes other words of another seed and the same of the same", () => {
  assert.equal(new WordSource("a").take(5), new WordSource("a").take(5));
  assert.notEqual(new WordSource("a").take(5), new WordSource("b").take(5));
  assert.ok(new Set(new WordSource("a").take(1000).split(" ")).size > 500);
});

Deno.test("decodeSpeedTogether() counts while all answers are being written, and their waves when they never were", () => {
  const answer = (pieceMs: number[]) => ({
    text: "",
    askedMs: 0,
    pieceMs,
    endedMs: pieceMs.at(-1)!,
    promptTokens: 1,
    cachedTokens: 0,
    completionTokens: pieceMs.length,
  });
  assert.equal(decodeSpeedTogether([answer([0, 10, 20, 30]), answer([10, 20, 30, 40])]), 200);
  assert.equal(decodeSpeedTogether([answer([0, 10]), answer([20, 30, 40])]), 125);
});
