import assert from "node:assert/strict";
import type { JsonSchema } from "../contracts/chat.ts";
import { validate } from "./validate.ts";

/** Checks values that fit, and values that do not together with what is said of them. */
function check(schema: JsonSchema, fitting: unknown[], wrong: [value: unknown, complaint: string][]): void {
  for (const value of fitting) assert.equal(validate(schema, value), null, JSON.stringify(value));
  for (const [value, complaint] of wrong) assert.equal(validate(schema, value), complaint, JSON.stringify(value));
}

Deno.test("validate() says where something is wrong", () => {
  const schema = { type: "object", properties: { items: { items: { properties: { "a/b": { type: "string" } } } } } };
  check(schema, [{ items: [{ "a/b": "x" }] }, {}], [
    [{ items: [{}, { "a/b": 1 }] }, "/items/1/a~1b must be a string"],
    [[], "the value must be an object"],
  ]);
});

Deno.test("validate() knows types, constants and listed values", () => {
  check({ type: ["integer", "null"] }, [1, 1.0, null, -0], [[1.5, "the value must be an integer or null"], [
    "1",
    "the value must be an integer or null",
  ]]);
  check({ type: "number" }, [1, 1.5], [[true, "the value must be a number"], [null, "the value must be a number"]]);
  check({ type: "array" }, [[]], [[{}, "the value must be an array"]]);
  check({ const: { a: [1, { b: null }] } }, [{ a: [1, { b: null }] }], [[
    { a: [1] },
    'the value must be {"a":[1,{"b":null}]}',
  ]]);
  check({ enum: [1, { a: 1, b: 2 }, [0]] }, [1, { b: 2, a: 1 }, [-0]], [[
    true,
    'the value must be one of 1, {"a":1,"b":2}, [0]',
  ]]);
  check({ type: "string", nullable: true }, ["a", null], [[1, "the value must be a string"]]);
  check(false, [], [[1, "the value is not allowed"]]);
  check(true, [1, {}], []);
});

Deno.test("validate() bounds numbers, and reckons multiples in decimals", () => {
  check({ minimum: 1, exclusiveMaximum: 2 }, [1, 1.99, "text"], [[0.9, "the value must be at least 1"], [
    2,
    "the value must be below 2",
  ]]);
  check({ exclusiveMinimum: 1, maximum: 2 }, [1.1, 2], [[1, "the value must be above 1"], [
    2.1,
    "the value must be at most 2",
  ]]);
  check({ minimum: 1, exclusiveMinimum: true }, [2], [[1, "the value must be at least 1"]]);
  check({ multipleOf: 0.1 }, [0.3, 0.7, 5, 1e20, -0.1], [[0.35, "the value must be a multiple of 0.1"]]);
  check({ multipleOf: 3 }, [9, 0], [[10, "the value must be a multiple of 3"]]);
});

Deno.test("validate() counts the characters of texts, and checks patterns and formats", () => {
  check({ minLength: 2, maxLength: 2 }, ["ab", "😀😀", 5], [["😀", "the value must have at least 2 characters"]]);
  check({ maxLength: 1 }, ["😀"], [["ab", "the value must have at most 1 character"]]);
  check({ pattern: "b+$" }, ["abb"], [["ba", "the value must match the pattern b+$"]]);
  check({ pattern: "^\\d\\-\\d$" }, ["1-2"], [["12", "the value must match the pattern ^\\d\\-\\d$"]]);
  check({ format: "date" }, ["2024-02-29"], [["2023-02-29", "the value must be of the format date"]]);
  check({ format: "unheard-of", pattern: "(a)\\1" }, ["anything"], []);
});

Deno.test("validate() checks arrays: items, tuples, counts, sameness and what they contain", () => {
  check({ prefixItems: [{ type: "string" }], items: { type: "number" } }, [["a", 1], []], [
    [["a", "b"], "/1 must be a number"],
    [[1], "/0 must be a string"],
  ]);
  check({ items: [{ type: "string" }], additionalItems: false }, [["a"]], [[["a", 1], "/1 is not allowed"]]);
  check({ minItems: 1, maxItems: 2 }, [[1]], [[[], "the value must have at least 1 item"], [
    [1, 2, 3],
    "the value must have at most 2 items",
  ]]);
  check({ uniqueItems: true }, [[1, "1", [1], { a: 1 }, { a: 2 }], [0, false, null]], [
    [[{ a: 1, b: 2 }, { b: 2, a: 1 }], "the value must not hold the same item twice"],
    [[1, 1.0], "the value must not hold the same item twice"],
  ]);
  check({ contains: { type: "string" }, minContains: 2, maxContains: 2 }, [["a", 1, "b"]], [
    [["a"], "the value must hold at least 2 items of the kind it has to contain"],
    [["a", "b", "c"], "the value must hold at most 2 items of the kind it has to contain"],
  ]);
  check({ contains: { const: 1 }, minContains: 0 }, [[]], []);
});

