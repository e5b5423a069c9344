/** What servers of other makers send. The answers are llama-server's, vLLM's and Ollama's, shortened. */
import assert from "node:assert/strict";
import { serveScripts, streamOf, toEvents } from "../../tests/fixtures/other_server.ts";
import {
  answerOf,
  called,
  createRemote,
  doneOf,
  ended,
  failureOf,
  said,
  textOf,
  USAGE,
  VLLM_MODELS,
} from "../../tests/fixtures/remote_exchange.ts";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import { EmbedRequest } from "../contracts/embedding.ts";

const never = new AbortController().signal;

/** Calls and their arguments, put together. */
function callsOf(events: readonly ChatEvent[]): [name: string, args: string][] {
  const calls: [string, string][] = [];
  for (const event of events) {
    if (event.type === "tool_call") calls[event.index] = [event.name, ""];
    if (event.type === "tool_arguments") calls[event.index]![1] += event.text;
  }
  return calls;
}

Deno.test("Usage comes in a chunk of its own, in the last one, or not at all", async () => {
  const own = await answerOf(() => streamOf(toEvents([said("a b c"), ended("stop"), USAGE])));
  const told = { promptTokens: 31, cachedTokens: 20, completionTokens: 3, reasoningTokens: 0 };
  assert.deepEqual(doneOf(own.events).usage, told);
  const last = await answerOf(() => streamOf(toEvents([said("a b c"), { ...ended("stop"), usage: USAGE.usage }])));
  assert.deepEqual(doneOf(last.events).usage, told);
  const none = await answerOf(() => streamOf(toEvents([said("three words here"), ended("stop")])));
  const { promptTokens, completionTokens } = doneOf(none.events).usage;
  assert.ok(promptTokens > 0 && completionTokens >= 3 && completionTokens < 10, "an estimate");
});

Deno.test("Events are read whatever their lines end in, with or without a space, between comments and in any pieces", async () => {
  const data = [said("Gö"), said("od"), ended("stop")].map((chunk) => JSON.stringify(chunk));
  const dialects = [
    data.map((text) => `data: ${text}\r\n\r\n`).join("") + "data: [DONE]\r\n\r\n",
    data.map((text) => `data:${text}\n\n`).join("") + "data:[DONE]\n\n",
    data.map((text) => `: ping\n\nevent: message\nid: 1\ndata: ${text}\n\n`).join(""),
  ];
  for (const text of dialects) {
    for (const size of [1, 7, text.length]) {
      const pieces = Array.from(
        { length: Math.ceil(text.length / size) },
        (_, at) => text.slice(at * size, (at + 1) * size),
      );
      const { events } = await answerOf(() => streamOf(pieces));
      assert.deepEqual(
        [textOf(events), doneOf(events).finishReason],
        ["Göod", "stop"],
        JSON.stringify(text.slice(0, 40)),
      );
    }
  }
});

Deno.test("Thoughts are told by either of their names, and once when a server sends both", async () => {
  for (
    const delta of [{ reasoning_content: "Hm" }, { reasoning: "Hm" }, { reasoning: "Hm", reasoning_content: "Hm" }]
  ) {
    const chunks = [{ choices: [{ delta }] }, said("Yes"), ended("stop")];
    const { events } = await answerOf(() => streamOf(toEvents(chunks)));
    const content = events.filter(({ type }) => type === "reasoning" || type === "text");
    assert.deepEqual(content, [{ type: "reasoning", text: "Hm" }, { type: "text", text: "Yes" }]);
  }
});

Deno.test("Calls are put together from every way in which servers stream them", async () => {
  const dialects: Record<string, object[]> = {
    "OpenAI and llama-server": [
      called({ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }),
      called({ index: 0, function: { arguments: '{"x":' } }),
      called({ index: 0, function: { arguments: "1}" } }),
      called({ index: 1, id: "b", type: "function", function: { name: "g", arguments: "{}" } }),
    ],
    "vLLM, which repeats ids and sends nulls": [
      called({ index: 0, id: "a", function: { name: "f", arguments: null } }),
      called({ index: 0, id: "a", function: { name: null, arguments: '{"x":1}' } }),
      called({ index: 1, id: "b", function: { name: "g" } }),
    ],
    "Ollama, whose calls are whole and all number 0": [
      called({ index: 0, id: "a", function: { name: "f", arguments: '{"x":1}' } }),
      called({ index: 0, id: "b", function: { name: "g", arguments: "{}" } }),
    ],
    "several in one piece, without numbers, with arguments as objects": [
      called({ id: "a", function: { name: "f", arguments: { x: 1 } } }, {
        id: "b",
        function: { name: "g", arguments: {} },
      }),
    ],
    "a name that comes after the first arguments": [
      called({ index: 0, id: "a", function: { arguments: '{"x"' } }),
      called({ index: 0, function: { name: "f", arguments: ":1}" } }),
      called({ index: 1, id: "b", function: { name: "g", arguments: "{}" } }),
    ],
  };
  for (const [dialect, chunks] of Object.entries(dialects)) {
    const { events } = await answerOf(() => streamOf(toEvents([...chunks, ended("tool_calls"), USAGE])));
    assert.deepEqual(callsOf(events), [["f", '{"x":1}'], ["g", "{}"]], dialect);
    const ids = events.flatMap((event) => event.type === "tool_call" ? [event.id] : []);
    assert.deepEqual(ids, ["a", "b"], dialect);
    assert.equal(doneOf(events).finishReason, "tool_calls");
  }
});

