import assert from "node:assert/strict";
import { readerOf, TOOLS } from "../../../tests/fixtures/answer_starts.ts";
import { type ReadAnswer, readAnswer, splitControls, splitEvery } from "../../../tests/fixtures/read_answer.ts";
import type { ChatRequest } from "../../contracts/chat.ts";

type Family = Parameters<typeof readerOf>[0];

const WEATHER = { name: "get_weather", arguments: '{"city": "Paris"}' };

/** Answers of each family with a thought where it thinks, words, and two calls where it can make two. */
const ANSWERS: [family: Family, answer: string, expected: Partial<ReadAnswer>][] = [
  [
    "qwen",
    '<think>\nHm.\n</think>\n\nI look.\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n' +
    '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    { reasoning: "Hm.", text: "I look.", calls: [WEATHER, { name: "get_time", arguments: "{}" }], complete: 2 },
  ],
  [
    "qwenXml",
    "Hm.\n</think>\n\nI look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n" +
    "</tool_call>\n<tool_call>\n<function=get_time>\n</function>\n</tool_call>",
    { reasoning: "Hm.", text: "I look.", calls: [WEATHER, { name: "get_time", arguments: "{}" }], complete: 2 },
  ],
  [
    "llama3",
    '\n{"name": "get_weather", "parameters": {"city": "Paris"}}',
    { text: "", calls: [WEATHER], complete: 1, ended: true },
  ],
  [
    "mistralList",
    '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "get_time", "arguments": {}}]',
    { text: "", calls: [WEATHER, { name: "get_time", arguments: "{}" }], complete: 2 },
  ],
  [
    "mistralArgs",
    '[THINK]Hm.[/THINK]I look.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]get_time[ARGS]{}',
    { reasoning: "Hm.", text: "I look.", calls: [WEATHER, { name: "get_time", arguments: "{}" }], complete: 2 },
  ],
  [
    "gemma",
    'I look. <tool_call>{"name":"get_weather","arguments":{"city": "Paris"}}</tool_call>',
    { text: "I look.", calls: [WEATHER], complete: 1 },
  ],
];

function essenceOf({ reasoning, text, calls, complete, error }: ReadAnswer) {
  return { reasoning, text, calls, complete, error };
}

function read(family: Family, answer: string, changes: Partial<ChatRequest> = {}): ReadAnswer {
  return readAnswer(readerOf(family, changes), splitControls(answer));
}

Deno.test("A reader tells thoughts, words and calls apart in every family's format", () => {
  for (const [family, answer, expected] of ANSWERS) {
    const found = read(family, answer);
    assert.deepEqual({ ...found, ...expected }, found, family);
    assert.equal(found.error, null, family);
  }
});

Deno.test("A reader finds the same wherever an answer is cut into pieces", () => {
  for (const [family, answer] of ANSWERS) {
    const expected = essenceOf(read(family, answer));
    for (let at = 1; at < answer.length; at++) {
      const pieces = [...splitControls(answer.slice(0, at)), ...splitControls(answer.slice(at))];
      assert.deepEqual(essenceOf(readAnswer(readerOf(family), pieces)), expected, `${family} at ${at}`);
    }
    for (const length of [1, 2, 3, 5, 1_000]) {
      assert.deepEqual(
        essenceOf(readAnswer(readerOf(family), splitEvery(answer, length))),
        expected,
        `${family} by ${length}`,
      );
    }
  }
});

Deno.test("A reader switches the grammar on when the marker is there, and tells what stands behind it", () => {
  for (
    const [family, marker] of [["qwen", "<tool_call>"], ["mistralList", "[TOOL_CALLS]"], [
      "gemma",
      "<tool_call>",
    ]] as const
  ) {
    const reader = readerOf(family);
    assert.equal(reader.grammar, null, family);
    const before = readAnswer(readerOf(family), splitEvery(`Well, ${marker.slice(0, -1)}`, 1));
    assert.deepEqual(before.grammars, [], family);
    const { grammar } = reader.push({ text: `Well, ${marker}\n`, control: false });
    assert.equal(grammar?.written, "", family);
    assert.match(grammar?.gbnf ?? "", /get_|weather/, family);
  }
  const { grammar } = readerOf("gemma").push({ text: '<tool_call>\n{"na', control: false });
  assert.equal(grammar?.written, '{"na');
});

Deno.test("A reader of bare JSON takes it for a call once a tool's name is complete", () => {
  const reader = readerOf("llama3");
  assert.deepEqual(reader.push({ text: '{"name": "get_weather', control: false }), { events: [] });
  const { grammar } = reader.push({ text: '", ', control: false });
  assert.equal(grammar?.written, '", ');
  assert.doesNotMatch(grammar?.gbnf.split("\n")[0] ?? "", /get_time/);
});

