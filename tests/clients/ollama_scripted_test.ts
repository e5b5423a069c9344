import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { createApp } from "../../functions/ollama/app.ts";
import { serve } from "../fixtures/http.ts";
import { hash, makeManifest, makeModel, ModelsHome } from "../fixtures/models.ts";
import { RawServer, replyWithFile } from "../fixtures/raw_server.ts";
import { ScriptedInference } from "../fixtures/scripted_inference.ts";

const MODEL = "scripted";
const EMBEDDER = "scripted-embedder";
const WEIGHTS = makeModel(1);
const HELLO = [{ role: "user", content: "hello" }];
const TOOL = {
  type: "function",
  function: {
    name: "weather",
    description: "Says how the weather is",
    parameters: { type: "object", required: ["city"], properties: { city: { type: "string" } } },
  },
};

/** What a real model would have to be lucky to do: it is scripted, and the server, its port and its client are not. */
interface Subject {
  client: Ollama;
  inference: ScriptedInference;
  home: ModelsHome;
}

type Checks = Record<string, (subject: Subject) => Promise<void>>;

const CHECKS: Checks = {
  async "it calls a tool, answers with its result and hears the rest"({ client, inference: { engine } }) {
    engine.enqueue(
      { type: "tool_call", index: 0, id: "call_1", name: "weather" },
      { type: "tool_arguments", index: 0, text: '{"city":"Oslo"}' },
    );
    const parts = await Array.fromAsync(
      await client.chat({ model: MODEL, messages: HELLO, tools: [TOOL], stream: true }),
    );
    const calls = parts.flatMap(({ message }) => message.tool_calls ?? []);
    assert.deepEqual(calls.map((call) => [call.function.name, call.function.arguments]), [["weather", {
      city: "Oslo",
    }]]);
    const result = { role: "tool", content: "rain", tool_name: "weather" };
    const called = { role: "assistant", content: "", tool_calls: calls };
    engine.enqueue("It rains");
    const answer = await client.chat({ model: MODEL, messages: [...HELLO, called, result], tools: [TOOL] });
    assert.equal(answer.message.content, "It rains");
    assert.deepEqual(engine.requests.at(-1)!.messages!.slice(1), [
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id: "call_0", name: "weather", arguments: '{"city":"Oslo"}' }],
      },
      { role: "tool", content: "rain", toolCallId: "call_0", toolName: "weather" },
    ]);
  },

  async "it hears thoughts apart from the answer"({ client, inference: { engine } }) {
    engine.enqueue({ type: "reasoning", text: "Hm" }, "Yes");
    const parts = await Array.fromAsync(
      await client.chat({ model: MODEL, messages: HELLO, think: "low", stream: true }),
    );
    assert.equal(parts.map(({ message }) => message.thinking ?? "").join(""), "Hm");
    assert.equal(parts.map(({ message }) => message.content).join(""), "Yes");
    engine.enqueue({ type: "reasoning", text: "Hm" }, "Yes");
    const whole = await client.generate({ model: MODEL, prompt: "x", think: true });
    assert.deepEqual([whole.thinking, whole.response], ["Hm", "Yes"]);
  },

  async "it gives a schema as format"({ client, inference: { engine } }) {
    engine.enqueue('{"age":3}');
    const format = { type: "object", properties: { age: { type: "integer" } } };
    const answer = await client.chat({ model: MODEL, messages: HELLO, format });
    assert.deepEqual(JSON.parse(answer.message.content), { age: 3 });
    assert.deepEqual(engine.requests.at(-1)!.format, { type: "schema", schema: format, strict: false });
  },

  async "it hears how likely tokens were"({ client, inference: { engine } }) {
    engine.enqueue("ab");
    const answer = await client.chat({ model: MODEL, messages: HELLO, logprobs: true, top_logprobs: 1 });
    assert.deepEqual(answer.logprobs!.map(({ token, logprob }) => [token, logprob]), [["a", 0], ["b", 0]]);
    assert.deepEqual(answer.logprobs![0]!.top_logprobs!.map(({ token }) => token), ["a"]);
  },

  async "it gets vectors, by the new route and the old one"({ client }) {
    const { embeddings, prompt_eval_count } = await client.embed({ model: EMBEDDER, input: ["raven", "owl"] });
    assert.deepEqual([embeddings.length, prompt_eval_count], [2, 8]);
    const { embedding } = await client.embeddings({ model: EMBEDDER, prompt: "raven" });
    assert.deepEqual(embedding, embeddings[0]);
    await assert.rejects(client.embed({ model: MODEL, input: "raven" }), {
      status_code: 400,
      message: `"${MODEL}" does not support embeddings: name "${EMBEDDER}"`,
    });
  },

  async "it loads and unloads a model"({ client }) {
    await client.generate({ model: MODEL, prompt: "", keep_alive: -1 });
    assert.ok((await client.ps()).models.some(({ model }) => model === MODEL));
    const left = await client.generate({ model: MODEL, prompt: "", keep_alive: 0 });
    assert.equal(left.done_reason, "unload");
    assert.ok(!(await client.ps()).models.some(({ model }) => model === MODEL));
  },

  async "it pulls a model with progress, pulls it again, and deletes it"({ client, home }) {
    const parts = await Array.fromAsync(await client.pull({ model: "tiny", stream: true }));
    assert.equal(parts.at(-1)!.status, "success");
    const { digest, total, completed } = parts.findLast((part) => part.total > 0)!;
    assert.deepEqual([digest, total, completed], [`sha256:${hash(WEIGHTS)}`, WEIGHTS.length, WEIGHTS.length]);
    assert.equal((await client.pull({ model: "tiny" })).status, "success");
    assert.deepEqual(await client.delete({ model: "tiny" }), { status: "success" });
    assert.deepEqual(await home.names(), []);
    await assert.rejects(client.delete({ model: "tiny" }), { status_code: 404 });
    await assert.rejects(client.pull({ model: "llama3" }), { status_code: 404, message: /"tiny"/ });
  },

  async "it hears why nothing is copied, made or pushed"({ client }) {
    await assert.rejects(client.copy({ source: MODEL, destination: "x" }), { status_code: 400, message: /copies no/ });
    await assert.rejects(client.create({ model: "x", from: MODEL }), { status_code: 400, message: /makes no models/ });
    await assert.rejects(client.push({ model: MODEL }), { status_code: 400, message: /sends no model/ });
  },
};

Deno.test("Ollama's own library speaks to a scripted model", async (t) => {
  await using store = new RawServer((request, reply) => replyWithFile(request, { reply, bytes: WEIGHTS }));
  const file = { sha256: hash(WEIGHTS), sizeBytes: WEIGHTS.length, sources: [`${store.url}/tiny.gguf`] };
  await using home = await ModelsHome.create(makeManifest(file));
  const capabilities = { tools: true, reasoning: true, vision: false, infill: false };
  await using inference = new ScriptedInference({ model: { capabilities } });
  await using server = serve(createApp({ inference, library: home.open() }));
  const client = new Ollama({ host: server.url });
  for (const [name, check] of Object.entries(CHECKS)) await t.step(name, () => check({ client, inference, home }));
});