Deno.test("Calls without an id get one, and end in tool_calls where a server says stop", async () => {
  const chunks = [called({ index: 0, function: { name: "f", arguments: "{}" } }), ended("stop")];
  const { events } = await answerOf(() => streamOf(toEvents(chunks)));
  const [call] = events.filter(({ type }) => type === "tool_call");
  assert.match(call?.type === "tool_call" ? call.id : "", /^call_\w{32}$/);
  assert.equal(doneOf(events).finishReason, "tool_calls");
});

Deno.test("A server that passes over that a tool has to be called has not answered", async () => {
  const tools = [{ name: "f", description: "", parameters: true, strict: false }];
  const answer = (reason: string) => () => streamOf(toEvents([said("Let me think"), ended(reason)]));
  const ask = (toolChoice: ChatRequest["toolChoice"], reason: string) => {
    return answerOf(answer(reason), { request: { tools, toolChoice } });
  };
  for (const toolChoice of ["required", { name: "f" }] as const) {
    await assert.rejects(ask(toolChoice, "stop"), { code: "answer_invalid" });
    assert.equal(doneOf((await ask(toolChoice, "length")).events).finishReason, "length");
  }
  assert.equal(doneOf((await ask("auto", "stop")).events).finishReason, "stop");
});

Deno.test("Pieces of calls that are mixed end the answer with an error instead of mixed-up arguments", async () => {
  const mixed = [
    called({ index: 0, id: "a", function: { name: "f", arguments: "{" } }),
    called({ index: 1, id: "b", function: { name: "g", arguments: "{" } }),
    called({ index: 0, function: { arguments: "}" } }),
  ];
  assert.equal((await failureOf(() => streamOf(toEvents(mixed)))).code, "engine_gone");
});

Deno.test("Probabilities are read in the chat's form and in that of OpenAI's completions", async () => {
  const raw = { messages: null, prompt: "a", logprobs: 2 };
  const columns = { tokens: ["b"], token_logprobs: [-0.5], top_logprobs: [{ c: -1, b: -0.5 }], text_offset: [1] };
  const list = {
    content: [{
      token: "b",
      bytes: [98],
      logprob: -0.5,
      top_logprobs: [{ token: "b", bytes: [98], logprob: -0.5 }, { token: "c", bytes: [99], logprob: -1 }],
    }],
  };
  for (const logprobs of [columns, list]) {
    const chunk = { choices: [{ index: 0, text: "b", logprobs, finish_reason: "length" }] };
    const { events, body } = await answerOf(() => streamOf(toEvents([chunk])), { request: raw });
    const [text] = events.filter(({ type }) => type === "text");
    const b = { text: "b", bytes: [98], logprob: -0.5 };
    assert.deepEqual(text, {
      type: "text",
      text: "b",
      tokens: [{ ...b, top: [b, { text: "c", bytes: [99], logprob: -1 }] }],
    });
    assert.partialDeepStrictEqual(body, { model: "org/model", prompt: "a", logprobs: 2, stream: true });
  }
});

Deno.test("Vectors come as base64 or as numbers, in any order and of any length", async () => {
  const base64 = new Uint8Array(new Float32Array([3, 4]).buffer).toBase64();
  await using server = serveScripts({
    "/v1/models": () => Response.json(VLLM_MODELS),
    "/v1/embeddings": ({ attempt }) =>
      attempt === 3 ? Response.json({ data: [] }) : Response.json({
        data: [{ index: 1, embedding: [0, 5] }, { index: 0, embedding: attempt === 1 ? base64 : [3, 4] }],
        usage: { prompt_tokens: 2, total_tokens: 2 },
      }),
  });
  await using remote = createRemote(server.url);
  const request = EmbedRequest.parse({ id: "r", owner: "local", model: "gpu/org/model", inputs: ["a", "b"] });
  for (const _ of [1, 2]) {
    const { vectors, promptTokens } = await remote.embed(request, never);
    assert.deepEqual([vectors, promptTokens], [[Float32Array.of(0.6, 0.8), Float32Array.of(0, 1)], 2]);
  }
  assert.deepEqual(server.asked["/v1/embeddings"]![0], {
    model: "org/model",
    input: ["a", "b"],
    encoding_format: "base64",
  });
  await assert.rejects(remote.embed(request, never), { code: "engine_gone", message: /0 vectors|no embeddings/ });
});
