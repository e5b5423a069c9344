import assert from "node:assert/strict";
import OpenAI from "openai";
import { COPILOT_AGENT_BODY } from "../fixtures/client_bodies.ts";
import { until } from "../fixtures/processes.ts";
import { readBytes } from "../fixtures/http.ts";
import { type StartedRookery, startRookery } from "../fixtures/started_rookery.ts";
import { skipUnless, testModel } from "../prerequisites.ts";
import { findStreamViolations } from "./copilot_stream.ts";

const CONTEXT_TOKENS = 2048;

type Messages = OpenAI.ChatCompletionMessageParam[];

const CAPITAL: Messages = [{ role: "user", content: "What is the capital of France? Answer in one short sentence." }];
const STORY: Messages = [{ role: "user", content: "Tell me a very long story about ravens." }];

skipUnless(testModel("smollm2-135m"), "OpenAI's own library speaks to Rookery", (modelPath) => {
  Deno.test("OpenAI's own library speaks to Rookery", async (t) => {
    await using rookery = await startRookery(modelPath, { ROOKERY_CONTEXT: String(CONTEXT_TOKENS) });
    const client = new OpenAI({ baseURL: `${rookery.url}/v1`, apiKey: "none", maxRetries: 0 });
    const model = rookery.model;
    for (const [name, check] of Object.entries({ ...CHATS, ...STREAMS, ...OTHER_FORMS, ...ERRORS })) {
      await t.step(name, () => check({ client, model, rookery }));
    }
    assert.doesNotMatch(rookery.output, /"level":"error"|capital|ravens/i, "no failure and no content in the log");
  });
});

interface Subject {
  client: OpenAI;
  model: string;
  rookery: StartedRookery;
}

type Checks = Record<string, (subject: Subject) => Promise<void>>;

const CHATS: Checks = {
  async "it lists and describes the model"({ client, model }) {
    const models = await Array.fromAsync(client.models.list());
    assert.deepEqual(models.map(({ id }) => id), [model]);
    assert.partialDeepStrictEqual(await client.models.retrieve(model), { context_length: CONTEXT_TOKENS });
  },

  async "it gets an answer, counted"({ client, model }) {
    const completion = await client.chat.completions.create({ model, messages: CAPITAL, temperature: 0 });
    assert.match(completion.choices[0]!.message.content!, /Paris/);
    assert.equal(completion.choices[0]!.finish_reason, "stop");
    const { prompt_tokens, completion_tokens, total_tokens } = completion.usage!;
    assert.ok(prompt_tokens > 10 && completion_tokens > 0);
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
  },

  async "the second turn finds the first in the cache"({ client, model }) {
    const messages: Messages = [{ role: "user", content: "My name is Ada. Remember it, please." }];
    const first = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 32 });
    messages.push(first.choices[0]!.message, { role: "user", content: "What is my name?" });
    const second = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 16 });
    assert.ok(second.usage!.prompt_tokens_details!.cached_tokens! >= first.usage!.prompt_tokens / 2);
  },

  async "it is cut at max_tokens"({ client, model }) {
    const completion = await client.chat.completions.create({ model, messages: STORY, max_tokens: 5 });
    assert.equal(completion.choices[0]!.finish_reason, "length");
    assert.equal(completion.usage!.completion_tokens, 5);
  },

  async "a stop text ends the answer and is no part of it"({ client, model }) {
    const ask = { model, messages: CAPITAL, temperature: 0 };
    const whole = (await client.chat.completions.create(ask)).choices[0]!.message.content!;
    const completion = await client.chat.completions.create({ ...ask, stop: ["Paris"] });
    assert.equal(completion.choices[0]!.message.content, whole.slice(0, whole.indexOf("Paris")));
    assert.equal(completion.choices[0]!.finish_reason, "stop");
  },

  async "one seed gives one answer, and another seed another"({ client, model }) {
    const ask = async (seed: number) => {
      const answer = await client.chat.completions.create({
        model,
        messages: STORY,
        seed,
        temperature: 1,
        max_tokens: 24,
      });
      return answer.choices[0]!.message.content;
    };
    // A prompt that is cached is computed in other batches than one that is not, which changes rounding: both are cached.
    await ask(0);
    const first = await ask(1);
    assert.equal(await ask(1), first);
    assert.notEqual(await ask(2), first);
  },

  async "several user messages in a row, a developer's and content parts are all read"({ client, model }) {
    const ask = async (messages: Messages) => {
      const answer = await client.chat.completions.create({ model, messages, temperature: 0, max_tokens: 8 });
      return answer.usage!.prompt_tokens;
    };
    const rest: Messages = [
      { role: "user", content: "I live in a small town." },
      { role: "user", content: [{ type: "text", text: "What is" }, { type: "text", text: "my favourite animal?" }] },
    ];
    const [with_, without] = [
      await ask([{ role: "developer", content: "Be as brief as you can." }, ...rest]),
      await ask(rest),
    ];
    assert.ok(with_ > 20 && without > 15 && with_ !== without);
  },
};

