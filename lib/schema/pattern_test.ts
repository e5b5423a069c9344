import assert from "node:assert/strict";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { assertPermits, assertRefused, grammarOf } from "../../tests/fixtures/grammars.ts";
import { Random } from "../../tests/fixtures/random.ts";
import { findPattern, isPattern } from "./pattern.ts";

/** Patterns as people write them, each with the flag `u` or not. */
const PATTERNS = [
  ...["", "^$", "a", "^a", "a$", "^a$", "^a|b$", "(^a|b$)c?", "^(?:)$", "a|", "x(?:y|)z"],
  ...["^[a-c]+$", "[^a-c]", "^[^a]$", "[a\\-c]", "[\\w-]", "[a-c\\d_]", "[^]", "[\\]a]", "[\\b]", "^[.a]+$"],
  ...["a*b+c?", "(ab)*", "(a|bc){2,3}", "a{2}", "a{2,}b", "a{0}b", "^(a{1,2}){2}$", "a??b", "a+?c", "{", "a{,2}"],
  ...[
    "\\d",
    "\\D",
    "\\w\\W",
    "\\s\\S",
    "^\\S*$",
    "\\.",
    "\\/",
    "\\-",
    "\\t\\n",
    "\\x61",
    "\\u0062",
    "\\cA",
    "\\0",
    ".",
  ],
  ...["(?<name>a)b", "^(?=.*a)(?=.*b).{2,3}$", "^(?!a)b?", "^(?!.*aa)[ab]+$", "^(?!$)", "(((a)))", "é", "^[à-ü]$"],
  ...["^[0-9]{3}-?[0-9]$", "ab|cd|^e", "^.$", "^[\\s\\S]$", "a(b|c)*d"],
];
const ALPHABET = [...'aabbcdexyz01_-.|^$[]{}()?é \n\t"\\/', "\u0001", "\b", "ü"];

/** The reference: JavaScript's own, with the flag `u` where the pattern is written for it. */
function createReference(pattern: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch {
    return new RegExp(pattern);
  }
}

Deno.test("Patterns match what JavaScript's own regular expressions match", () => {
  const random = new Random(7);
  for (const pattern of PATTERNS) {
    if (!isPattern(pattern)) continue;
    const reference = createReference(pattern);
    const found = findPattern(pattern);
    assert.notEqual(found.conditions, null, `${pattern}: ${found.reason}`);
    for (let count = 0; count < 300; count++) {
      const text = Array.from({ length: random.between(0, 6) }, () => random.pick(ALPHABET)).join("");
      assert.equal(found.test(text), reference.test(text), `${pattern} on ${JSON.stringify(text)}`);
    }
  }
});

Deno.test("Grammars of patterns permit what JavaScript's own regular expressions match, and nothing else", () => {
  const random = new Random(11);
  for (const pattern of PATTERNS) {
    if (!isPattern(pattern)) continue;
    const reference = createReference(pattern);
    const grammar = new Gbnf(grammarOf({ type: "string", pattern }));
    for (let count = 0; count < 60; count++) {
      const written = JSON.parse(grammar.generate(random, random.between(0, 20)));
      assert.ok(reference.test(written), `${pattern} permits ${JSON.stringify(written)}`);
      const text = Array.from({ length: random.between(0, 5) }, () => random.pick(ALPHABET)).join("");
      assert.equal(
        grammar.accepts(JSON.stringify(text)),
        reference.test(text),
        `${pattern} on ${JSON.stringify(text)}`,
      );
    }
  }
});

Deno.test("A pattern that no text matches is refused", () => {
  for (const pattern of ["a^b", "$a", "^(?!a)a$", "[]", "[]a]"]) {
    assertRefused({ type: "string", pattern }, "No value can fit the schema at parameters");
    assert.equal(findPattern(pattern).test("a"), false);
  }
});

Deno.test("Patterns hold together with lengths, formats and other patterns", () => {
  assertPermits({ type: "string", pattern: "^[a-z]+$", minLength: 2, maxLength: 4 }, {
    yes: ['"ab"', '"abcd"'],
    no: ['"a"', '"abcde"', '"aB"'],
  });
  assertPermits({ type: "string", pattern: "^2024", format: "date" }, {
    yes: ['"2024-05-05"'],
    no: ['"2023-05-05"', '"2024"'],
  });
  assertPermits({ type: "string", pattern: "[A-Z]", allOf: [{ pattern: "\\d" }], maxLength: 3 }, {
    yes: ['"A1"', '"1-Z"'],
    no: ['"a1"', '"AB"'],
  });
  assertRefused({ type: "string", pattern: "^a{5}$", maxLength: 4 }, "No value can fit the schema at parameters");
});

Deno.test("A pattern takes an astral character as one", () => {
  assertPermits({ type: "string", pattern: "^.$" }, { yes: ['"😀"', '"a"'], no: ['"😀😀"', '""', '"\\ud83d\\ude00"'] });
  assertPermits({ type: "string", pattern: "^[\\u{1F600}-\\u{1F64F}\\ud83d\\ude80]$" }, {
    yes: ['"😃"', '"🚀"'],
    no: ['"a"', '"🚁"'],
  });
});

Deno.test("Patterns that no automaton holds are refused under strict, and pass everything otherwise", () => {
  const patterns = {
    "(a)\\1": "a back reference",
    "\\bword\\b": "a word boundary",
    "^\\p{L}+$": "a property of Unicode",
    "a(?=b)": "a lookahead that is not at the start",
    "(?<=a)b": "a lookbehind",
    "^(?=a)a|b": "a lookahead in one of several alternatives",
    "^.{1,100000}$": "too many repetitions",
  };
  for (const [pattern, reason] of Object.entries(patterns)) {
    const schema = { type: "object", properties: { a: { type: "string", pattern } } };
    assertRefused(schema, `Unsupported keyword "pattern" (${reason}) at parameters.properties.a`);
    assert.ok(new Gbnf(grammarOf(schema, { strict: false })).accepts('{"a":"?"}'));
    assert.equal(findPattern(pattern).test("?"), null);
  }
  assertRefused({ type: "string", pattern: "(" }, 'Invalid regular expression "(" at parameters', { strict: false });
});

Deno.test("Matching takes time in proportion to the text, whatever the pattern", () => {
  const text = `${"a".repeat(20_000)}!`;
  for (const pattern of ["^(a+)+$", "^(a|a)*$", "^(.*a){10}$"]) {
    assert.equal(findPattern(pattern).test(text), false, pattern);
  }
});
