import assert from "node:assert/strict";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { assertPermits, assertRefused, grammarOf } from "../../tests/fixtures/grammars.ts";
import { DomainError } from "../errors.ts";
import { GrammarBuilder, literal } from "./grammar.ts";

const TEXT = { type: "string" };
const NUMBER = { type: "number" };
const OPTIONS = { strict: true, param: "tools[0].function.parameters" };

Deno.test("literal() quotes what would mean something else", () => {
  const text = 'say "a\\b"\n\u0001[^x-]é😀';
  const grammar = new Gbnf(`root ::= ${literal(text)}\n`);
  assert.ok(grammar.accepts(text));
  assert.equal(literal('"\n'), '"\\"\\n"');
});

Deno.test("addRule() shares equal rules, and never gives one name to two", () => {
  const builder = new GrammarBuilder();
  assert.equal(builder.addRule("call", '"a"'), "call");
  assert.equal(builder.addRule("other", '"a"'), "call");
  assert.equal(builder.addRule("call", '"b"'), "call-2");
  assert.equal(builder.addRule("root", '"c"'), "root-2");
  assert.match(builder.addRule("weird name_ü", '"d"'), /^[a-zA-Z0-9-]+$/);
  assert.ok(new Gbnf(builder.toGbnf("call call-2 root-2")).accepts("abc"));
});

Deno.test("addSchema() lets schemas share one grammar", () => {
  const builder = new GrammarBuilder();
  const left = builder.addSchema({ type: "object", properties: { value: TEXT }, required: ["value"] }, OPTIONS);
  const middle = builder.toGbnf(left).length;
  const right = builder.addSchema({ type: "object", properties: { value: NUMBER }, required: ["value"] }, OPTIONS);
  const same = builder.addSchema({ type: "object", properties: { value: TEXT }, required: ["value"] }, OPTIONS);
  assert.notEqual(left, right);
  assert.equal(left, same);
  assert.ok(builder.toGbnf(left).length < middle * 2);
  const grammar = new Gbnf(builder.toGbnf(`"L" ${left} | "R" ${right}`));
  assert.ok(grammar.accepts('L{"value": "a"}') && grammar.accepts('R{"value": 1}'));
  assert.ok(!grammar.accepts('L{"value": 1}') && !grammar.accepts('R{"value": "a"}'));
});

Deno.test("Optional keys may be left out, each of them, and come in order", () => {
  const properties = { a: NUMBER, b: NUMBER, c: NUMBER };
  assertPermits({ type: "object", properties, required: ["b"] }, {
    yes: ['{"b":1}', '{"a": 1, "b": 2}', '{"a":1,"b":2, "c": 3}', '{"b":2,"c":3}'],
    no: [
      "{}",
      '{"a":1}',
      '{"b":1,"a":2}',
      '{"b":1,}',
      '{"b":1,"b":1}',
      '{"b":1,"d":1}',
      '{ "b":1}',
      '{"b" :1}',
      '{"b":  1}',
    ],
  });
  assertPermits({ type: "object", properties }, {
    yes: ["{}", '{"c":1}', '{"a":1,"c":2}'],
    no: ['{,"c":1}', '{"c":1,"c":2}'],
  });
  assertPermits({ type: "object", properties: {} }, { yes: ["{}"], no: ['{"a":1}', "[]"] });
});

Deno.test("A grammar grows by the same for each optional key", () => {
  const sizeOf = (count: number) => {
    const keys = Array.from({ length: count }, (_, at) => [`key${at}`, at % 2 === 0 ? TEXT : NUMBER]);
    return grammarOf({ type: "object", properties: Object.fromEntries(keys) }).length;
  };
  const grammar = new Gbnf(grammarOf({
    type: "object",
    properties: Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`key${at}`, NUMBER])),
  }));
  assert.ok(grammar.accepts('{"key3":1,"key50":2,"key99":3}') && grammar.accepts("{}"));
  assert.ok(sizeOf(400) < sizeOf(100) * 4.5);
});

