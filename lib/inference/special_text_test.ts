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
