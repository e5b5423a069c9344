import assert from "node:assert/strict";
import { readerOf } from "../../../tests/fixtures/answer_starts.ts";
import { readAnswer, splitControls, splitEvery } from "../../../tests/fixtures/read_answer.ts";
import type { ChatRequest } from "../../contracts/chat.ts";

const THOUGHT = "<|channel|>analysis<|message|>Hm. 1 < 2<|end|><|start|>assistant";
const CALL = THOUGHT + "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary " +
  'to=functions.get_weather <|constrain|>json<|message|>{"city": "<|Paris|>"}';
const ANSWER = THOUGHT + "<|channel|>final<|message|>It rains.";

function read(answer: string, changes: Partial<ChatRequest> = {}) {
  return readAnswer(readerOf("harmony", changes), splitControls(answer));
}

Deno.test("HarmonyReader tells thoughts, words and a call apart by their channels", () => {
  const call = read(CALL);
  assert.deepEqual([call.reasoning, call.text], ["Hm. 1 < 2", "I look."]);
  assert.deepEqual(call.calls, [{ name: "get_weather", arguments: '{"city": "<|Paris|>"}' }]);
  assert.deepEqual([call.complete, call.ended], [1, true]);
  const answer = read(ANSWER);
  assert.deepEqual([answer.reasoning, answer.text, answer.complete], ["Hm. 1 < 2", "It rains.", 0]);
});

Deno.test("HarmonyReader finds the same wherever an answer is cut into pieces", () => {
  for (const answer of [CALL, ANSWER]) {
    const { grammars: _grammars, ids: _ids, ...expected } = read(answer);
    for (let at = 1; at < answer.length; at++) {
      const pieces = [...splitControls(answer.slice(0, at)), ...splitControls(answer.slice(at))];
      const { grammars: _grammars, ids: _ids, ...found } = readAnswer(readerOf("harmony"), pieces);
      assert.deepEqual(found, expected, `at ${at}`);
    }
    const { grammars: _single, ids: _id, ...found } = readAnswer(readerOf("harmony"), splitEvery(answer, 1));
    assert.deepEqual(found, expected);
  }
});

Deno.test("HarmonyReader knows a recipient before the channel, as the template writes it", () => {
  const found = read(' to=functions.get_time<|channel|>commentary json<|message|>{"zone": 1}');
  assert.deepEqual(found.calls, [{ name: "get_time", arguments: '{"zone": 1}' }]);
});

Deno.test("HarmonyReader switches the grammar on once when a function is addressed", () => {
  const { grammars } = readAnswer(readerOf("harmony"), splitEvery(CALL, 3));
  assert.equal(grammars.length, 1);
  assert.match(grammars[0]!.gbnf, /weather/);
});

Deno.test("HarmonyReader leaves a call of no tool as text", () => {
  const found = read("<|channel|>commentary to=functions.unknown json<|message|>{}");
  assert.deepEqual([found.text, found.calls], ["{}", []]);
});

Deno.test("HarmonyReader takes an answer without any header as text", () => {
  assert.equal(readAnswer(readerOf("harmony"), splitEvery("Hello there", 1)).text, "Hello there");
});

Deno.test("HarmonyReader loses nothing of an answer that only begins like a header", () => {
  for (const text of ["<html>Hello</html>", "to=5 is wrong", "to", "<"]) {
    for (const length of [1, 3, 100]) {
      assert.equal(readAnswer(readerOf("harmony"), splitEvery(text, length)).text, text);
    }
  }
});

Deno.test("HarmonyReader ends a thought that has used up its tokens and goes on with the answer", () => {
  const pieces = ["<|channel|>", "analysis", "<|message|>", "a", "b", "c"].map((text) => ({
    text,
    control: text[0] === "<",
  }));
  const answer = splitControls("<|start|>assistant<|channel|>final<|message|>Yes");
  const reader = readerOf("harmony", { reasoning: { enabled: null, tokensMax: 3 } });
  const found = readAnswer(reader, [...pieces, ...answer]);
  assert.match(found.reasoning, /^abc\n\nI have thought long enough/);
  assert.match(found.injected[0]!, /<\|end\|>$/);
  assert.equal(found.text, "Yes");
  assert.equal(reader.reasoning, false);
});

Deno.test("HarmonyReader holds the answer behind its thoughts to JSON", () => {
  const reader = readerOf("harmony", { tools: [], format: { type: "json" } });
  assert.match(reader.grammar ?? "", /analysis/);
  const found = readAnswer(reader, splitControls(THOUGHT + '<|channel|>final<|message|>{"a": 1}'));
  assert.deepEqual(found.grammars.map((grammar) => grammar === null), [true, false]);
  assert.deepEqual([found.text, found.error], ['{"a": 1}', null]);
});

Deno.test("HarmonyReader does not count a call that was cut", () => {
  const found = readAnswer(readerOf("harmony"), splitControls(CALL.slice(0, -4)), { cut: true });
  assert.deepEqual([found.calls.length, found.complete, found.error], [1, 0, null]);
});
