import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { HOME_ASSISTANT_BODY, OLLAMA_EXTENSION_BODY } from "../fixtures/client_bodies.ts";
import { makeModel } from "../fixtures/models.ts";
import { until } from "../fixtures/processes.ts";
import { RawServer, replyWithFile } from "../fixtures/raw_server.ts";
import { type StartedRookery, startRookery } from "../fixtures/started_rookery.ts";
import { skipUnless, testModel } from "../prerequisites.ts";

const CONTEXT_TOKENS = 2048;
const HUB_NAME = "hf.co/owner/some-gguf:Q8_0";

const CAPITAL = [{ role: "user", content: "What is the capital of France? Answer in one short sentence." }];
const STORY = [{ role: "user", content: "Tell me a very long story about ravens." }];

skipUnless(testModel("smollm2-135m"), "Ollama's own library speaks to Rookery", (modelPath) => {
  Deno.test("Ollama's own library speaks to Rookery", async (t) => {
    await using hub = serveHub();
    const env = { ROOKERY_CONTEXT: String(CONTEXT_TOKENS), HF_ENDPOINT: hub.url };
    await using rookery = await startRookery(modelPath, env);
    const client = new Ollama({ host: rookery.url });
    for (const [name, check] of Object.entries({ ...MODELS, ...CHATS, ...BODIES, ...LIBRARY })) {
      await t.step(name, () => check({ client, model: rookery.model, rookery }));
    }
    assert.doesNotMatch(rookery.output, /"level":"error"|capital|ravens/i, "no failure and no content in the log");
  });
});

interface Subject {
  client: Ollama;
  model: string;
  rookery: StartedRookery;
}

type Checks = Record<string, (subject: Subject) => Promise<void>>;

const MODELS: Checks = {
  async "it lists the model, and shows the context that is served"({ client, model }) {
    const { models } = await client.list();
    assert.deepEqual(models.map((listed) => [listed.name, listed.model]), [[model, model]]);
    assert.equal(models[0]!.details.quantization_level, "Q4_1");
    const shown = await client.show({ model });
    assert.deepEqual(shown.capabilities, ["completion"]);
    const info = new Map(Object.entries(shown.model_info));
    assert.equal(info.get(`${info.get("general.architecture")}.context_length`), CONTEXT_TOKENS);
    const running = await client.ps();
    assert.partialDeepStrictEqual(running.models, [{ model, context_length: CONTEXT_TOKENS }]);
    assert.ok(running.models[0]!.size > models[0]!.size / 2);
  },

  async "its version is new enough for Copilot Chat"({ client }) {
    const [major, minor] = (await client.version()).version.split(".").map(Number);
    assert.ok(major! > 0 || minor! > 6);
  },
};

