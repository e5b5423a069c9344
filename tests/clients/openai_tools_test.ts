import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { assertIdle, type Checks, LIGHTS, STORY, testClient } from "../fixtures/client_checks.ts";

type Messages = OpenAI.ChatCompletionMessageParam[];

/** What the tool takes. Whatever a model makes of it, the grammar lets nothing else through. */
const Light = z.strictObject({
  room: z.enum(["pantry", "attic"]),
  brightness: z.int().min(1).max(100),
  colour: z.string().regex(/^#[0-9a-f]{6}$/).nullable(),
});
const parameters = { type: "object", properties: { room: { enum: ["pantry", "attic"] } }, required: ["room"] };
const LIGHT_TOOL = { name: "turn_on", description: "Turns a light on", parameters };
const TOOL = { type: "function", function: LIGHT_TOOL } as const;
const RESPONSE_TOOL = { type: "function", ...LIGHT_TOOL, strict: false } as const;
const NAMED = { type: "function", function: { name: "turn_on" } } as const;
const RESULT = "The light was turned on, said the switch beside the door. ".repeat(8);

const ASKED: Messages = [{ role: "user", content: LIGHTS }];

const TOOLS: Checks<OpenAI> = {
  async "a call that must be is one that the schema permits, and its result is read in the next turn"(subject) {
    const { client, model } = subject;
    const ask = { model, temperature: 0, tools: [TOOL], parallel_tool_calls: false };
    const first = await client.chat.completions.create({ ...ask, messages: ASKED, tool_choice: "required" });
    const { message, finish_reason } = first.choices[0]!;
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.content, null);
    const call = message.tool_calls![0]!;
    assert.ok(call.type === "function" && message.tool_calls!.length === 1);
    assert.equal(call.function.name, "turn_on");
    assert.match(JSON.parse(call.function.arguments).room, /^(pantry|attic)$/);
    const messages: Messages = [...ASKED, message, { role: "tool", tool_call_id: call.id, content: RESULT }];
    const second = await client.chat.completions.create({ ...ask, messages, max_tokens: 8 });
    assert.ok(second.usage!.completion_tokens > 0);
    assert.ok(second.usage!.prompt_tokens > first.usage!.prompt_tokens + 8 * 10, "the result is part of the prompt");
    assert.ok(second.usage!.prompt_tokens_details!.cached_tokens! >= first.usage!.prompt_tokens - 8);
    const third = await client.chat.completions.create({ ...ask, messages, tool_choice: "none", max_tokens: 8 });
    assert.equal(typeof third.choices[0]!.message.content, "string");
    assert.equal(third.choices[0]!.message.tool_calls, undefined);
  },

  async "a named call streams in pieces that the library puts together"({ client, model }) {
    const ask = { model, messages: ASKED, tools: [TOOL], tool_choice: NAMED, temperature: 0 };
    const stream = client.chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
    const pieces = new Set<string>();
    stream.on("tool_calls.function.arguments.delta", ({ arguments_delta }) => pieces.add(arguments_delta));
    const { name, arguments: args } = (await stream.finalFunctionToolCall())!;
    assert.equal(name, "turn_on");
    assert.match(JSON.parse(args).room, /^(pantry|attic)$/);
    assert.ok(pieces.size > 1, "the arguments come as they are written");
    assert.ok((await stream.totalUsage()).completion_tokens > 0);
  },

  async "the library calls the function itself, with arguments that were validated"({ client, model }) {
    const given: z.infer<typeof Light>[] = [];
    const tool = zodFunction({ name: "turn_on", parameters: Light, function: (light) => void given.push(light) });
    const runner = client.chat.completions.runTools({
      model,
      messages: ASKED,
      tools: [tool],
      tool_choice: NAMED,
      temperature: 0,
    });
    await runner.done();
    assert.equal(given.length, 1);
    assert.deepEqual(Light.parse(given[0]), given[0]);
  },

  async "the older functions are answered in the older form"({ client, model }) {
    const ask = { model, messages: ASKED, functions: [LIGHT_TOOL], function_call: { name: "turn_on" }, temperature: 0 };
    const { message, finish_reason } = (await client.chat.completions.create(ask)).choices[0]!;
    assert.equal(message.function_call!.name, "turn_on");
    assert.match(JSON.parse(message.function_call!.arguments).room, /^(pantry|attic)$/);
    assert.equal(finish_reason, "function_call");
  },
};