Deno.test("additionalProperties adds keys that are not declared", () => {
  const properties = { a: NUMBER, ab: NUMBER };
  assertPermits({ type: "object", properties, additionalProperties: TEXT }, {
    yes: ['{"a":1,"b":"x"}', '{"abc":"x","":"y"}', '{"b":"x", "A": "y"}'],
    no: ['{"a":"x"}', '{"b":1}', '{"ab":"x"}', '{"b":"x","a":1}'],
  });
  assertPermits({ type: "object", properties, additionalProperties: true }, {
    yes: ['{"x":[{"y":null}]}'],
    no: ['{"a":"x"}'],
  });
  assertPermits({ type: "object", properties, additionalProperties: false }, { yes: ["{}"], no: ['{"x":1}'] });
  assertPermits({ type: "object" }, { yes: ["{}", '{"x":1,"y":{}}'], no: ["1"] });
  assertPermits({ type: "object", additionalProperties: false }, { yes: ["{}"], no: ['{"x":1}'] });
  assertPermits({ type: "object", required: ["x"] }, { yes: ['{"x":1,"y":2}'], no: ["{}", '{"y":1}'] });
});

Deno.test("patternProperties and propertyNames say what keys there are", () => {
  const patternProperties = { "^n_": NUMBER, "_t$": TEXT };
  assertPermits({ type: "object", patternProperties, additionalProperties: false }, {
    yes: ['{"n_a":1,"a_t":"x"}', "{}"],
    no: ['{"n_a":"x"}', '{"other":1}', '{"n_t":1}', '{"n_t":"x"}'],
  });
  assertPermits({
    type: "object",
    properties: { n_own: { minimum: 5 } },
    patternProperties,
    additionalProperties: true,
  }, {
    yes: ['{"n_own":7,"free":[]}'],
    no: ['{"n_own":1}', '{"n_own":"x"}'],
  });
  assertPermits({ type: "object", propertyNames: { pattern: "^[a-z]{2}$" }, additionalProperties: NUMBER }, {
    yes: ['{"ab":1,"cd":2}'],
    no: ['{"abc":1}', '{"ab":"x"}'],
  });
  assertPermits(
    { type: "object", propertyNames: { enum: ["x", "y"] }, additionalProperties: NUMBER, required: ["x"] },
    {
      yes: ['{"x":1}', '{"x":1,"y":2}'],
      no: ["{}", '{"z":1}', '{"y":1}'],
    },
  );
});

Deno.test("minProperties and maxProperties count declared keys", () => {
  const properties = { a: NUMBER, b: NUMBER, c: NUMBER };
  assertPermits({ type: "object", properties, minProperties: 1, maxProperties: 2 }, {
    yes: ['{"a":1}', '{"a":1,"c":1}', '{"b":1,"c":1}'],
    no: ["{}", '{"a":1,"b":1,"c":1}'],
  });
  assertPermits({ type: "object", properties, required: ["c"], minProperties: 2 }, {
    yes: ['{"a":1,"c":1}', '{"a":1,"b":1,"c":1}'],
    no: ['{"c":1}', '{"a":1,"b":1}'],
  });
  assertPermits({ type: "object", additionalProperties: NUMBER, minProperties: 1, maxProperties: 2 }, {
    yes: ['{"x":1}', '{"x":1,"y":1}'],
    no: ["{}", '{"x":1,"y":1,"z":1}'],
  });
  assertRefused(
    { type: "object", additionalProperties: NUMBER, minProperties: 2 },
    /^Unsupported keyword "minProperties" .* at parameters$/,
  );
});

Deno.test("Arrays hold as many items as they may, each of its kind", () => {
  assertPermits({ type: "array", items: NUMBER, minItems: 2, maxItems: 3 }, {
    yes: ["[1,2]", "[1, 2,3]"],
    no: ["[]", "[1]", "[1,2,3,4]", '[1,"x"]', "[1,2,]"],
  });
  assertPermits({ type: "object", properties: { never: { not: {} }, a: NUMBER } }, {
    yes: ['{"a":1}'],
    no: ['{"never":1}'],
  });
  assertPermits({ type: "array", maxItems: 0 }, { yes: ["[]"], no: ["[1]"] });
  assertPermits({ type: "array" }, { yes: ["[]", '[1,"x",[]]'], no: ["{}"] });
  assertPermits({ type: "array", items: false }, { yes: ["[]"], no: ["[1]"] });
  const many = `[${Array(700).fill("1").join()}]`;
  assertPermits({ type: "array", items: NUMBER, minItems: 700, maxItems: 5_000 }, {
    yes: [many],
    no: [many.replace("1,", "")],
  });
});

