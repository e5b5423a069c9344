/** Schemas as the libraries and programs of clients write them. */
import assert from "node:assert/strict";
import { z } from "zod";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { assertPermits, grammarOf } from "../../tests/fixtures/grammars.ts";
import { Random } from "../../tests/fixtures/random.ts";
import type { JsonSchema } from "../contracts/chat.ts";
import { GrammarBuilder } from "./grammar.ts";
import { validate } from "./validate.ts";

const Tree = z.object({
  name: z.string().min(1),
  get children() {
    return z.array(Tree).optional();
  },
});

const ZOD: Record<string, z.ZodType> = {
  texts: z.object({
    email: z.email(),
    url: z.url(),
    uuid: z.uuid(),
    moment: z.iso.datetime(),
    day: z.iso.date(),
    time: z.iso.time(),
    address: z.union([z.ipv4(), z.ipv6(), z.cidrv4()]),
    code: z.templateLiteral(["n-", z.int(), z.enum(["px", "em"])]),
    affixes: z.string().startsWith("ab").endsWith("yz").includes("m").max(12),
    encoded: z.base64().optional(),
  }),
  numbers: z.object({
    whole: z.int(),
    small: z.int32(),
    positive: z.number().positive(),
    share: z.number().min(0).max(1),
    price: z.number().multipleOf(0.01).nonnegative(),
    volume: z.int().min(0).max(100).multipleOf(5),
  }),
  lists: z.object({
    words: z.array(z.string()).min(1).max(3),
    pair: z.tuple([z.string(), z.number()]),
    more: z.tuple([z.string()], z.boolean()),
  }),
  maps: z.object({
    counts: z.record(z.string(), z.int()),
    sides: z.record(z.enum(["left", "right"]), z.number()),
    some: z.partialRecord(z.enum(["a", "b"]), z.boolean()),
    languages: z.record(z.string().regex(/^[a-z]{2}$/), z.string()),
  }),
  choices: z.object({
    any: z.union([z.string(), z.number(), z.null()]),
    shape: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("circle"), radius: z.number() }),
      z.object({ kind: z.literal("square"), side: z.number() }),
    ]),
    both: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
    listed: z.literal(["a", 1, true, null]),
    nothing: z.string().nullable(),
    default: z.number().default(3),
    never: z.never().optional(),
  }),
  open: z.looseObject({ a: z.boolean(), rest: z.unknown() }),
  caught: z.object({ a: z.string() }).catchall(z.number()),
  tree: Tree,
};

Deno.test("What a grammar of zod's schemas permits, zod accepts", () => {
  const random = new Random(3);
  for (const [name, type] of Object.entries(ZOD)) {
    for (const target of ["draft-2020-12", "draft-7"] as const) {
      const schema = z.toJSONSchema(type, { target, io: "input" }) as JsonSchema;
      const grammar = new Gbnf(grammarOf(schema));
      for (let count = 0; count < 25; count++) {
        const text = grammar.generate(random, random.between(0, 300));
        const { error } = type.safeParse(JSON.parse(text));
        assert.equal(error, undefined, `${name} permits ${text}: ${error?.message}`);
      }
    }
  }
});

Deno.test("pydantic's schemas, with $defs and anyOf null, are held", () => {
  const schema: JsonSchema = {
    $defs: {
      Priority: { enum: ["low", "high"], title: "Priority", type: "string" },
      Step: {
        properties: {
          explanation: { title: "Explanation", type: "string" },
          due: { anyOf: [{ format: "date-time", type: "string" }, { type: "null" }], default: null, title: "Due" },
          position: {
            maxItems: 2,
            minItems: 2,
            prefixItems: [{ type: "number" }, { type: "number" }],
            title: "Position",
            type: "array",
          },
          score: { anyOf: [{ maximum: 1, minimum: 0, type: "number" }, { type: "null" }], default: null },
        },
        required: ["explanation", "position"],
        title: "Step",
        type: "object",
      },
    },
    properties: {
      steps: { items: { $ref: "#/$defs/Step" }, title: "Steps", type: "array" },
      priority: { $ref: "#/$defs/Priority", default: "low", description: "How soon" },
      labels: { additionalProperties: { type: "string" }, title: "Labels", type: "object" },
      zip: { pattern: "^\\d{5}(-\\d{4})?$", title: "Zip", type: "string" },
    },
    required: ["steps", "labels"],
    title: "Plan",
    type: "object",
  };
  assertPermits(schema, {
    yes: [
      '{"steps": [], "labels": {}}',
      '{"steps": [{"explanation": "x", "due": null, "position": [1, 2.5], "score": 0.5}], "priority": "high", "labels": {"a": "b"}, "zip": "12345-6789"}',
    ],
    no: [
      '{"steps": []}',
      '{"steps": [{"explanation": "x"}], "labels": {}}',
      '{"steps": [], "priority": "mid", "labels": {}}',
    ],
  });
});

