import assert from "node:assert/strict";
import { type Answer, ask, GREEDY, rawRequest, settingsOf } from "../../tests/fixtures/llama_engine.ts";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import { type ChatRequest, Sampling, type Tool } from "../contracts/chat.ts";
import { validate } from "../schema/validate.ts";
import type { ChatEngine } from "./engine.ts";
import { createLlamaEngine } from "./llama_engine.ts";

const WEATHER: Tool = {
  name: "get_weather",
  description: "Tells the weather of a city",
  parameters: {
    type: "object",
    properties: {
      city: { type: "string", maxLength: 20 },
      days: { type: "integer", minimum: 1, maximum: 5 },
      unit: { enum: ["celsius", "fahrenheit"] },
    },
    required: ["city", "unit"],
    additionalProperties: false,
  },
  strict: true,
};
const TIME: Tool = {
  name: "get_time",
  description: "Tells what time it is",
  parameters: { type: "object", properties: {}, additionalProperties: false },
  strict: true,
};
const PERSON = {
  type: "object",
  properties: {
    name: { type: "string", pattern: "^[A-Z][a-z]{1,9}$" },
    age: { type: "integer", minimum: 0, maximum: 120 },
    pets: { type: "array", items: { enum: ["cat", "dog", "raven"] }, minItems: 1, maxItems: 2 },
  },
  required: ["name", "age", "pets"],
  additionalProperties: false,
};

/** Forbids every token with which a text, or white space before it, can begin. */
async function forbidBeginningsOf(engine: ChatEngine, text: string): Promise<Record<string, number>> {
  const spaces = ["", " ", "\n", "\t", "\r"].flatMap((one, _, all) => all.map((other) => one + other));
  const logitBias: Record<string, number> = {};
  for (const space of spaces) {
    for (let length = 0; length <= text.length; length++) {
      const [token, ...more] = await engine.tokenize(space + text.slice(0, length));
      if (token !== undefined && more.length === 0) logitBias[token] = -100;
    }
  }
  return logitBias;
}

function parse(answer: Pick<Answer, "text">): Record<string, unknown> {
  const value = JSON.parse(answer.text);
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  return value;
}

function openEngine(path: string): ChatEngine {
  return createLlamaEngine(settingsOf(path, { contextTokens: 1_536 }));
}

function askFor(changes: Partial<ChatRequest>, content = "What is the weather like in Oslo?"): ChatRequest {
  return requestOf(content, { sampling: GREEDY, completionTokensMax: 120, ...changes });
}

skipUnless(testModel("smollm2-135m"), "LlamaEngine's calls on SmolLM2", (path) => {
  Deno.test("LlamaEngine makes a model call the tool that was named, with arguments that fit", async () => {
    await using engine = openEngine(path);
    const request = askFor({ tools: [TIME, WEATHER], toolChoice: { name: "get_weather" } });
    for (const sampling of [GREEDY, Sampling.parse({ temperature: 1, seed: 3 })]) {
      const { calls, text, done } = await ask(engine, { ...request, sampling });
      assert.deepEqual(calls.map(({ name }) => name), ["get_weather"]);
      assert.equal(validate(WEATHER.parameters, JSON.parse(calls[0]!.arguments)), null, calls[0]!.arguments);
      assert.deepEqual([text, done.finishReason], ["", "tool_calls"]);
    }
  });

  Deno.test("LlamaEngine makes a model call some tool when one is required", async () => {
    await using engine = openEngine(path);
    const request = askFor({ tools: [TIME, WEATHER], toolChoice: "required", parallelToolCalls: false });
    const { calls, done } = await ask(engine, request);
    assert.equal(calls.length, 1);
    const tool = [TIME, WEATHER].find(({ name }) => name === calls[0]!.name);
    assert.equal(validate(tool!.parameters, JSON.parse(calls[0]!.arguments)), null);
    assert.equal(done.finishReason, "tool_calls");
  });

  Deno.test("LlamaEngine lets a model answer or call as it likes, and only with arguments that fit", async () => {
    await using engine = openEngine(path);
    for (const seed of [1, 2, 3]) {
      const sampling = Sampling.parse({ temperature: 1, seed });
      const request = askFor(
        { tools: [TIME, WEATHER], sampling, completionTokensMax: 60 },
        "Call get_weather for Oslo.",
      );
      const { calls, text, done } = await ask(engine, request);
      assert.ok(calls.length > 0 || text !== "");
      if (done.finishReason === "length") continue;
      assert.equal(done.finishReason, calls.length > 0 ? "tool_calls" : "stop");
      for (const { arguments: json } of calls) assert.ok(JSON.parse(json) instanceof Object);
    }
  });
});