Deno.test("A tuple is whole, unless minItems says how short it may be", () => {
  const prefixItems = [TEXT, NUMBER];
  assertPermits({ type: "array", prefixItems }, { yes: ['["a",1]'], no: ["[]", '["a"]', '["a",1,2]', '[1,"a"]'] });
  assertPermits({ prefixItems, minItems: 1, items: { type: "boolean" } }, {
    yes: ['["a"]', '["a",1]', '["a",1,true,false]'],
    no: ["[]", '["a",true]', '["a",1,2]'],
  });
  assertPermits({ type: "array", items: [TEXT, NUMBER], additionalItems: false }, {
    yes: ['["a",1]'],
    no: ['["a",1,1]'],
  });
  assertPermits({ type: "array", prefixItems, maxItems: 1 }, { yes: ['["a"]'], no: ['["a",1]'] });
});

Deno.test("enum and const permit just these values, those that fit what else is said", () => {
  assertPermits({ enum: ["a", 'q"', "é\n", 1, -0.5, null, true, [1, { k: "v" }], {}] }, {
    yes: ['"a"', '"q\\""', '"é\\n"', "1", "-0.5", "null", "true", '[1, {"k": "v"}]', "{}"],
    no: ['"b"', "2", "[]", "false"],
  });
  assertPermits({ const: "x" }, { yes: ['"x"'], no: ['"y"', "x"] });
  assertPermits({ const: null }, { yes: ["null"], no: ["0"] });
  assertPermits({ type: "string", enum: ["a", "abc", 3], maxLength: 2 }, { yes: ['"a"'], no: ["3", '"abc"'] });
  assertPermits({ enum: ["a", "b"], allOf: [{ enum: ["b", "c"] }] }, { yes: ['"b"'], no: ['"a"', '"c"'] });
  const entities = Array.from({ length: 300 }, (_, at) => `light.room_${at % 10}_${at}😀`);
  assertPermits({ enum: entities }, { yes: [JSON.stringify(entities[17])], no: ['"light.room_1_18😀"', '"light."'] });
  assertRefused({ type: "integer", enum: ["a"] }, "No value can fit the schema at parameters");
});

Deno.test("A list of types, a missing type and nullable permit what they name", () => {
  assertPermits({ type: ["string", "null"] }, { yes: ['"a"', "null"], no: ["1"] });
  assertPermits({ type: ["integer", "number"] }, { yes: ["1", "1.5"], no: ['"a"'] });
  assertPermits({ properties: { a: NUMBER } }, { yes: ['{"a":1}'], no: ["1"] });
  assertPermits({ items: NUMBER }, { yes: ["[1]"], no: ["{}"] });
  assertPermits({ minLength: 1 }, { yes: ['"a"'], no: ['""', "1"] });
  assertPermits({ minimum: 1, maximum: 3 }, { yes: ["1.5"], no: ["4", '"a"'] });
  assertPermits({ type: "string", nullable: true, enum: ["a"] }, { yes: ['"a"', "null"], no: ['"b"'] });
  assertPermits({ nullable: true, allOf: [{ type: "integer" }] }, { yes: ["1", "null"], no: ['"a"'] });
  assertPermits({ description: "anything", title: "t" }, {
    yes: ["1", "null", '{"a":[true]}', '"x"'],
    no: ["", "x", "01"],
  });
  assertPermits(true, { yes: ["[]"], no: [] });
});

