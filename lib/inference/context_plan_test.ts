import assert from "node:assert/strict";
import { type ContextPlanInput, planContext } from "./context_plan.ts";

const GB = 1e9;
const input = (part: Partial<ContextPlanInput>): ContextPlanInput => ({
  modelId: "m",
  contextTokensTrained: 131_072,
  contextTokens: null,
  sequences: null,
  memoryBytes: 100 * GB,
  weightsBytes: 2 * GB,
  estimateBytes: ({ contextTokens, sequences }) => Promise.resolve(contextTokens * sequences * 100_000),
  ...part,
});

Deno.test("planContext() takes four sequences of at most 32,768 tokens where memory allows", async () => {
  assert.deepEqual(await planContext(input({})), { contextTokens: 32_768, sequences: 4 });
  assert.deepEqual(await planContext(input({ contextTokensTrained: 8_192 })), { contextTokens: 8_192, sequences: 4 });
});

Deno.test("planContext() gives up sequences before context, then context", async () => {
  assert.deepEqual(await planContext(input({ memoryBytes: 9 * GB })), { contextTokens: 32_768, sequences: 2 });
  assert.deepEqual(await planContext(input({ memoryBytes: 6 * GB })), { contextTokens: 32_768, sequences: 1 });
  assert.deepEqual(await planContext(input({ memoryBytes: 4 * GB })), { contextTokens: 18_432, sequences: 1 });
});

Deno.test("planContext() keeps what was asked for, or refuses with both numbers", async () => {
  const asked = { contextTokens: 16_384, sequences: 3 };
  assert.deepEqual(await planContext(input(asked)), asked);
  const odd = { contextTokens: 1_000, sequences: 5 };
  assert.deepEqual(await planContext(input(odd)), odd);
  await assert.rejects(planContext(input({ ...asked, memoryBytes: 4 * GB })), {
    code: "not_enough_memory",
    message: /needs 6\.9 GB and 4\.0 GB can be used/,
  });
});

Deno.test("planContext() never serves more than a model was trained for", async () => {
  assert.equal((await planContext(input({ contextTokensTrained: 1_000 }))).contextTokens, 768);
  assert.equal((await planContext(input({ contextTokensTrained: 128 }))).contextTokens, 128);
});

Deno.test("planContext() refuses more context than the model was trained for", async () => {
  await assert.rejects(planContext(input({ contextTokens: 200_000 })), { code: "invalid_config", message: /131072/ });
});

Deno.test("planContext() refuses a model that does not fit at all", async () => {
  await assert.rejects(planContext(input({ memoryBytes: 1 * GB })), { code: "not_enough_memory" });
});
