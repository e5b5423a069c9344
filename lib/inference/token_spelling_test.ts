import assert from "node:assert/strict";
import type { DrawnToken } from "../contracts/chat.ts";
import { findSpelling } from "./token_spelling.ts";

function tokens(...texts: string[]): DrawnToken[] {
  return texts.map((text) => ({ text, bytes: [...new TextEncoder().encode(text)], logprob: 0, top: [] }));
}

function spell(drawn: DrawnToken[], text: string): [tokens: string[], rest: string[]] {
  const { tokens, rest } = findSpelling(drawn, text);
  return [tokens.map(({ text }) => text), rest.map(({ text }) => text)];
}

Deno.test("findSpelling() finds the tokens of a text and leaves those behind it", () => {
  assert.deepEqual(spell(tokens("a ", "rav", "en"), "a raven"), [["a ", "rav", "en"], []]);
  assert.deepEqual(spell(tokens("a ", "rav", "en"), "a "), [["a "], ["rav", "en"]]);
});

Deno.test("findSpelling() passes over what is no part of the answer", () => {
  assert.deepEqual(spell(tokens("<|x|>", "\n\n", "Hi", "!"), "Hi"), [["Hi"], ["!"]]);
  assert.deepEqual(spell(tokens(" Hello"), "Hello"), [[" Hello"], []], "a tokenizer drops the first space");
});

Deno.test("findSpelling() gives a token to the first text in which some of it stands", () => {
  assert.deepEqual(spell(tokens("a r", "iver"), "a "), [["a r"], ["iver"]]);
  assert.deepEqual(spell(tokens("iver"), "river"), [["iver"], []], "the beginning went with the text before");
});

Deno.test("findSpelling() finds characters of several tokens", () => {
  const [one, two] = [0xc3, 0x9f].map((byte): DrawnToken => ({ text: "\uFFFD", bytes: [byte], logprob: 0, top: [] }));
  assert.deepEqual(findSpelling([one!, two!, ...tokens("x")], "ß"), { tokens: [one, two], rest: tokens("x") });
  assert.deepEqual(findSpelling([one!], "\uFFFD"), { tokens: [one], rest: [] }, "broken ones count all");
});
