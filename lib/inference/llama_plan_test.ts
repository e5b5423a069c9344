import assert from "node:assert/strict";
import { modelFile } from "../../tests/fixtures/llama_engine.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import type { ModelFile } from "../contracts/model.ts";
import { LlamaBackend } from "./llama_backend.ts";
import { planLlamaModel } from "./llama_plan.ts";

const FREE = { contextTokens: null, sequences: null, memoryBytes: 8e9 };

skipUnless(testModel("gemma-3-270m"), "planLlamaModel() on Gemma", (path) => {
  Deno.test("planLlamaModel() gives as much context as fits the memory, and says what that takes", async () => {
    await using backend = new LlamaBackend({ gpu: false });
    const llama = await backend.open();
    const model = modelFile(path, { contextTokensTrained: 32_768 });
    const large = await planLlamaModel(llama, model, FREE);
    assert.deepEqual([large.description.contextTokensMax, large.description.sequences], [32_768, 4]);
    assert.ok(large.memoryBytes > model.sizeBytes && large.memoryBytes <= FREE.memoryBytes);
    const small = await planLlamaModel(llama, model, { ...FREE, memoryBytes: large.memoryBytes - 1 });
    assert.ok(small.description.sequences < 4 && small.memoryBytes < large.memoryBytes);
    assert.deepEqual(await planLlamaModel(llama, model, FREE), large, "equal options give an equal plan");
    await assert.rejects(planLlamaModel(llama, model, { ...FREE, memoryBytes: model.sizeBytes }), {
      code: "not_enough_memory",
      message: /^Cannot load model "test-model": it needs \d+\.\d GB and 0\.\d GB can be used;/,
    });
  });

  Deno.test("planLlamaModel() offers tools where the context has room for them, and thoughts where they have marks", async () => {
    await using backend = new LlamaBackend({ gpu: false });
    const llama = await backend.open();
    const find = async (part: Partial<ModelFile>, contextTokens: number | null) =>
      (await planLlamaModel(llama, modelFile(path, { contextTokensTrained: 32_768, ...part }), {
        ...FREE,
        contextTokens,
      })).description.capabilities;
    const none = { tools: false, reasoning: false, vision: false, infill: false };
    assert.deepEqual(await find({}, 16_383), none);
    assert.deepEqual(await find({}, 16_384), { ...none, tools: true });
    const chatTemplate = "{{ messages[-1].content }}<think>\n\n</think>";
    assert.deepEqual(await find({ chatTemplate }, 2_048), { ...none, reasoning: true });
  });
});
