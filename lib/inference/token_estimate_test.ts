import assert from "node:assert/strict";
import { estimateTokens } from "./token_estimate.ts";

Deno.test("estimateTokens() counts short texts exactly as cl100k_base does", () => {
  assert.equal(estimateTokens(""), 0);
  assert.equal(estimateTokens("hello world"), 2);
  assert.equal(estimateTokens("The quick brown fox jumps over the lazy dog."), 10);
  // Special tokens that somebody wrote are text.
  assert.ok(estimateTokens("<|endoftext|>") > 1);
});

Deno.test("estimateTokens() comes close for long texts, of which it reads samples", () => {
  const sentence = "The quick brown fox jumps over the lazy dog. ";
  const tokens = estimateTokens(sentence.repeat(10_000));
  assert.ok(Math.abs(tokens / 100_000 - 1) < 0.05, `${tokens} tokens`);
});

Deno.test("estimateTokens() ends soon for texts without an end of a word", () => {
  // tiktoken alone takes a minute and more for one of these.
  for (const text of ["a".repeat(2_000_000), "漢".repeat(2_000_000), " ".repeat(2_000_000), "\ud800".repeat(9_999)]) {
    assert.ok(estimateTokens(text) > 0);
  }
});

Deno.test("estimateTokens() counts all that a conversation holds", () => {
  const plain = estimateTokens([{ role: "user", content: "hello world" }]);
  assert.equal(plain, 6);
  const toolCalls = [{ id: "1", name: "look", arguments: '{"at":"the sea"}' }];
  const rich = estimateTokens([
    { role: "user", content: "hello world" },
    { role: "assistant", content: "", reasoning: "I look first", toolCalls },
    { role: "tool", content: "waves", toolCallId: "1", toolName: "look" },
  ]);
  assert.ok(rich > plain + 2 * 4 + 10, `${rich} tokens`);
});

Deno.test("estimateTokens() needs nothing but to read files", async () => {
  const source = `import { estimateTokens } from "${new URL("./token_estimate.ts", import.meta.url)}";
    console.log(estimateTokens("hello world"));`;
  const root = new URL("../../", import.meta.url).pathname;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, source);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", `--config=${root}deno.json`, `--allow-read=${root},${path}`, path],
    }).output();
    assert.equal(new TextDecoder().decode(stdout).trim(), "2", new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(path);
  }
});
