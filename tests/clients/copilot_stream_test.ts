import assert from "node:assert/strict";
import { findStreamViolations, type StreamExpectation } from "./copilot_stream.ts";

const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m" };
const usage = { ...head, choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } };
const role = chunk({ role: "assistant", content: "" });
const stop = chunk({}, "stop");

function chunk(delta: object, finish_reason: string | null = null, changes: object = {}): object {
  return { ...head, choices: [{ index: 0, delta, finish_reason }], ...changes };
}

function call(index: unknown, id: string | undefined, args: unknown, name = "f"): object {
  return chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: args } }] });
}

function write(...events: (object | string)[]): Uint8Array {
  const text = events.map((event) => typeof event === "string" ? event : `data: ${JSON.stringify(event)}\n\n`);
  return new TextEncoder().encode(text.join(""));
}

const DONE = "data: [DONE]\n\n";
const failure = { error: { message: "It ended", code: "engine_gone" } };

const GOOD: [name: string, bytes: Uint8Array, expectation?: StreamExpectation][] = [
  ["text with usage", write(role, chunk({ content: "Hi" }), stop, usage, DONE)],
  ["text without usage", write(role, chunk({ content: "Hi" }), stop, DONE), { usage: false }],
  ["comments anywhere", write(": keepalive\n\n", role, ": keepalive\n\n", stop, usage, DONE)],
  ["an answer cut by length", write(role, chunk({ content: "Hi" }), chunk({}, "length"), usage, DONE)],
  ["tool calls in pieces", write(role, call(0, "a", "{"), call(0, "a", "}"), chunk({}, "tool_calls"), usage, DONE)],
  [
    "tool calls whose id and name come once",
    write(
      role,
      call(0, "a", ""),
      chunk({ tool_calls: [{ index: 0, function: { arguments: "{}" } }] }),
      chunk({}, "tool_calls"),
      usage,
      DONE,
    ),
  ],
  ["an error that was meant", write(role, failure), { error: true }],
];

const BAD: [violation: RegExp, bytes: Uint8Array, expectation?: StreamExpectation][] = [
  [/neither data nor comment/, write('{"object":"chat.completion"}\n\n')],
  [/not UTF-8/, new Uint8Array([0xff, 0x0a, 0x0a])],
  [/not ended by an empty line/, write(role, stop, usage, "data: [DONE]\n")],
  [/more than one line/, write(role, `data: ${JSON.stringify(stop)}\ndata: [DONE]\n\n`)],
  [/no JSON object/, write(role, "data: nonsense\n\n", stop, usage, DONE)],
  [/no JSON object/, write(role, "data: [1]\n\n", stop, usage, DONE)],
  [/does not end in \[DONE\]/, write(role, stop, usage)],
  [/follows \[DONE\]/, write(role, stop, DONE, usage)],
  [/no choices, for Copilot/, write(role, chunk({ content: "Hi" }), usage, DONE)],
  [/choice follows the finish_reason/, write(role, stop, chunk({ content: "Hi" }), usage, DONE)],
  [/finishes by eos/, write(role, chunk({}, "eos"), usage, DONE)],
  [/content is lost/, write(role, chunk({ content: "Hi", tool_calls: [] }), stop, usage, DONE)],
  [/role is not in the first/, write(chunk({ content: "Hi" }), stop, usage, DONE)],
  [/role is not in the first/, write(role, chunk({ role: "assistant", content: "Hi" }), stop, usage, DONE)],
  [/id changes/, write(role, chunk({}, "stop", { id: "chatcmpl-2" }), usage, DONE)],
  [/id is 7/, write(chunk({ role: "assistant" }, "stop", { id: 7 }), DONE)],
  [/object is chat.completion$/, write(role, chunk({}, "stop", { object: "chat.completion" }), usage, DONE)],
  [/no created/, write(role, chunk({}, "stop", { created: "now" }), usage, DONE)],
  [/has no choices/, write(role, { ...head }, stop, usage, DONE)],
  [/has 0 choices/, write(role, { ...head, choices: [] }, stop, usage, DONE)],
  [/index is undefined/, write(role, { ...head, choices: [{ delta: {}, finish_reason: "stop" }] }, usage, DONE)],
  [/lacks a number/, write(role, stop, { ...usage, usage: { prompt_tokens: 1, completion_tokens: 2 } }, DONE)],
  [
    /not the sum/,
    write(role, stop, { ...usage, usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 9 } }, DONE),
  ],
  [/with usage has choices/, write(role, { ...stop, usage: usage.usage }, DONE)],
  [/before the finish_reason/, write(role, usage, stop, DONE)],
  [/0 chunks with usage/, write(role, stop, DONE)],
  [/1 chunks with usage/, write(role, stop, usage, DONE), { usage: false }],
  [/no index/, write(role, call(undefined, "a", "{}"), chunk({}, "tool_calls"), usage, DONE)],
  [/no id/, write(role, call(0, undefined, "{}"), chunk({}, "tool_calls"), usage, DONE)],
  [/no name/, write(role, call(0, "a", "{}", ""), chunk({}, "tool_calls"), usage, DONE)],
  [/one id/, write(role, call(0, "a", "{}"), call(1, "a", "{}"), chunk({}, "tool_calls"), usage, DONE)],
  [
    /interleaved/,
    write(role, call(0, "a", "{"), call(1, "b", "{}"), call(0, "a", "}"), chunk({}, "tool_calls"), usage, DONE),
  ],
  [
    /the parser throws/,
    write(role, call(0, "a", "{}"), chunk({ tool_calls: [{ index: 0 }] }), chunk({}, "tool_calls"), usage, DONE),
  ],
  [/arguments are no text/, write(role, call(0, "a", {}), chunk({}, "tool_calls"), usage, DONE)],
  [/they are dropped/, write(role, call(0, "a", "{}"), chunk({}, "length"), usage, DONE)],
  [/tool_calls without any/, write(role, chunk({}, "tool_calls"), usage, DONE)],
  [/ten texts are equal/, write(role, ...Array(10).fill(chunk({ content: "ha" })), stop, usage, DONE)],
  [/An error event came/, write(role, failure)],
  [/No error event came/, write(role, stop, usage, DONE), { error: true }],
  [/follows an error/, write(role, failure, DONE), { error: true }],
  [/error has choices/, write(role, { ...failure, choices: [] }), { error: true }],
  [/error has no code/, write(role, { error: { message: "It ended" } }), { error: true }],
  [/error has no message/, write(role, { error: { code: "engine_gone" } }), { error: true }],
];

for (const [name, bytes, expectation] of GOOD) {
  Deno.test(`findStreamViolations() finds nothing wrong with ${name}`, () => {
    assert.deepEqual(findStreamViolations(bytes, expectation), []);
  });
}

Deno.test("findStreamViolations() finds everything that Copilot would lose or garble", () => {
  for (const [violation, bytes, expectation] of BAD) {
    const found = findStreamViolations(bytes, expectation);
    assert.ok(found.some((sentence) => violation.test(sentence)), `${violation} is not in ${JSON.stringify(found)}`);
  }
});
