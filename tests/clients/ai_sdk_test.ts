import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, isStepCount, type ModelMessage, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  assertIdle,
  type Checks,
  LIGHTS,
  STORY,
  tellsBothNumbers,
  testClient,
  TOO_LONG,
} from "../fixtures/client_checks.ts";

type Provider = ReturnType<typeof connect>;

/** The provider as its documentation shows it, with the schemas that Rookery keeps to. */
function connect(url: string) {
  return createOpenAICompatible({
    name: "rookery",
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
}

const Light = z.object({ room: z.enum(["pantry", "attic"]), brightness: z.number().int().min(1).max(100) });

// It says on standard error that raw completions have no tools.
globalThis.AI_SDK_LOG_WARNINGS = false;

const CALM = { temperature: 0, maxRetries: 0 };

const CHATS: Checks<Provider> = {
  async "a model answers, counted"({ client, model }) {
    const ask = { model: client(model), prompt: "What is the capital of France? Answer in one short sentence." };
    const { text, finishReason, usage } = await generateText({ ...ask, ...CALM });
    assert.match(text, /Paris/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens! > 15 && usage.outputTokens! > 0);
    assert.equal(usage.totalTokens, usage.inputTokens! + usage.outputTokens!);
  },

  async "a stream is the whole answer, with its usage and the reason for its end"({ client, model }) {
    const ask = { model: client(model), prompt: STORY, ...CALM, maxOutputTokens: 12 };
    const whole = await generateText(ask);
    const stream = streamText(ask);
    const pieces = await Array.fromAsync(stream.textStream);
    assert.equal(pieces.join(""), whole.text);
    assert.ok(pieces.length > 5, "it comes in pieces");
    assert.equal(await stream.finishReason, "length");
    assert.equal((await stream.usage).outputTokens, 12);
  },

  async "a raw prompt is continued"({ client, model }) {
    const ask = { model: client.completionModel(model), prompt: "The capital of France is", maxOutputTokens: 8 };
    assert.ok((await generateText({ ...ask, ...CALM })).text.length > 0);
  },
};

const TOOLS: Checks<Provider> = {
  async "a tool is called, run by the library, and its result read in the next step"({ client, model }) {
    const given: z.infer<typeof Light>[] = [];
    const turn_on = tool({
      description: "Turns a light on",
      inputSchema: Light,
      execute(light) {
        given.push(light);
        return `The light of the ${light.room} is on. `.repeat(16);
      },
    });
    const { steps } = await generateText({
      model: client(model),
      prompt: LIGHTS,
      tools: { turn_on },
      ...CALM,
      maxOutputTokens: 64,
      providerOptions: { rookery: { parallel_tool_calls: false } },
      stopWhen: isStepCount(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "auto" }),
    });
    assert.equal(steps.length, 2);
    assert.ok(given.length > 0);
    for (const light of given) assert.deepEqual(Light.parse(light), light);
    assert.ok(steps[1]!.usage.inputTokens! > steps[0]!.usage.inputTokens! + 16 * 6, "the result is in the prompt");
    assert.ok(steps[1]!.usage.inputTokenDetails.cacheReadTokens! > 0.5 * steps[0]!.usage.inputTokens!);
  },

  async "a named call streams in pieces that make what the schema permits"({ client, model }) {
    const stream = streamText({
      model: client(model),
      prompt: LIGHTS,
      tools: { turn_on: tool({ description: "Turns a light on", inputSchema: Light }) },
      toolChoice: { type: "tool", toolName: "turn_on" },
      ...CALM,
    });
    const pieces = (await Array.fromAsync(stream.fullStream)).filter(({ type }) => type === "tool-input-delta");
    const [call] = await stream.toolCalls;
    assert.ok(pieces.length > 1, "the arguments come as they are written");
    assert.equal(call!.toolName, "turn_on");
    assert.deepEqual(Light.parse(call!.input), call!.input);
    assert.equal(await stream.finishReason, "tool-calls");
  },

  async "objects are what the schema says, whole and streamed"({ client, model }) {
    const ask = { model: client(model), prompt: LIGHTS, ...CALM };
    const { output } = await generateText({ ...ask, output: Output.object({ schema: Light }) });
    assert.deepEqual(Light.parse(output), output);
    const streamed = await streamText({ ...ask, output: Output.object({ schema: Light }) }).output;
    assert.deepEqual(Light.parse(streamed), streamed);
  },
};

const EMBEDDINGS: Checks<Provider> = {
  async "texts become vectors"({ client, embedder }) {
    const values = ["A raven sits on the roof.", "A crow is on the housetop."];
    const { embeddings, usage } = await embedMany({ model: client.embeddingModel(embedder), values, maxRetries: 0 });
    assert.deepEqual(embeddings.map(({ length }) => length), [384, 384]);
    assert.ok(usage.tokens > 10);
  },
};

const FAILURES: Checks<Provider> = {
  async "an unknown model and a prompt that is too long are errors that say so"({ client, model }) {
    await assert.rejects(generateText({ model: client("gpt-4"), prompt: LIGHTS, ...CALM }), (error) => {
      return APICallError.isInstance(error) && error.statusCode === 404 &&
        error.message.includes(`"${model}"`);
    });
    const messages: ModelMessage[] = [{ role: "user", content: TOO_LONG }];
    await assert.rejects(generateText({ model: client(model), messages, ...CALM }), (error) => {
      return APICallError.isInstance(error) && error.statusCode === 400 && tellsBothNumbers(error.message);
    });
    const failures: unknown[] = [];
    const onError = ({ error }: { error: unknown }) => void failures.push(error);
    await streamText({ model: client(model), messages, ...CALM, onError }).consumeStream();
    assert.ok(APICallError.isInstance(failures[0]) && tellsBothNumbers(failures[0].message));
  },

  async "an answer that is left frees its place"({ client, model, rookery }) {
    const leaving = new AbortController();
    let wasAborted = false;
    const { fullStream } = streamText({ model: client(model), prompt: STORY, ...CALM, abortSignal: leaving.signal });
    for await (const { type } of fullStream) {
      if (type === "text-delta") leaving.abort();
      wasAborted ||= type === "abort";
    }
    assert.ok(wasAborted);
    await assertIdle(rookery);
  },
};

testClient("Vercel's AI SDK speaks to Rookery", {
  connect,
  checks: { ...CHATS, ...TOOLS, ...EMBEDDINGS, ...FAILURES },
});