Deno.test("anyOf, oneOf and allOf combine with what stands beside them", () => {
  assertPermits({ anyOf: [TEXT, { type: "integer" }] }, { yes: ['"a"', "1"], no: ["null"] });
  assertPermits({
    type: "object",
    properties: { a: NUMBER, b: NUMBER },
    anyOf: [{ required: ["a"] }, { required: ["b"] }],
  }, {
    yes: ['{"a":1}', '{"b":1}', '{"a":1,"b":2}'],
    no: ["{}"],
  });
  const kind = (name: string) => ({ type: "object", properties: { kind: { const: name } }, required: ["kind"] });
  assertPermits({ oneOf: [kind("a"), kind("b")] }, { yes: ['{"kind":"a"}', '{"kind":"b"}'], no: ['{"kind":"c"}'] });
  assertRefused(
    { oneOf: [{ type: "integer" }, NUMBER] },
    'Unsupported keyword "oneOf" (a value may fit its branches 0 and 1 at once, use "anyOf") at parameters',
  );
  assertPermits({
    allOf: [{ type: "object", properties: { a: NUMBER }, required: ["a"] }, { properties: { b: TEXT } }],
  }, {
    yes: ['{"a":1}', '{"a":1,"b":"x"}'],
    no: ['{"b":"x"}', '{"b":"x","a":1}'],
  });
  assertPermits({ allOf: [{ minLength: 2 }, { maxLength: 3 }, { pattern: "^a" }, { pattern: "b$" }] }, {
    yes: ['"ab"', '"axb"'],
    no: ['"a"', '"axxb"', '"ba"'],
  });
  assertPermits({
    allOf: [{ properties: { a: { minimum: 2 } } }, { properties: { a: { maximum: 3, type: "integer" } } }],
  }, {
    yes: ['{"a":2}', '{"a":3}'],
    no: ['{"a":1}', '{"a":4}'],
  });
  assertRefused({ allOf: [TEXT, NUMBER] }, "No value can fit the schema at parameters");
});

Deno.test("$ref is followed, in recursion, by escaped pointers, by anchors, and together with siblings", () => {
  const tree = {
    type: "object",
    properties: { value: NUMBER, children: { type: "array", items: { $ref: "#/$defs/tree" } } },
    required: ["value"],
  };
  assertPermits({ $ref: "#/$defs/tree", $defs: { tree } }, {
    yes: ['{"value":1}', '{"value":1,"children":[{"value":2,"children":[]}]}'],
    no: ['{"children":[]}', '{"value":1,"children":[{}]}'],
  });
  assertPermits({ items: { $ref: "#/definitions/a~1b%20~0" }, definitions: { "a/b ~": TEXT } }, {
    yes: ['["x"]'],
    no: ["[1]"],
  });
  assertPermits({
    $id: "https://example.org/s",
    items: { $ref: "https://example.org/s#name" },
    $defs: { x: { $anchor: "name", ...TEXT } },
  }, {
    yes: ['["x"]'],
    no: ["[1]"],
  });
  assertPermits({
    properties: { a: { $ref: "#/$defs/t", maxLength: 1 } },
    $defs: { t: { type: "string", minLength: 1 } },
  }, {
    yes: ['{"a":"x"}'],
    no: ['{"a":""}', '{"a":"xx"}'],
  });
  assertPermits({ type: "object", properties: { next: { anyOf: [{ $ref: "#" }, { type: "null" }] } } }, {
    yes: ['{"next":{"next":null}}', "{}"],
    no: ['{"next":1}'],
  });
});

Deno.test("Unsupported keywords are named with their place under strict, and passed over otherwise", () => {
  const keywords = {
    not: { const: 1 },
    if: {},
    dependentRequired: {},
    dependentSchemas: {},
    dependencies: {},
    contains: {},
    unevaluatedProperties: false,
    unevaluatedItems: false,
    uniqueItems: true,
  };
  for (const [keyword, value] of Object.entries(keywords)) {
    const schema = { type: "object", properties: { a: { type: "string", [keyword]: value } } };
    assertRefused(schema, `Unsupported keyword "${keyword}" at parameters.properties.a`);
    assert.ok(new Gbnf(grammarOf(schema, { strict: false })).accepts('{"a":"x"}'), keyword);
  }
  assertPermits({ type: "array", uniqueItems: false, "x-own": 1, examples: [1], default: [], readOnly: true }, {
    yes: ["[]"],
    no: [],
  });
  assert.throws(
    () =>
      new GrammarBuilder().addSchema({ not: { type: "null" } }, {
        strict: true,
        param: "text.format.schema",
        root: "top",
      }),
    (error) => {
      assert.ok(error instanceof DomainError);
      assert.deepEqual([error.param, error.message], ["text.format.schema", 'Unsupported keyword "not" at top']);
      return true;
    },
  );
});

Deno.test("Keys and values with the names of JavaScript's own are keys and values", () => {
  const schema = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"number"}},"required":["__proto__"]}',
  );
  assertPermits(schema, { yes: ['{"__proto__":"x","constructor":1}'], no: ["{}", '{"constructor":1}'] });
  assertRefused({ $ref: "#/__proto__" }, /^Cannot follow \$ref/);
});