Deno.test("A reader leaves JSON that is no call of a tool as text", () => {
  for (const answer of ['{"name": "Bob", "age": 3}', '{"names": []}', ' {"name": "get_weather"}', "{"]) {
    const found = read("llama3", answer);
    assert.deepEqual([found.text, found.calls], [answer, []], answer);
  }
  assert.deepEqual(read("llama3", '{"type": "function", "name": "get_time", "parameters": {}}').calls.length, 1);
  assert.equal(read("llama3", 'Here: {"name": "get_time", "parameters": {}}').calls.length, 0);
});

Deno.test("A reader takes a Hermes call from a model of another family", () => {
  for (const family of ["llama3", "mistralList", "mistralArgs"] as const) {
    const found = read(family, 'So: <tool_call>{"name": "get_time", "arguments": {}}</tool_call>');
    assert.deepEqual([found.text, found.calls], ["So:", [{ name: "get_time", arguments: "{}" }]], family);
  }
});

Deno.test("A reader gives back as text what begins like a call and is none", () => {
  for (
    const text of [
      "a <tool_call> is a marker",
      "1 < 2",
      "x\n\n<tool_call>[]",
      '<tool_call>{"name": "unknown"',
      "<",
      "a \n",
    ]
  ) {
    const found = readAnswer(readerOf("qwen"), splitEvery(text, 1));
    assert.deepEqual([found.text, found.complete, found.error], [text, 0, null], text);
  }
});

Deno.test("A reader lifts its grammar again when the model wrote no call", () => {
  const found = readAnswer(readerOf("qwen"), splitEvery("<tool_call> is a marker", 1));
  assert.deepEqual(found.grammars.map((grammar) => grammar === null), [false, true]);
});

Deno.test("A reader looks for calls only where something can be called", () => {
  const answer = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>';
  for (const changes of [{ tools: [] }, { toolChoice: "none" as const }]) {
    const found = read("gemma", answer, changes);
    assert.deepEqual([found.text, found.calls, found.grammars], [answer, [], []]);
  }
  assert.equal(readerOf("gemma", { tools: [] }).readsControl, false);
  assert.equal(readerOf("gemma").readsControl, true);
});

Deno.test("A reader passes plain text on at once and whole", () => {
  const reader = readerOf("gemma", { tools: [] });
  assert.deepEqual(reader.push({ text: " \n", control: false }).events, [{ type: "text", text: " \n" }]);
  assert.deepEqual(reader.push({ text: "<think>", control: false }).events, [{ type: "text", text: "<think>" }]);
});

Deno.test("A reader leaves out control tokens that mean nothing to it", () => {
  const found = readAnswer(readerOf("llama3"), [
    { text: "<|python_tag|>", control: true },
    { text: '{"name": "get_time", "parameters": {}}', control: false },
  ]);
  assert.deepEqual([found.text, found.calls.length], ["", 1]);
});

Deno.test("A reader streams arguments as they come", () => {
  const reader = readerOf("gemma");
  reader.push({ text: '<tool_call>{"name": "get_weather", "arguments": ', control: false });
  const events = ['{"city"', ': "Ōsaka 🏯', ' } \\" {"', "}"].flatMap((text) =>
    reader.push({ text, control: false }).events
  );
  assert.equal(events[0]?.type, "tool_call");
  assert.deepEqual(events.slice(1), [
    { type: "tool_arguments", index: 0, text: '{"city"' },
    { type: "tool_arguments", index: 0, text: ': "Ōsaka 🏯' },
    { type: "tool_arguments", index: 0, text: ' } \\" {"' },
    { type: "tool_arguments", index: 0, text: "}" },
  ]);
});

Deno.test("A reader gives every call an id of its own, in OpenAI's form", () => {
  const ids = ANSWERS.flatMap(([family, answer]) => read(family, answer).ids);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^call_[A-Za-z0-9]{24}$/);
});

Deno.test("A reader ends the answer after the one call that is allowed, and after sixteen", () => {
  const call = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>';
  const one = read("gemma", call + call, { parallelToolCalls: false });
  assert.deepEqual([one.complete, one.ended], [1, true]);
  const many = read("gemma", call.repeat(20));
  assert.deepEqual([many.complete, many.ended], [16, true]);
});