const CHATS: Checks = {
  async "it gets an answer, counted and timed"({ client, model }) {
    const answer = await client.chat({ model, messages: CAPITAL, options: { temperature: 0 } });
    assert.match(answer.message.content, /Paris/);
    assert.equal(answer.message.role, "assistant");
    assert.equal(answer.done_reason, "stop");
    assert.ok(answer.prompt_eval_count > 10 && answer.eval_count > 0);
    assert.ok(answer.total_duration >= answer.eval_duration && answer.eval_duration > 1e6);
  },

  async "it gets a stream that is the whole answer"({ client, model }) {
    const ask = { model: `${model}:latest`, messages: STORY, options: { temperature: 1, seed: 4, num_predict: 30 } };
    // A prompt that is cached is computed in other batches than one that is not, which changes rounding: both are cached.
    await client.chat({ ...ask, options: { num_predict: 1 } });
    const whole = await client.chat(ask);
    const parts = await Array.fromAsync(await client.chat({ ...ask, stream: true }));
    assert.equal(parts.map(({ message }) => message.content).join(""), whole.message.content);
    assert.deepEqual(parts.filter(({ done }) => done), [parts.at(-1)]);
    assert.equal(parts.at(-1)!.done_reason, "length");
    assert.equal(parts.at(-1)!.eval_count, 30);
  },

  async "it completes prompts, with the template and raw"({ client, model }) {
    const options = { temperature: 0, num_predict: 8 };
    const prompt = "The capital of France is";
    const raw = await client.generate({ model, prompt, raw: true, options });
    assert.match(raw.response ?? "", /Paris/);
    const templated = await client.generate({ model, prompt, system: "Be brief.", options });
    assert.ok(templated.prompt_eval_count > raw.prompt_eval_count);
  },

  async "a stop text ends the answer and is no part of it"({ client, model }) {
    const answer = await client.chat({ model, messages: CAPITAL, options: { temperature: 0, stop: ["Paris"] } });
    assert.doesNotMatch(answer.message.content, /Paris/);
    assert.equal(answer.done_reason, "stop");
  },

  async "an answer that is left frees its place"({ client, model, rookery }) {
    const stream = await client.chat({ model, messages: STORY, stream: true });
    const reading = async () => {
      for await (const { message } of stream) {
        if (message.content !== "") stream.abort();
      }
    };
    await assert.rejects(reading(), { name: "AbortError" });
    const countActive = async () => (await (await fetch(`${rookery.url}/status`)).json()).engine.active;
    await until(async () => await countActive() === 0);
    assert.equal(await countActive(), 0);
  },

  async "an answer is JSON, as the schema says"({ client, model }) {
    const format = { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"] };
    const answer = await client.chat({ model, messages: CAPITAL, format, options: { temperature: 0 } });
    assert.deepEqual(Object.keys(JSON.parse(answer.message.content)), ["city"]);
  },

  async "a model is unloaded, and comes back with the next question"({ client, model }) {
    const names = async () => (await client.ps()).models.map((running) => running.model);
    assert.equal((await client.chat({ model, keep_alive: 0 })).done_reason, "unload");
    await until(async () => (await names()).length === 0);
    await client.chat({ model, messages: CAPITAL, options: { num_predict: 1 } });
    assert.deepEqual(await names(), [model]);
  },

  async "errors are sentences"({ client, model }) {
    await assert.rejects(client.chat({ model: "llama3", messages: CAPITAL }), {
      status_code: 404,
      message: `Unknown model "llama3"; there is "${model}"`,
    });
    const messages = [{ role: "user", content: "word ".repeat(3 * CONTEXT_TOKENS) }];
    await assert.rejects(client.chat({ model, messages }), (error: Error) => {
      return error.message.includes(String(CONTEXT_TOKENS));
    });
    const thinking = client.chat({ model, messages: CAPITAL, think: true });
    await assert.rejects(thinking, { status_code: 400, message: /does not support thinking/ });
    await assert.rejects(client.embed({ model, input: "x" }), { message: /does not support embeddings/ });
  },
};

const BODIES: Checks = {
  async "the bodies of Ollama's extension and Home Assistant get lines that all have role and content"(subject) {
    for (const body of [OLLAMA_EXTENSION_BODY, HOME_ASSISTANT_BODY]) {
      const options = { ...body.options, num_predict: 8 };
      const response = await post(subject, "/api/chat", { ...body, options, model: subject.model });
      assert.equal(response.status, 200);
      const lines = (await response.text()).replace(/\n$/, "").split("\n").map((line) => JSON.parse(line));
      for (const { message } of lines) {
        assert.deepEqual([message.role, typeof message.content], ["assistant", "string"]);
      }
      assert.deepEqual(lines.map(({ done }) => done), [...Array(lines.length - 1).fill(false), true]);
    }
  },

  async "Continue's body, and URLs with two slashes, are answered"(subject) {
    const shown = await post(subject, "/api/show", { name: subject.model });
    assert.equal(shown.status, 200);
    assert.match((await shown.json()).parameters, new RegExp(`^num_ctx +${CONTEXT_TOKENS}$`, "m"));
    const tags = await fetch(`${subject.rookery.url}//api/tags`);
    assert.equal(tags.status, 200);
    assert.equal((await tags.json()).models[0].model, subject.model);
  },
};

const LIBRARY: Checks = {
  async "a model that is pulled is served at once, and one that is deleted is not any more"(subject) {
    const { client, model } = subject;
    const names = async () => (await client.list()).models.map((listed) => listed.model).sort();
    const parts = await Array.fromAsync(await client.pull({ model: HUB_NAME, stream: true }));
    assert.equal(parts.at(-1)!.status, "success");
    assert.deepEqual(await names(), [model, "some-q8_0"]);
    assert.equal((await client.show({ model: HUB_NAME })).details.format, "gguf");
    await client.delete({ model: HUB_NAME });
    assert.deepEqual(await names(), [model]);
  },
};

/** A hub with one repository, of a model that is small enough for every test. */
function serveHub(): RawServer {
  const bytes = makeModel(1);
  const siblings = [{ rfilename: "Some-Q8_0.gguf", size: bytes.length }];
  const repository = new TextEncoder().encode(JSON.stringify({ id: "owner/some-gguf", siblings }));
  return new RawServer(async (request, reply) => {
    const content = request.path.startsWith("/api/") ? repository : bytes;
    await replyWithFile(request, { reply, bytes: content });
  });
}

async function post({ rookery }: Subject, path: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return await fetch(`${rookery.url}${path}`, { method: "POST", body: JSON.stringify(body), headers });
}
