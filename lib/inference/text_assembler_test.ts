import assert from "node:assert/strict";
import { TextAssembler } from "./text_assembler.ts";

/** One token a byte: the hardest case for characters of several bytes. */
const detokenizeBytes = (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens));

Deno.test("TextAssembler shows characters of several bytes only when they are whole", () => {
  const assembler = new TextAssembler(detokenizeBytes);
  const pieces = [...new TextEncoder().encode("é🪶a")].map((byte) => assembler.push(byte));
  assert.deepEqual(pieces, ["", "é", "", "", "", "🪶", "a"]);
  assert.equal(assembler.flush(), "");
});

Deno.test("TextAssembler drops half a character at the end and keeps the text before it", () => {
  const assembler = new TextAssembler(detokenizeBytes);
  assert.equal(assembler.push(0xf0), "");
  assert.equal(assembler.flush(), "");
});

Deno.test("TextAssembler gives up on bytes that never become a character", () => {
  const assembler = new TextAssembler(detokenizeBytes);
  const text = Array.from({ length: 16 }, () => assembler.push(0xff)).join("");
  assert.equal(text, "\uFFFD".repeat(16));
});

Deno.test("TextAssembler tells the tokenizer which tokens came before", () => {
  const seen: (readonly number[])[] = [];
  const assembler = new TextAssembler((tokens, before) => (seen.push(before), `${tokens}`));
  assembler.push(1);
  assembler.push(2);
  assert.deepEqual(seen, [[], [1]]);
});