Deno.test("A reader does not count a call that was cut, and shows nobody its marker", () => {
  const early = readAnswer(readerOf("gemma"), splitEvery('So <tool_call>{"name": "get_w', 1), { cut: true });
  assert.deepEqual([early.text, early.calls, early.complete, early.error], ["So", [], 0, null]);
  const late = readAnswer(readerOf("gemma"), splitEvery('<tool_call>{"name": "get_weather", "arguments": {"ci', 1), {
    cut: true,
  });
  assert.deepEqual([late.text, late.calls.length, late.complete, late.error], ["", 1, 0, null]);
  const text = readAnswer(readerOf("gemma"), splitEvery("a <tool", 1), { cut: true });
  assert.equal(text.text, "a <tool");
  const call = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>';
  const second = readAnswer(readerOf("gemma"), splitEvery(`${call}\n<tool`, 1), { cut: true });
  assert.deepEqual([second.text, second.complete], ["", 1]);
  const forced = readAnswer(readerOf("gemma", { toolChoice: "required" }), splitEvery("<tool", 1), { cut: true });
  assert.equal(forced.text, "");
});

Deno.test("A reader takes a call whose end marker is missing, but not one that is broken off", () => {
  assert.equal(read("gemma", '<tool_call>{"name": "get_time", "arguments": {}}').complete, 1);
  const broken = read("gemma", '<tool_call>{"name": "get_weather", "arguments": {"city": "Pa');
  assert.deepEqual([broken.complete, broken.error], [0, "answer_invalid"]);
});

Deno.test("A reader counts the tokens of thoughts and says while they last", () => {
  const reader = readerOf("qwen");
  const states = ["<think>", "\nHm", ".\n", "</think>", "\n\nYes"].map((text) => {
    reader.push({ text, control: false });
    return reader.reasoning;
  });
  assert.deepEqual(states, [true, true, true, false, false]);
  assert.equal(reader.reasoningTokens, 3);
});

Deno.test("A reader ends a thought that has used up its tokens, once, and never within the marker that ends it", () => {
  const reasoning = { enabled: null, tokensMax: 2 };
  const pieces = ["a", "b", "c", "d"].map((text) => ({ text, control: false }));
  const found = readAnswer(readerOf("qwenXml", { reasoning }), pieces);
  assert.equal(found.injected.length, 1);
  assert.match(found.injected[0]!, /answer now\.\n<\/think>$/);
  assert.match(found.reasoning, /^ab\n\nI have thought long enough/);
  assert.equal(found.text, "cd");
  const ending = ["a", "b\n</thi", "nk>", "c"].map((text) => ({ text, control: false }));
  const itself = readAnswer(readerOf("qwenXml", { reasoning }), ending);
  assert.deepEqual([itself.injected, itself.reasoning, itself.text], [[], "ab", "c"]);
});

Deno.test("A reader holds what comes after the thoughts to the form that was asked for", () => {
  const format = { type: "json" as const };
  const reader = readerOf("qwenXml", { format, tools: [] });
  assert.equal(reader.grammar, null);
  const { grammar } = reader.push({ text: "Hm.\n</think>\n\n", control: false });
  assert.equal(grammar?.written, "");
  const free = readerOf("qwen", { format, tools: [] });
  assert.match(free.grammar ?? "", /<think>/);
  assert.equal(free.push({ text: "<think>", control: false }).grammar, null);
  const off = readerOf("qwen", { format, tools: [], reasoning: { enabled: false, tokensMax: null } });
  assert.doesNotMatch(off.grammar ?? "<think>", /<think>/);
});

Deno.test("A reader refuses a complete answer that is not the JSON that strict asks for, but not one that was cut", () => {
  const schema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
  const read = (text: string, strict: boolean, cut = false) =>
    readAnswer(readerOf("gemma", { tools: [], format: { type: "schema", schema, strict } }), splitEvery(text, 2), {
      cut,
    });
  assert.deepEqual([read('{"a": 1}', true).error, read('{"a": 1}', true).text], [null, '{"a": 1}']);
  assert.equal(read('{"a": "1"}', true).error, "answer_invalid");
  assert.equal(read('{"a": "1"}', false).error, null);
  assert.equal(read('{"a"', true, true).error, null);
  assert.equal(
    readAnswer(readerOf("gemma", { format: { type: "json" } }), splitEvery("[1]", 1)).error,
    "answer_invalid",
  );
});

Deno.test("A reader refuses a strict call that its schema does not accept", () => {
  const tools = TOOLS.map((tool) => ({ ...tool, strict: true }));
  const call = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris", "days": 12}}</tool_call>';
  assert.equal(read("gemma", call, { tools }).error, "answer_invalid");
  assert.equal(read("gemma", call).error, null);
});
