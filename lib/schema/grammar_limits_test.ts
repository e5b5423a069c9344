import assert from "node:assert/strict";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { assertRefused, grammarOf } from "../../tests/fixtures/grammars.ts";
import { DomainError } from "../errors.ts";
import { GrammarBuilder } from "./grammar.ts";
import { validate } from "./validate.ts";

const TEXT = { type: "string" };

/** Schemas `d0` to `d<count>`, each made from the reference to the next one. */
function chain(count: number, link: (next: { $ref: string }, at: number) => unknown): Record<string, unknown> {
  const links = Array.from({ length: count }, (_, at) => [`d${at}`, link({ $ref: `#/$defs/d${at + 1}` }, at)]);
  return { $ref: "#/$defs/d0", $defs: Object.fromEntries([...links, [`d${count}`, TEXT]]) };
}

/** An object with so many keys. */
function wide(count: number, value: (at: number) => unknown): Record<string, unknown> {
  return {
    type: "object",
    properties: Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, value(at)])),
  };
}

function nested(depth: number): unknown {
  let schema: unknown = TEXT;
  for (let level = 0; level < depth; level++) schema = { type: "array", items: schema };
  return schema;
}

Deno.test("Malformed schemas are refused with their place, strict or not", () => {
  const cases: [keywords: Record<string, unknown>, message: string][] = [
    [{ type: "float" }, 'Unknown type "float"'],
    [{ type: [] }, '"type" names no type'],
    [{ type: ["string", 1] }, "Unknown type 1"],
    [{ required: "a" }, '"required" has to be a list of names'],
    [{ required: [1] }, '"required" has to be a list of names'],
    [{ properties: [] }, '"properties" has to be an object'],
    [{ enum: [] }, '"enum" has to be a list of at least one value'],
    [{ enum: "a" }, '"enum" has to be a list of at least one value'],
    [{ anyOf: [] }, '"anyOf" has to be a list of at least one schema'],
    [{ allOf: {} }, '"allOf" has to be a list of at least one schema'],
    [{ minLength: -1 }, '"minLength" has to be a whole number of at least 0'],
    [{ maxItems: 1.5 }, '"maxItems" has to be a whole number of at least 0'],
    [{ minimum: "1" }, '"minimum" has to be a number'],
    [{ multipleOf: 0 }, '"multipleOf" has to be a number above 0'],
    [{ pattern: 1 }, '"pattern" has to be a text'],
    [{ pattern: "[" }, 'Invalid regular expression "["'],
    [{ patternProperties: { "*": {} } }, 'Invalid regular expression "*"'],
    [{ uniqueItems: 1 }, '"uniqueItems" has to be true or false'],
    [{ minLength: 2, maxLength: 1 }, '"minLength" 2 is above "maxLength" 1'],
    [{ minimum: 2, maximum: 1 }, '"minimum" 2 is above "maximum" 1'],
    [{ $ref: "#/nowhere" }, 'Cannot follow $ref "#/nowhere": it leads to no schema of this document'],
    [
      { $ref: "https://example.org/s" },
      'Cannot follow $ref "https://example.org/s": it leads to no schema of this document',
    ],
    [{ dependentRequired: { a: "b" } }, '"dependentRequired" has to hold lists of names'],
  ];
  for (const [keywords, message] of cases) {
    const schema = { type: "object", properties: { a: { anyOf: [TEXT, keywords] } } };
    for (const strict of [true, false]) {
      assertRefused(schema, `${message} at parameters.properties.a.anyOf[1]`, { strict });
    }
  }
  for (const schema of [5, null, [], "string"]) {
    assertRefused(schema, "A schema has to be an object or a boolean at parameters", { strict: false });
  }
  assertRefused({ properties: { a: null } }, "A schema has to be an object or a boolean at parameters.properties.a");
  assertRefused({ not: { type: "float" } }, 'Unknown type "float" at parameters.not', { strict: false });
});

Deno.test("null for no keys, as programs in Go write it, is no keys", () => {
  assert.ok(new Gbnf(grammarOf({ type: "object", properties: null, required: null })).accepts("{}"));
});

Deno.test("Schemas that nothing fits, or only what has no end, are refused", () => {
  assertRefused(false, "No value can fit the schema at parameters");
  assertRefused({ type: "integer", minimum: 1.2, maximum: 1.8 }, "No value can fit the schema at parameters");
  assertRefused(
    { type: "object", properties: { a: false }, required: ["a"] },
    "No value can fit the schema at parameters",
  );
  assertRefused({ properties: { a: { $ref: "#" } }, required: ["a"] }, /^The schema asks for a value without end/);
  const inner = { type: "object", properties: { b: { $ref: "#/properties/a" } }, required: ["b"] };
  assertRefused({ type: "object", properties: { a: inner } }, /^The schema asks for a value without end/);
  assert.ok(new Gbnf(grammarOf({ type: "object", properties: { a: false, b: TEXT } })).accepts('{"b":"x"}'));
});

