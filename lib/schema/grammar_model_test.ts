/** Grammars in llama.cpp itself, with a model that does what it likes within them. */
import assert from "node:assert/strict";
import { getLlama, LlamaGrammar, LlamaGrammarEvaluationState, type LlamaModel, type Token } from "node-llama-cpp";
import { Gbnf } from "../../tests/fixtures/gbnf.ts";
import { grammarOf } from "../../tests/fixtures/grammars.ts";
import { Random } from "../../tests/fixtures/random.ts";
import { drawSchema } from "../../tests/fixtures/random_schema.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import { DomainError } from "../errors.ts";
import { validate } from "./validate.ts";

const SCHEMAS = 20;
const TOKENS_MAX = 48;

/** Random schemas with their grammars; those that came out as impossible are left out. */
function drawGrammars(count: number): { schema: Record<string, unknown>; grammar: string }[] {
  const drawn = [];
  for (let seed = 1_000; drawn.length < count; seed++) {
    const { schema } = drawSchema(new Random(seed), 2);
    try {
      drawn.push({ schema, grammar: grammarOf(schema, { strict: false }) });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
    }
  }
  return drawn;
}

/** Lets the model write; `isWhole` when it came to an end by itself. */
async function write(
  model: LlamaModel,
  grammar: LlamaGrammar,
  seed: number,
): Promise<{ text: string; isWhole: boolean }> {
  const context = await model.createContext({ contextSize: 256, sequences: 1, threads: 1 });
  try {
    const tokens: Token[] = [];
    const answer = context.getSequence().evaluate(model.tokenize("Here is some JSON for you:\n"), {
      temperature: 1.5,
      seed,
      topK: 0,
      topP: 1,
      minP: 0,
      grammarEvaluationState: new LlamaGrammarEvaluationState({ model, grammar }),
    });
    for await (const token of answer) {
      tokens.push(token);
      if (tokens.length === TOKENS_MAX) return { text: model.detokenize(tokens), isWhole: false };
    }
    return { text: model.detokenize(tokens), isWhole: true };
  } finally {
    await context.dispose();
  }
}

skipUnless(testModel("smollm2-135m"), "Grammars in llama.cpp with SmolLM2", (path) => {
  Deno.test("llama.cpp takes every grammar, and what a wild model writes within one is valid or the beginning of it", async () => {
    const llama = await getLlama({ gpu: false, build: "never", progressLogs: false });
    try {
      const model = await llama.loadModel({ modelPath: path });
      let whole = 0;
      for (const [seed, { schema, grammar }] of drawGrammars(SCHEMAS).entries()) {
        const { text, isWhole } = await write(model, new LlamaGrammar(llama, { grammar }), seed);
        const name = `${JSON.stringify(schema)} let the model write ${text}`;
        if (isWhole) {
          assert.equal(validate(schema, JSON.parse(text)), null, name);
          whole++;
        } else {
          // The last character may be cut within its bytes.
          assert.ok(new Gbnf(grammar).permitsBeginning(text.replace(/\ufffd+$/, "")), name);
        }
      }
      assert.ok(whole >= SCHEMAS / 4, `only ${whole} answers came to an end`);
    } finally {
      await llama.dispose();
    }
  });
});