const STREAMS: Checks = {
  async "it gets a stream, with usage at its end"({ client, model }) {
    const stream = await client.chat.completions.create({
      model,
      messages: CAPITAL,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    assert.match(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), /Paris/);
    assert.deepEqual(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? []), ["stop"]);
    assert.ok(chunks.at(-1)!.usage!.total_tokens > 0);
  },

  async "what streams is what is answered as a whole"({ client, model }) {
    const ask = { model, messages: STORY, temperature: 0.7, seed: 3, max_tokens: 24 };
    await client.chat.completions.create({ ...ask, seed: 0 });
    const whole = await client.chat.completions.create(ask);
    const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
    assert.equal(streamed.choices[0]!.message.content, whole.choices[0]!.message.content);
  },

  async "eight streams at once are all as Copilot needs them"({ model, rookery }) {
    const streams = Array.from({ length: 8 }, async (_, seed) => {
      const body = {
        model,
        messages: STORY,
        seed,
        max_tokens: 20,
        stream: true,
        stream_options: { include_usage: true },
      };
      const response = await post(rookery, body);
      assert.equal(response.status, 200);
      assert.deepEqual(findStreamViolations(await readBytes(response)), []);
    });
    await Promise.all(streams);
  },

  async "Copilot's agent mode gets its answer"({ model, rookery }) {
    const response = await post(rookery, { ...COPILOT_AGENT_BODY, model, max_tokens: 16 });
    assert.equal(response.status, 200);
    assert.deepEqual(findStreamViolations(await readBytes(response)), []);
  },

  async "an answer that is left frees its place"({ client, model, rookery }) {
    const stream = await client.chat.completions.create({ model, messages: STORY, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) stream.controller.abort();
    }
    await until(async () => (await readStatus(rookery)).engine.active === 0);
    assert.equal((await readStatus(rookery)).engine.active, 0);
  },
};

const OTHER_FORMS: Checks = {
  async "a raw prompt is continued, whole and streamed"({ client, model }) {
    const ask = { model, prompt: "The capital of France is", temperature: 0, max_tokens: 8 };
    const whole = await client.completions.create({ ...ask, echo: true });
    assert.match(whole.choices[0]!.text, /^The capital of France is.*Paris/);
    assert.equal(whole.choices[0]!.finish_reason, "length");
    assert.equal(whole.usage!.completion_tokens, 8);
    const pieces = await Array.fromAsync(await client.completions.create({ ...ask, stream: true }));
    const text = pieces.map(({ choices }) => choices[0]?.text ?? "").join("");
    assert.equal(ask.prompt + text, whole.choices[0]!.text);
  },

  async "several answers come at once"({ client, model }) {
    const ask = { model, messages: STORY, n: 3, seed: 1, temperature: 1.2, max_tokens: 12 };
    const { choices, usage } = await client.chat.completions.create(ask);
    assert.deepEqual(choices.map(({ index, finish_reason }) => [index, finish_reason]), [
      [0, "length"],
      [1, "length"],
      [2, "length"],
    ]);
    assert.equal(new Set(choices.map(({ message }) => message.content)).size, 3);
    assert.equal(usage!.completion_tokens, 36);
  },

  async "a response is answered, whole and streamed"({ client, model }) {
    const ask = { model, input: CAPITAL[0]!.content as string, temperature: 0 };
    const whole = await client.responses.create(ask);
    assert.match(whole.output_text, /Paris/);
    assert.equal(whole.status, "completed");
    assert.ok(whole.usage!.input_tokens > 10 && whole.usage!.output_tokens > 0);
    const streamed = await client.responses.stream(ask).finalResponse();
    assert.match(streamed.output_text, /Paris/);
  },

  async "tokens are counted as the model does"({ model, rookery }) {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ model, prompt: "Ravens remember faces" });
    const response = await fetch(`${rookery.url}/v1/tokenize`, { method: "POST", body, headers });
    const { tokens, count, max_model_len } = await response.json();
    assert.equal(tokens.length, count);
    assert.ok(count > 2 && count < 10, `${count} tokens`);
    assert.equal(max_model_len, CONTEXT_TOKENS);
  },
};

const ERRORS: Checks = {
  async "an unknown model is a NotFoundError that names the one there is"({ client, model }) {
    const asking = client.chat.completions.create({ model: "gpt-4", messages: CAPITAL });
    await assert.rejects(asking, (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      assert.equal(error.param, "model");
      return error.message.includes(`there is "${model}"`);
    });
  },

  async "a context overflow is a BadRequestError with both numbers"({ client, model }) {
    const messages: Messages = [{ role: "user", content: "word ".repeat(3 * CONTEXT_TOKENS) }];
    for (const stream of [false, true]) {
      await assert.rejects(client.chat.completions.create({ model, messages, stream }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.code, "context_length_exceeded");
        return /\d{4,5}/.test(error.message) && error.message.includes(String(CONTEXT_TOKENS));
      });
    }
  },

  async "a wrong type is a BadRequestError that names the parameter"({ client, model }) {
    const wrong = { model, messages: CAPITAL, temperature: "hot" as unknown as number };
    await assert.rejects(client.chat.completions.create(wrong), (error) => {
      return error instanceof OpenAI.BadRequestError && error.param === "temperature";
    });
  },
};

async function post(rookery: StartedRookery, body: object): Promise<Response> {
  const headers = { "content-type": "application/json", authorization: "Bearer " };
  return await fetch(`${rookery.url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(body), headers });
}

async function readStatus(rookery: StartedRookery): Promise<{ engine: { active: number } }> {
  return await (await fetch(`${rookery.url}/status`)).json();
}
