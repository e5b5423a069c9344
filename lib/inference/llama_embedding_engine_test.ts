import assert from "node:assert/strict";
import { testEmbeddingEngine } from "../../tests/contract/embedding_engine.ts";
import { modelFile } from "../../tests/fixtures/llama_engine.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import type { ModelFile } from "../contracts/model.ts";
import type { DomainError } from "../errors.ts";
import { LlamaBackend } from "./llama_backend.ts";
import { createLlamaEmbeddingEngine, planLlamaEmbedding } from "./llama_embedding_engine.ts";

const EMBEDDER: Partial<ModelFile> = { id: "smollm2-135m", kind: "embedding" };

// A model for chats gives vectors, too: enough for all but what they mean. No package carries a GGUF embedding model.
skipUnless(testModel("smollm2-135m"), "The llama embedding engine embeds", (path) => {
  testEmbeddingEngine("createLlamaEmbeddingEngine()", ({ queuedMax }) => {
    return createLlamaEmbeddingEngine({ model: modelFile(path, EMBEDDER), contextTokens: 256, gpu: false, queuedMax });
  });

  Deno.test("planLlamaEmbedding() serves inputs of 2,048 tokens unless told otherwise, and counts their memory", async () => {
    await using backend = new LlamaBackend({ gpu: false });
    const plan = async (contextTokens: number | null) => {
      return await planLlamaEmbedding(await backend.open(), modelFile(path, EMBEDDER), { contextTokens });
    };
    const [usual, short, long] = [await plan(null), await plan(256), await plan(100_000)];
    const tokens = [usual, short, long].map(({ description }) => description.contextTokensMax);
    assert.deepEqual(tokens, [2_048, 256, 8_192]);
    assert.equal(usual.description.dimensions, 576);
    assert.ok(98_362_432 < short.memoryBytes && short.memoryBytes < usual.memoryBytes);
    assert.ok(usual.memoryBytes < long.memoryBytes);
  });
});

Deno.test("createLlamaEmbeddingEngine() says that a file cannot be loaded", async () => {
  const fatal = Promise.withResolvers<DomainError>();
  const model = modelFile("/nowhere/model.gguf", { ...EMBEDDER, sizeBytes: 98_362_432 });
  const settings = { model, contextTokens: null, gpu: false, queuedMax: 1 };
  await using engine = createLlamaEmbeddingEngine(settings, { onFatal: fatal.resolve });
  assert.equal((await fatal.promise).code, "engine_unavailable");
  await assert.rejects(engine.describe(), { code: "engine_unavailable", message: /^Cannot load model "smollm2-135m"/ });
});