Deno.test("Schemas that lead back to themselves without a value between are refused", () => {
  assertRefused({ $ref: "#" }, /^A \$ref leads back to itself/);
  assertRefused({ allOf: [{ $ref: "#" }] }, /^A schema leads back to itself/);
  assertRefused({ anyOf: [{ $ref: "#" }, TEXT] }, /^A schema leads back to itself/);
  assertRefused(
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    /^A \$ref leads back/,
  );
});

Deno.test("What would take too long or too much is refused, and never tried", () => {
  const hostile: [schema: unknown, message: RegExp][] = [
    [nested(5_000), /^Schemas nest deeper than 64 at parameters\.items\.items.*…$/],
    [chain(5_000, (next) => ({ type: "object", properties: { a: next } })), /^References nest deeper than 300/],
    [chain(5_000, (next) => next), /^A \$ref leads back to itself, or through more than 300 others/],
    [
      chain(
        60,
        (next, at) => ({ anyOf: [next, { properties: { [`k${at}`]: next } }, { anyOf: [next, { const: at }] }] }),
      ),
      /nest in too many ways/,
    ],
    [wide(2_001, () => TEXT), /^There are more than 2000 properties/],
    [
      wide(1_500, (at) => ({ type: "string", minLength: 300 + at, maxLength: 9_000 + 99 * at })),
      /^The schema is too large/,
    ],
    [{ enum: Array.from({ length: 2_001 }, (_, at) => at) }, /^"enum" has more than 2000 values/],
    [{ const: JSON.parse("[".repeat(50_000) + "]".repeat(50_000)) }, /^A value is nested too deeply/],
    [
      { allOf: Array.from({ length: 20 }, (_, at) => ({ anyOf: [{ minLength: at }, { maxLength: at + 99 }] })) },
      /combine in too many ways/,
    ],
    [
      wide(1_500, (at) => ({ pattern: `^((a{1,99}){1,99}){1,${at + 1}}$` })),
      /^The patterns or values of the schema are too complex/,
    ],
    [{ anyOf: Array.from({ length: 20_001 }, () => ({})) }, /^There are more than 20000 schemas/],
    [
      { patternProperties: Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`a${at}`, {}])) },
      /more than 6 patternProperties/,
    ],
  ];
  for (const [schema, message] of hostile) assertRefused(schema, message, { strict: false });
});

Deno.test("Large bounds come to small grammars that llama.cpp takes", () => {
  const schemas = [
    { type: "string", minLength: 999_999, maxLength: 1_000_000 },
    { type: "string", maxLength: 100_000 },
    { type: "string", minLength: 1e15 },
    { type: "array", items: TEXT, minItems: 100_000, maxItems: 200_000 },
    wide(2_000, () => ({ type: "integer", minimum: -5, maximum: 1e15 })),
    { type: "number", minimum: 1e-300, maximum: 1e-299 },
    { type: "integer", minimum: 1e300 },
    { type: "string", pattern: "^(a+)+$" },
  ];
  for (const schema of schemas) {
    const text = grammarOf(schema);
    assert.ok(text.length < 400_000, `${text.length}`);
    assert.ok(new Gbnf(text).size < 12_000, JSON.stringify(schema).slice(0, 100));
  }
});

Deno.test("A pattern that comes to too many states is passed over without strict, its lengths are not", () => {
  const schema = { type: "string", pattern: "(a|b)*a(a|b){20}", maxLength: 30 };
  assertRefused(schema, 'Unsupported keyword "pattern" (it comes to too many states) at parameters');
  const grammar = new Gbnf(grammarOf(schema, { strict: false }));
  assert.ok(grammar.accepts('"abc"') && !grammar.accepts(`"${"a".repeat(31)}"`));
});

Deno.test("An error names the request field", () => {
  assert.throws(
    () => new GrammarBuilder().addSchema({ type: "x" }, { strict: false, param: "tools[3].function.parameters" }),
    (error) => {
      return error instanceof DomainError && error.param === "tools[3].function.parameters";
    },
  );
});

Deno.test("A value that reaches the same schema in two ways at every level is checked once at each", () => {
  let value: unknown = {};
  for (let level = 0; level < 40; level++) value = { a: value };
  const next = { properties: { a: { $ref: "#/$defs/S" } } };
  const schema = { $defs: { S: { allOf: [next, next, { ...next }] } }, $ref: "#/$defs/S" };
  assert.equal(validate(schema, value), null);
  assert.match(validate(schema, { a: { a: { a: 1 } } }) ?? "fits", /^fits$/, "a number has no keys to complain of");
  new GrammarBuilder().addSchema({ ...schema, enum: [value] }, { strict: true, param: "schema" });
});
