import assert from "node:assert/strict";
import { pairBrackets, scanTokens, withoutComments } from "./tokens.ts";

const scan = (source: string) => scanTokens(source).map(({ kind, text }) => `${kind} ${text}`);

Deno.test("scanTokens() keeps braces and quotes of strings out of the code", () => {
  assert.deepEqual(scan(`a("}'\\"", '{"')`), [
    "word a",
    "punctuator (",
    `string "}'\\""`,
    "punctuator ,",
    `string '{"'`,
    "punctuator )",
  ]);
});

Deno.test("scanTokens() finds code inside of templates, also nested ones", () => {
  assert.deepEqual(scan("`a{${b ? `}${c}` : {}}$`"), [
    "template a{${",
    "word b",
    "punctuator ?",
    "template }${",
    "word c",
    "punctuator }",
    "template `",
    "punctuator :",
    "punctuator {",
    "punctuator }",
    "punctuator }",
    "template $`",
  ]);
});

Deno.test("scanTokens() tells regular expressions from divisions", () => {
  assert.deepEqual(scan("return /[/`]\\/{/g; x = a / b / (c) / 2;").filter((token) => token.startsWith("regex")), [
    "regex /[/`]\\/{/g",
  ]);
  assert.deepEqual(scan("f(/'/, !/\"/)").filter((token) => token.startsWith("regex")), ["regex /'/", 'regex /"/']);
  assert.deepEqual(scan("a = b! / 2 + c()! / 2; if (!/x/)").filter((token) => token.startsWith("regex")), [
    "regex /x/",
  ]);
});

Deno.test("scanTokens() tells docstrings from comments and counts their lines", () => {
  const [doc, comment, word] = scanTokens("/**\n * {\n */\n// it's\nx");
  assert.deepEqual([doc?.kind, doc?.line, doc?.endLine], ["doc", 1, 3]);
  assert.deepEqual([comment?.kind, comment?.text, comment?.line], ["comment", "// it's", 4]);
  assert.deepEqual([word?.kind, word?.line], ["word", 5]);
});

Deno.test("scanTokens() refuses a string that does not end, and says where", () => {
  assert.throws(() => scanTokens(`a;\nb = "c\n`), /Cannot scan line 2: "c/);
});

Deno.test("pairBrackets() pairs every bracket, those of templates too", () => {
  const tokens = withoutComments(scanTokens("f([`${{}}`]) // )"));
  assert.deepEqual([...pairBrackets(tokens)].sort(([a], [b]) => a - b), [[1, 9], [2, 8], [3, 6], [4, 5]]);
});

Deno.test("pairBrackets() refuses brackets that do not match", () => {
  assert.throws(() => pairBrackets(scanTokens("(\n]")), /Unexpected \] in line 2/);
  assert.throws(() => pairBrackets(scanTokens("\n{")), /Bracket of line 2 is never closed/);
});

Deno.test("scanTokens() loses nothing but white space of its own source", async () => {
  const source = await Deno.readTextFile(new URL("./tokens.ts", import.meta.url));
  const scanned = scanTokens(source).map(({ text }) => text).join("").replace(/\s/g, "");
  // The first back quote of each template is the only character that no token holds.
  assert.equal(scanned.replaceAll("`", ""), source.replace(/\s/g, "").replaceAll("`", ""));
});