Deno.test("validate() checks objects: keys by name, by pattern and all others", () => {
  const schema = {
    properties: { a: {} },
    patternProperties: { "^x": { type: "string" } },
    additionalProperties: { type: "number" },
  };
  check(schema, [{ a: null, x1: "y", other: 1 }], [[{ x1: 1 }, "/x1 must be a string"], [
    { other: "y" },
    "/other must be a number",
  ]]);
  check({ properties: { a: {} }, additionalProperties: false }, [{ a: 1 }], [[
    { b: 1 },
    'the value must not have the key "b"',
  ]]);
  check({ required: ["a"] }, [{ a: undefined }, 1], [[{}, 'the value must have the key "a"'], [
    { b: 1 },
    'the value must have the key "a"',
  ]]);
  check({ required: ["toString"] }, [], [[{}, 'the value must have the key "toString"']]);
  check({ minProperties: 1, maxProperties: 1 }, [{ a: 1 }], [[{}, "the value must have at least 1 key"], [{
    a: 1,
    b: 1,
  }, "the value must have at most 1 key"]]);
  check({ propertyNames: { maxLength: 1 } }, [{ a: 1 }], [[
    { ab: 1 },
    'the value must not have the key "ab": the value must have at most 1 character',
  ]]);
});

Deno.test("validate() checks keys that depend on others", () => {
  check({ dependentRequired: { a: ["b"] } }, [{ b: 1 }, { a: 1, b: 1 }], [[
    { a: 1 },
    'the value must have the key "b" beside "a"',
  ]]);
  check({ dependencies: { a: ["b"], c: { required: ["d"] } } }, [{ a: 1, b: 1 }], [
    [{ a: 1 }, 'the value must have the key "b" beside "a"'],
    [{ c: 1 }, 'the value must have the key "d"'],
  ]);
  check({ dependentSchemas: { a: { properties: { b: { type: "string" } } } } }, [{ b: 1 }], [[
    { a: 1, b: 1 },
    "/b must be a string",
  ]]);
});

Deno.test("validate() combines schemas", () => {
  check({ allOf: [{ minimum: 1 }, { maximum: 2 }] }, [1, 2], [[3, "the value must be at most 2"]]);
  check({ anyOf: [{ type: "string" }, { type: "null" }] }, ["a", null], [[
    1,
    "the value fits none of the schemas of anyOf",
  ]]);
  const kind = (name: string) => ({ properties: { kind: { const: name }, n: { type: "number" } }, required: ["kind"] });
  check({ oneOf: [kind("a"), kind("b")] }, [{ kind: "a" }], [[
    { kind: "c" },
    "the value fits none of the schemas of oneOf",
  ]]);
  check({ anyOf: [{ type: "null" }, kind("a")] }, [null], [[{ kind: "a", n: "x" }, "/n must be a number"]]);
  check({ oneOf: [{ type: "integer" }, { minimum: 2 }] }, [1, 2.5], [[
    3,
    "the value fits more than one of the schemas of oneOf",
  ]]);
  check({ not: { type: "string" } }, [1], [["a", "the value fits a schema that it must not fit"]]);
  const conditional = {
    if: { properties: { a: { const: 1 } }, required: ["a"] },
    then: { required: ["b"] },
    else: { required: ["c"] },
  };
  check(conditional, [{ a: 1, b: 1 }, { a: 2, c: 1 }], [[{ a: 1 }, 'the value must have the key "b"'], [
    {},
    'the value must have the key "c"',
  ]]);
});

Deno.test("validate() knows what no other keyword has looked at", () => {
  const schema = {
    allOf: [{ properties: { a: {} } }],
    anyOf: [{ required: ["b"], properties: { b: {} } }, true],
    unevaluatedProperties: false,
  };
  check(schema, [{ a: 1 }, { a: 1, b: 1 }], [[{ a: 1, c: 1 }, "/c is not allowed"]]);
  check({ prefixItems: [true], contains: { type: "string" }, unevaluatedItems: { type: "null" } }, [[1, "a", null]], [[[
    1,
    "a",
    2,
  ], "/2 must be null"]]);
  check({ $ref: "#/$defs/p", unevaluatedProperties: false, $defs: { p: { properties: { a: {} } } } }, [{ a: 1 }], [[{
    b: 1,
  }, "/b is not allowed"]]);
});

Deno.test("validate() follows references, also in a circle", () => {
  const tree = { type: "object", properties: { next: { $ref: "#/$defs/tree" }, v: { type: "number" } } };
  check({ $ref: "#/$defs/tree", $defs: { tree } }, [{ next: { next: { v: 1 } } }], [[
    { next: { next: { v: "x" } } },
    "/next/next/v must be a number",
  ]]);
  check({ $ref: "#" }, [1], []);
  check(
    { $defs: { a: { $ref: "#/$defs/b" }, b: { anyOf: [{ $ref: "#/$defs/a" }, { type: "null" }] } }, $ref: "#/$defs/a" },
    [null],
    [],
  );
  check({ $ref: "https://example.org/elsewhere" }, [1], []);
  check({ $ref: "#/$defs/a", maxLength: 1, $defs: { a: { type: "string" } } }, ["a"], [[
    "ab",
    "the value must have at most 1 character",
  ]]);
});

Deno.test("validate() gives up on values without end instead of failing", () => {
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  assert.equal(validate({ items: { $ref: "#" }, uniqueItems: true }, deep), "the value is nested too deeply");
});