const SCHEMAS: Checks<OpenAI> = {
  async "an answer is parsed by the schema that it was asked in, whole and streamed"({ client, model }) {
    const Plan = z.strictObject({ lights: z.array(Light).min(1).max(2), isUrgent: z.boolean() });
    const ask = { model, messages: ASKED, response_format: zodResponseFormat(Plan, "plan"), temperature: 0 };
    const whole = (await client.chat.completions.parse(ask)).choices[0]!.message.parsed;
    assert.deepEqual(Plan.parse(whole), whole);
    const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
    assert.deepEqual(Plan.parse(streamed.choices[0]!.message.parsed), streamed.choices[0]!.message.parsed);
  },

  async "an answer that must be an object begins as one, and is one when it ends"({ client, model }) {
    const ask = { model, messages: ASKED, response_format: { type: "json_object" as const }, max_tokens: 64 };
    const { message, finish_reason } = (await client.chat.completions.create({ ...ask, temperature: 0 })).choices[0]!;
    assert.match(message.content!, /^\s*\{\s*["}]/);
    if (finish_reason === "stop") assert.equal(typeof JSON.parse(message.content!), "object");
  },

  async "a strict schema that cannot be kept is refused, and its keyword named"({ client, model }) {
    const schema = { type: "object", properties: { room: { not: { const: "attic" } } } };
    const response_format = { type: "json_schema", json_schema: { name: "place", strict: true, schema } } as const;
    await assert.rejects(client.chat.completions.create({ model, messages: ASKED, response_format }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "response_format.json_schema.schema");
      return error.message.includes('"not"') && error.message.includes("properties.room");
    });
  },
};

const RESPONSES: Checks<OpenAI> = {
  async "a response calls, whole and streamed, and goes on with what the call came to"({ client, model }) {
    const ask = { model, tools: [RESPONSE_TOOL], temperature: 0, store: false };
    const forced = { ...ask, input: LIGHTS, tool_choice: "required", parallel_tool_calls: false } as const;
    const whole = await client.responses.create(forced);
    const streamed = await client.responses.stream(forced).finalResponse();
    for (const { output, status } of [whole, streamed]) {
      assert.equal(status, "completed");
      assert.deepEqual(output.map(({ type }) => type), ["function_call"]);
    }
    const call = whole.output[0] as OpenAI.Responses.ResponseFunctionToolCall;
    assert.match(JSON.parse(call.arguments).room, /^(pantry|attic)$/);
    const { call_id } = call;
    const input = [{ role: "user" as const, content: LIGHTS }, call, {
      type: "function_call_output" as const,
      call_id,
      output: RESULT,
    }];
    const second = await client.responses.create({ ...ask, input, max_output_tokens: 16 });
    assert.ok(second.usage!.output_tokens > 0);
    assert.ok(second.usage!.input_tokens > whole.usage!.input_tokens + 8 * 10);
    assert.ok(second.usage!.input_tokens_details.cached_tokens > 0);
  },

  async "a response is parsed by its schema"({ client, model }) {
    const text = { format: zodTextFormat(Light, "light") };
    const { output_parsed } = await client.responses.parse({ model, input: LIGHTS, text, temperature: 0 });
    assert.deepEqual(Light.parse(output_parsed), output_parsed);
  },
};

const EMBEDDINGS: Checks<OpenAI> = {
  async "texts become vectors, the nearer the more alike, packed or plain, whole or cut"({ client, embedder }) {
    const input = ["A raven sits on the roof.", "A crow is on the housetop.", "Interest rates fell again."];
    const { data, usage } = await client.embeddings.create({ model: embedder, input });
    const [raven, crow, rates] = data.map(({ embedding }) => embedding) as [number[], number[], number[]];
    assert.equal(raven.length, 384);
    assert.ok(multiply(raven, crow) > 0.5 && multiply(raven, rates) < 0.3);
    assert.ok(usage.prompt_tokens > 15 && usage.total_tokens === usage.prompt_tokens);
    const plain = await client.embeddings.create({ model: embedder, input: input[0]!, encoding_format: "float" });
    assert.ok(multiply(plain.data[0]!.embedding, raven) > 0.999);
    const cut = await client.embeddings.create({ model: embedder, input: input[0]!, dimensions: 32 });
    assert.equal(cut.data[0]!.embedding.length, 32);
    assert.ok(Math.abs(multiply(cut.data[0]!.embedding, cut.data[0]!.embedding) - 1) < 1e-3);
  },

  async "a text that is too long is refused, and so is a model that chats"({ client, embedder, model }) {
    const asking = client.embeddings.create({ model: embedder, input: "raven ".repeat(1000) });
    await assert.rejects(asking, (error) => error instanceof OpenAI.BadRequestError && /\d{3}/.test(error.message));
    await assert.rejects(client.embeddings.create({ model, input: "raven" }), {
      message: new RegExp(`does not support embeddings: name "${embedder}"`),
    });
  },
};

/** A tool whose call takes long. */
const Text = z.strictObject({ text: z.string().min(1500) });

const BREAKS: Checks<OpenAI> = {
  async "a call and a response that are left free their places"({ client, model, rookery }) {
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: "user", content: STORY }],
      tools: [zodFunction({ name: "write", parameters: Text })],
      tool_choice: "required",
    });
    stream.on("tool_calls.function.arguments.delta", () => stream.abort());
    await assert.rejects(stream.done(), OpenAI.APIUserAbortError);
    await assertIdle(rookery);
    const response = await client.responses.create({ model, input: STORY, stream: true });
    for await (const event of response) {
      if (event.type === "response.output_text.delta") response.controller.abort();
    }
    await assertIdle(rookery);
  },

  async "a call that breaks off with the worker is an error, and the next one is answered"({ client, model, rookery }) {
    const tools = [zodFunction({ name: "write", parameters: Text })];
    const messages: Messages = [{ role: "user", content: STORY }];
    const stream = client.chat.completions.stream({ model, messages, tools, tool_choice: "required" });
    const pid = Number(/"event":"worker_started","pid":(\d+)/.exec(rookery.output)![1]);
    stream.once("tool_calls.function.arguments.delta", () => Deno.kill(pid, "SIGKILL"));
    await assert.rejects(stream.done(), (error) => error instanceof OpenAI.APIError && error.code === "engine_gone");
    const ask = { model, messages: ASKED, tools: [TOOL], tool_choice: NAMED };
    assert.equal((await client.chat.completions.create(ask)).choices[0]!.finish_reason, "tool_calls");
  },
};

testClient("OpenAI's own library calls tools, asks for schemas and embeds", {
  connect: (url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 }),
  checks: { ...TOOLS, ...SCHEMAS, ...RESPONSES, ...EMBEDDINGS, ...BREAKS },
});

function multiply(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * b[at]!, 0);
}
