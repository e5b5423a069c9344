import assert from "node:assert/strict";
import { readerOf, startOf, TOOLS } from "../../../tests/fixtures/answer_starts.ts";
import { FAMILY_TEMPLATES } from "../../../tests/fixtures/chat_templates.ts";
import { requestOf } from "../../../tests/fixtures/chat_request.ts";
import { Gbnf } from "../../../tests/fixtures/gbnf.ts";
import { Random } from "../../../tests/fixtures/random.ts";
import { readAnswer, splitEvery } from "../../../tests/fixtures/read_answer.ts";
import type { ChatRequest, Tool } from "../../contracts/chat.ts";
import { validate } from "../../schema/validate.ts";
import { planAnswer } from "./answer_plan.ts";
import type { AnswerReader } from "./answer_reader.ts";

type Family = keyof typeof FAMILY_TEMPLATES;

const FAMILIES = Object.keys(FAMILY_TEMPLATES) as Family[];
const NO_THOUGHT = { enabled: false, tokensMax: null };

/** What each family writes before a call when it calls by itself. */
const OPENINGS: Record<Family, string> = {
  qwen: "<tool_call>",
  qwenXml: "<tool_call>",
  llama3: '{"name": "get_weather"',
  mistralList: "[TOOL_CALLS]",
  mistralArgs: "[TOOL_CALLS]",
  harmony: "<|channel|>commentary to=functions.",
  gemma: "<tool_call>",
};

function withTools(count: number): Tool[] {
  return Array.from(
    { length: count },
    (_, i) => ({ ...TOOLS[i % TOOLS.length]!, name: `${TOOLS[i % TOOLS.length]!.name}_${i}` }),
  );
}

/** Draws answers from a grammar and reads them: each has to hold valid calls of the tools, and nothing else. */
function readDrawn(
  grammar: Gbnf,
  makeReader: () => AnswerReader,
  options: { seed: number; tools: readonly Tool[]; opening: string },
): string[] {
  const random = new Random(options.seed);
  const drawn = options.opening + grammar.generate(random, random.between(0, 200));
  const found = readAnswer(makeReader(), splitEvery(drawn, random.between(1, 8)));
  assert.deepEqual([found.text, found.error], ["", null], drawn);
  assert.ok(found.complete > 0 && found.complete === found.calls.length, drawn);
  for (const call of found.calls) {
    const tool = options.tools.find(({ name }) => name === call.name);
    assert.ok(tool !== undefined, drawn);
    assert.equal(validate(tool.parameters, JSON.parse(call.arguments)), null, `${drawn}\n${call.arguments}`);
  }
  return found.calls.map(({ name }) => name);
}

Deno.test("Whatever a grammar that forces calls permits is read as valid calls, in every family's format", () => {
  for (const family of FAMILIES) {
    const makeReader = () => readerOf(family, { toolChoice: "required", reasoning: NO_THOUGHT });
    const grammar = new Gbnf(makeReader().grammar!);
    const called = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      for (const name of readDrawn(grammar, makeReader, { seed, tools: TOOLS, opening: "" })) called.add(name);
    }
    assert.equal(called.size, TOOLS.length, family);
  }
});

Deno.test("Whatever a grammar permits behind a marker that the model wrote is read as valid calls", () => {
  for (const family of FAMILIES) {
    const makeReader = () => readerOf(family, { reasoning: NO_THOUGHT });
    const opening = OPENINGS[family];
    const reader = makeReader();
    assert.equal(reader.grammar, null, family);
    const pushed = reader.push({ text: family === "llama3" ? `${opening},` : opening, control: false });
    const grammar = new Gbnf(pushed.grammar!.gbnf);
    const before = family === "llama3" ? opening.slice(0, -1) : opening;
    for (let seed = 0; seed < 30; seed++) readDrawn(grammar, makeReader, { seed, tools: TOOLS, opening: before });
  }
});

Deno.test("A grammar permits what the marker's own piece holds behind it, and all that can follow", () => {
  const calls = [
    '\n{"name": "get_time", "arguments": {}}\n</tool_call>',
    '{"name":"get_time","arguments":{}}</tool_call>',
  ];
  for (const call of calls) {
    for (let at = 0; at < call.length - "</tool_call>".length; at++) {
      const { grammar } = readerOf("gemma").push({ text: `<tool_call>${call.slice(0, at)}`, control: false });
      assert.ok(call.slice(0, at).endsWith(grammar!.written));
      assert.ok(new Gbnf(grammar!.gbnf).accepts(grammar!.written + call.slice(at)), `${call} at ${at}`);
    }
  }
});

Deno.test("A named tool is called once and no other is", () => {
  for (const family of FAMILIES) {
    const makeReader = () => readerOf(family, { toolChoice: { name: "get_time" }, reasoning: NO_THOUGHT });
    const grammar = new Gbnf(makeReader().grammar!);
    for (let seed = 0; seed < 5; seed++) {
      assert.deepEqual(readDrawn(grammar, makeReader, { seed, tools: TOOLS, opening: "" }), ["get_time"], family);
    }
  }
});

