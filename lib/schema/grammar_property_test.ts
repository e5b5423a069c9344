import assert from "node:assert/strict";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { Random } from "../../tests/fixtures/random.ts";
import { drawSchema, type RandomSchema, writeLoosely } from "../../tests/fixtures/random_schema.ts";
import { DomainError } from "../errors.ts";
import { GrammarBuilder } from "./grammar.ts";
import { validate } from "./validate.ts";

const SCHEMAS = 400;
const TEXTS = 10;

/** The grammar of a drawn schema; null when the schema came out as one that nothing fits. */
function compile({ schema }: RandomSchema): Gbnf | null {
  const builder = new GrammarBuilder();
  try {
    return new Gbnf(builder.toGbnf(builder.addSchema(schema, { strict: false, param: "schema" })));
  } catch (error) {
    if (error instanceof DomainError && /No value can fit|is above/.test(error.message)) return null;
    throw new Error(`Cannot compile ${JSON.stringify(schema)}`, { cause: error });
  }
}

Deno.test("Whatever a grammar permits is JSON that its schema accepts", () => {
  let texts = 0;
  for (let seed = 0; seed < SCHEMAS; seed++) {
    const random = new Random(seed);
    const drawn = drawSchema(random, 3);
    const grammar = compile(drawn);
    for (let count = 0; grammar !== null && count < TEXTS; count++) {
      const text = grammar.generate(random, random.between(0, 120));
      const complaint = validate(drawn.schema, JSON.parse(text));
      assert.equal(complaint, null, `seed ${seed}: ${JSON.stringify(drawn.schema)} permits ${text}: ${complaint}`);
      texts++;
    }
  }
  assert.ok(texts > SCHEMAS * TEXTS * 0.9, `only ${texts} texts came about`);
});

Deno.test("Whatever a schema accepts is permitted by its grammar, with or without spaces", () => {
  let texts = 0;
  for (let seed = 0; seed < SCHEMAS; seed++) {
    const random = new Random(seed);
    const drawn = drawSchema(random, 3);
    const grammar = compile(drawn);
    for (let count = 0; grammar !== null && count < TEXTS; count++) {
      const value = drawn.sample();
      if (validate(drawn.schema, value) !== null) continue;
      const text = writeLoosely(value, random);
      assert.ok(grammar.accepts(text), `seed ${seed}: ${JSON.stringify(drawn.schema)} does not permit ${text}`);
      texts++;
    }
  }
  assert.ok(texts > SCHEMAS * TEXTS * 0.4, `only ${texts} texts came about`);
});

Deno.test("Whatever a grammar permits is recognised by it, and little else is", () => {
  let refused = 0;
  for (let seed = 0; seed < SCHEMAS / 4; seed++) {
    const random = new Random(seed);
    const grammar = compile(drawSchema(random, 2));
    if (grammar === null) continue;
    const text = grammar.generate(random, 60);
    assert.ok(grammar.accepts(text), text);
    assert.ok(!grammar.accepts(`${text}]`) && !grammar.accepts(`\n${text}`), text);
    if (!grammar.accepts(text.slice(0, -1))) refused++;
  }
  assert.ok(refused > 60);
});