Deno.test("OpenAI's strict schemas are held: all required, null for what is missing, recursion at the root", () => {
  const schema: JsonSchema = {
    type: "object",
    properties: {
      type: { type: "string", enum: ["div", "button"] },
      label: { type: ["string", "null"], description: "The label" },
      children: { type: "array", items: { $ref: "#" } },
      attributes: {
        type: "array",
        items: {
          type: "object",
          properties: { name: { type: "string" }, value: { type: "string" } },
          required: ["name", "value"],
          additionalProperties: false,
        },
      },
    },
    required: ["type", "label", "children", "attributes"],
    additionalProperties: false,
  };
  assertPermits(schema, {
    yes: [
      '{"type": "div", "label": null, "children": [{"type":"button","label":"Go","children":[],"attributes":[]}], "attributes": []}',
    ],
    no: [
      '{"type": "div", "label": null, "children": []}',
      '{"label": null, "type": "div", "children": [], "attributes": []}',
    ],
  });
});

Deno.test("Copilot's and Home Assistant's tools are held", () => {
  const readFile: JsonSchema = {
    type: "object",
    properties: {
      filePath: { description: "The absolute path", type: "string" },
      startLineNumberBaseZero: { type: "number", description: "0-based" },
      endLineNumberBaseZero: { type: "number" },
    },
    required: ["filePath", "startLineNumberBaseZero", "endLineNumberBaseZero"],
  };
  assertPermits(readFile, {
    yes: ['{"filePath": "/w/a.ts", "startLineNumberBaseZero": 0, "endLineNumberBaseZero": 99}'],
    no: ['{"filePath": "/w/a.ts"}'],
  });
  assertPermits({ type: "object", properties: {} }, { yes: ["{}"], no: ['{"x":1}'] });
  const turnOn: JsonSchema = {
    type: "object",
    properties: {
      name: { type: "string" },
      area: { type: "string" },
      domain: { type: "array", items: { type: "string", enum: ["light", "switch"] } },
      brightness: { type: "integer", minimum: 0, maximum: 100 },
    },
    required: [],
  };
  assertPermits(turnOn, {
    yes: ['{"area": "Kitchen", "domain": ["light"], "brightness": 100}', "{}"],
    no: ['{"brightness": 101}', '{"domain": ["fan"]}'],
  });
});

Deno.test("128 tools come to one grammar of moderate size", () => {
  const builder = new GrammarBuilder();
  const calls = Array.from({ length: 128 }, (_, at) => {
    const properties = {
      [`path${at}`]: { type: "string", description: "Where" },
      query: { type: "string", minLength: 1, maxLength: 200 + (at % 3) },
      limit: { type: "integer", minimum: 1, maximum: 50 + at },
      mode: { enum: ["fast", "slow", `own${at}`] },
      filters: {
        type: "array",
        items: { type: "object", properties: { key: { type: "string" }, value: {} } },
        maxItems: 8,
      },
      since: { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }] },
    };
    const schema = { type: "object", properties, required: [`path${at}`], additionalProperties: false };
    const rule = builder.addSchema(schema, { strict: true, param: `tools[${at}].function.parameters` });
    return `"tool${at}" ${rule}`;
  });
  const text = builder.toGbnf(calls.join(" | "));
  assert.ok(text.length < 130_000, `${text.length}`);
  const grammar = new Gbnf(text);
  assert.ok(grammar.accepts('tool77{"path77": "/", "limit": 127, "mode": "own77", "since": null}'));
  assert.ok(!grammar.accepts('tool77{"path77": "/", "limit": 128}') && !grammar.accepts('tool77{"path76": "/"}'));
  const random = new Random(2);
  for (let count = 0; count < 20; count++) JSON.parse(grammar.generate(random, 100).replace(/^tool\d+/, ""));
});

Deno.test("A schema that a client writes for anything permits anything", () => {
  for (
    const schema of [true, {}, { $schema: "https://json-schema.org/draft/2020-12/schema" }, {
      title: "Any",
    }] as JsonSchema[]
  ) {
    const grammar = new Gbnf(grammarOf(schema));
    for (const text of ["1", '{"a": [true, null]}', '"x"']) {
      assert.ok(grammar.accepts(text) && validate(schema, JSON.parse(text)) === null);
    }
  }
});