Deno.test("A grammar for 128 tools whose names begin alike permits each of them", () => {
  const tools = withTools(128);
  const makeReader = () => readerOf("qwen", { tools, toolChoice: "required", reasoning: NO_THOUGHT });
  const grammar = new Gbnf(makeReader().grammar!);
  for (const { name } of tools.filter((_, i) => i % 3 === 1)) {
    assert.ok(grammar.accepts(`<tool_call>\n{"name": "${name}", "arguments": {}}\n</tool_call>`), name);
  }
  assert.equal(grammar.accepts('<tool_call>\n{"name": "get_time_2", "arguments": {}}\n</tool_call>'), false);
  const random = new Random(1);
  const called = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    for (const name of readDrawn(grammar, makeReader, { seed: seed + random.between(0, 9), tools, opening: "" })) {
      called.add(name);
    }
  }
  assert.ok(called.size > 10);
});

Deno.test("Names with quotes, of different lengths and of any script are told apart", () => {
  const names = ['say "hi"', "a", "ab", "abc", "日本", "日曜", "🏯a", "🏰b"];
  const tools = names.map((name): Tool => ({ name, description: "", parameters: { type: "object" }, strict: false }));
  for (const family of ["qwen", "qwenXml", "mistralList", "mistralArgs", "llama3", "harmony"] as const) {
    const makeReader = () => readerOf(family, { tools, toolChoice: "required", reasoning: NO_THOUGHT });
    const grammar = new Gbnf(makeReader().grammar!);
    const called = new Set<string>();
    for (let seed = 0; seed < 80; seed++) {
      for (const name of readDrawn(grammar, makeReader, { seed, tools, opening: "" })) called.add(name);
    }
    assert.deepEqual(called, new Set(names), family);
  }
});

Deno.test("An answer that has to be JSON may be a call instead where tools may be called", () => {
  const format: ChatRequest["format"] = {
    type: "schema",
    schema: { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"] },
    strict: true,
  };
  for (const family of FAMILIES) {
    const free: Gbnf = new Gbnf(readerOf(family, { format, reasoning: NO_THOUGHT }).grammar!);
    const json = `${family === "harmony" ? "<|channel|>final<|message|>" : ""}{"ok": true}`;
    assert.ok(free.accepts(json), family);
    const call = new Gbnf(readerOf(family, { toolChoice: "required", reasoning: NO_THOUGHT }).grammar!).generate(
      new Random(3),
      40,
    );
    assert.ok(free.accepts(call), `${family}: ${call}`);
    const forced: Gbnf = new Gbnf(readerOf(family, { format, toolChoice: "required", reasoning: NO_THOUGHT }).grammar!);
    assert.equal(forced.accepts(json), false, family);
    const found = readAnswer(readerOf(family, { format, reasoning: NO_THOUGHT }), splitEvery(json, 3));
    assert.deepEqual([found.text, found.calls, found.error], ['{"ok": true}', [], null], family);
  }
});

Deno.test("A grammar leaves a thinking model its thought before a call that must be made", () => {
  for (const family of ["qwen", "mistralArgs", "harmony"] as const) {
    const { thoughts } = startOf(family);
    const grammar = new Gbnf(readerOf(family, { toolChoice: "required" }).grammar!);
    assert.ok(grammar.accepts(`${thoughts!.open}anything <tool_call> at all`), family);
    assert.equal(grammar.accepts("Sure"), false, family);
  }
});

Deno.test("Behind a raw prompt nothing is called, and JSON can still be asked for", () => {
  const request = requestOf("u", { messages: null, prompt: "p", tools: TOOLS, format: { type: "json" } });
  const reader = planAnswer(request, null);
  assert.ok(new Gbnf(reader.grammar!).accepts('{"a": [1]}'));
  assert.equal(reader.readsControl, false);
});

Deno.test("A choice that cannot be made is refused, with the field and the name", () => {
  const start = startOf("qwen");
  assert.throws(() => planAnswer(requestOf("u", { tools: TOOLS, toolChoice: { name: "nothing" } }), start), {
    code: "invalid_request",
    param: "tool_choice",
    message: /"nothing"/,
  });
  assert.throws(() => planAnswer(requestOf("u", { toolChoice: "required" }), start), {
    code: "invalid_request",
    param: "tool_choice",
  });
});

Deno.test("Parameters that are no object are refused before anything is computed", () => {
  const tools: Tool[] = [TOOLS[0]!, { name: "t", description: "", parameters: { type: "string" }, strict: false }];
  assert.throws(() => readerOf("qwen", { tools }), { code: "invalid_request", param: "tools[1].function.parameters" });
});

Deno.test("Grammars for the same tools are built once", () => {
  const grammar = (tools: Tool[]) => readerOf("qwen", { tools, toolChoice: "required", reasoning: NO_THOUGHT }).grammar;
  const many = withTools(100);
  const first = grammar(many);
  assert.equal(Object.is(grammar(structuredClone(many)), first), true);
  assert.notEqual(grammar(withTools(99)), first);
});

Deno.test("An answer that had to call and did not is none, whatever it says; one that was cut is cut", () => {
  const makeReader = () => readerOf("qwen", { tools: withTools(2), toolChoice: "required", reasoning: NO_THOUGHT });
  const told = readAnswer(makeReader(), splitEvery("I would rather talk.", 4));
  assert.deepEqual([told.text, told.error], ["I would rather talk.", "answer_invalid"]);
  assert.equal(readAnswer(makeReader(), splitEvery("I would", 4), { cut: true }).error, null);
});
