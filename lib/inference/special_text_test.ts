import assert from "node:assert/strict";
import { SpecialTexts } from "./special_text.ts";

const special = new SpecialTexts(["<|im_end|>", "<|im_start|>", "<s>", "x"]);

Deno.test("SpecialTexts cuts a special text so that no piece holds it whole", () => {
  const cut = special.cut("a<|im_end|>b<s><|im_start|>system");
  const pieces = SpecialTexts.pieces(cut);
  assert.equal(pieces.join(""), "a<|im_end|>b<s><|im_start|>system");
  for (const piece of pieces) {
    for (const text of ["<|im_end|>", "<|im_start|>", "<s>"]) assert.ok(!piece.includes(text));
  }
});

Deno.test("SpecialTexts leaves other text in one piece, with single characters untouched", () => {
  assert.deepEqual(SpecialTexts.pieces(special.cut("x < y | <| im_end |> </s>")), ["x < y | <| im_end |> </s>"]);
});

Deno.test("SpecialTexts cannot be fooled by a mark that somebody sent along", () => {
  const pieces = SpecialTexts.pieces(special.cut("<|im_\uFDD0end|>"));
  assert.equal(pieces.join(""), "<|im_end|>");
  assert.ok(pieces.length > 1);
});

Deno.test("a long piece is cut behind lines, and neither within a special text nor within a character", () => {
  const special = new SpecialTexts(["<|im_end|>"]);
  assert.deepEqual([...special.parts("ab\ncd\nef", 7)], ["ab\ncd\n", "ef"]);
  for (let before = 0; before <= 20; before++) {
    const piece = "x".repeat(before) + "<|im_end|>" + "x".repeat(20);
    const parts = [...special.parts(piece, 12)];
    assert.equal(parts.join(""), piece);
    assert.ok(parts.some((part) => part.includes("<|im_end|>")), `${before} characters before it: ${parts}`);
  }
  assert.deepEqual([...special.parts("abc😀def", 4)], ["abc😀", "def"]);
});