skipUnless(testModel("smollm2-135m"), "LlamaEngine's formats on SmolLM2", (path) => {
  Deno.test("LlamaEngine writes JSON that a schema accepts, whatever is drawn", async () => {
    await using engine = openEngine(path);
    for (const seed of [1, 2, 3]) {
      const sampling = Sampling.parse({ temperature: 1, topK: 0, topP: 1, minP: 0, seed });
      const format = { type: "schema", schema: PERSON, strict: true } as const;
      const answer = await ask(engine, askFor({ format, sampling }, "Invent a person."));
      assert.equal(validate(PERSON, parse(answer)), null, answer.text);
      assert.equal(answer.done.finishReason, "stop");
    }
  });

  Deno.test("LlamaEngine writes a JSON object when that is asked for", async () => {
    await using engine = openEngine(path);
    const format = { type: "json" } as const;
    const stop = { completionTokensMax: 400 };
    const answer = await ask(engine, askFor({ format, ...stop }, 'Write exactly this and nothing else: {"a": 1}'));
    assert.equal(answer.done.finishReason, "stop");
    parse(answer);
  });
});

skipUnless(testModel("smollm2-135m"), "LlamaEngine's probabilities on SmolLM2", (path) => {
  Deno.test("LlamaEngine tells probabilities of all tokens, whatever is drawn of them", async () => {
    await using engine = openEngine(path);
    for (const temperature of [0, 1]) {
      const sampling = Sampling.parse({ temperature, seed: 5 });
      const request = rawRequest("The raven sat on the old", { logprobs: 5, sampling, completionTokensMax: 8 });
      const { text, tokens, done } = await ask(engine, request);
      assert.equal(tokens.length, done.usage.completionTokens);
      assert.ok(tokens.map((token) => token.text).join("").endsWith(text), "the texts of tokens make up the text");
      for (const { top, logprob, text } of tokens) {
        assert.equal(top.length, 5);
        const sum = top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
        assert.ok(sum > 0 && sum <= 1 + 1e-6, `${sum}`);
        for (const [i, { logprob }] of top.entries()) assert.ok(i === 0 || logprob <= top[i - 1]!.logprob);
        if (temperature === 0) assert.deepEqual([text, logprob], [top[0]!.text, top[0]!.logprob]);
        assert.equal(top.find((odds) => odds.text === text)?.logprob ?? logprob, logprob);
        assert.ok(logprob <= 0);
      }
    }
  });

  Deno.test("LlamaEngine draws the same tokens whether probabilities are told or not", async () => {
    await using engine = openEngine(path);
    const request = rawRequest("The raven sat on the old", { completionTokensMax: 12 });
    await ask(engine, request);
    assert.equal((await ask(engine, { ...request, logprobs: 0 })).text, (await ask(engine, request)).text);
  });

  Deno.test("LlamaEngine forbids and prefers tokens as it is told", async () => {
    await using engine = openEngine(path);
    const answer = async (logitBias: Record<string, number>, temperature = 0) => {
      const sampling = Sampling.parse({ temperature, logitBias, seed: 1 });
      return (await ask(engine, rawRequest("One, two, three, four,", { sampling, completionTokensMax: 1 }))).text;
    };
    const likeliest = await answer({});
    const [token, ...more] = await engine.tokenize(likeliest);
    assert.deepEqual(more, []);
    for (const temperature of [0, 1]) assert.notEqual(await answer({ [token!]: -100 }, temperature), likeliest);
    const [cat, ...none] = await engine.tokenize(" cat");
    assert.deepEqual(none, []);
    for (const temperature of [0, 1]) assert.equal(await answer({ [cat!]: 100 }, temperature), " cat");
    assert.equal(await answer({ 9999999: 100 }), likeliest, "an id that no token has");
  });
});

skipUnless(testModel("smollm2-135m"), "LlamaEngine's limits on SmolLM2", (path) => {
  Deno.test("LlamaEngine fails an answer for which a grammar and a bias leave nothing, and no other", async () => {
    await using engine = createLlamaEngine(settingsOf(path, { sequences: 2 }));
    const schema = { const: "raven" };
    const sampling = Sampling.parse({ temperature: 0, logitBias: await forbidBeginningsOf(engine, '"raven"') });
    const format = { type: "schema", schema, strict: true } as const;
    const stuck = ask(engine, askFor({ format, sampling, owner: "ada" }));
    const sound = ask(engine, askFor({ format, owner: "bob" }));
    await assert.rejects(stuck, { code: "invalid_request", param: "logit_bias" });
    assert.equal((await sound).text.trim(), '"raven"');
  });

  Deno.test("LlamaEngine ends a thought that is longer than it may be, and holds what follows to its form", async () => {
    const template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
      "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}{# </think> enable_thinking #}";
    const settings = settingsOf(path);
    const model = { ...settings.model, chatTemplate: template };
    await using engine = createLlamaEngine({ ...settings, model });
    const format = { type: "schema", schema: { const: "hello" }, strict: true } as const;
    const request = askFor(
      { reasoning: { enabled: null, tokensMax: 6 }, completionTokensMax: 60, format },
      "Say hello.",
    );
    const { reasoning, text, done } = await ask(engine, request);
    assert.match(reasoning, /I have thought long enough/);
    assert.equal(text, '"hello"');
    assert.ok(done.usage.reasoningTokens >= 6 && done.usage.reasoningTokens < 30, `${done.usage.reasoningTokens}`);
  });
});
