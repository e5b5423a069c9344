import assert from "node:assert/strict";
import { testEmbeddingEngine, testEmbeddingModel } from "../../tests/contract/embedding_engine.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import type { EmbedRequest } from "../contracts/embedding.ts";
import type { ModelFile } from "../contracts/model.ts";
import type { DomainError } from "../errors.ts";
import { createOnnxEngine } from "./onnx_engine.ts";

const never = new AbortController().signal;

function fileOf(path: string): ModelFile {
  return {
    id: "all-minilm-l6-v2",
    name: "all-MiniLM-L6-v2",
    kind: "embedding",
    engine: "onnx",
    path,
    sizeBytes: 23_394_866,
    sha256: null,
    modifiedAtMs: 0,
    architecture: "bert",
    parameters: null,
    quantization: "INT8",
    contextTokensTrained: 512,
    chatTemplate: null,
    licence: null,
  };
}

function requestOf(inputs: string[]): EmbedRequest {
  return { id: "t", owner: "local", model: "m", inputs, dimensions: null, truncate: false, keepAliveMs: null };
}

skipUnless(testModel("all-minilm-l6-v2"), "The ONNX engine embeds", (path) => {
  const make = ({ queuedMax }: { queuedMax: number }) => createOnnxEngine({ model: fileOf(path), queuedMax });
  testEmbeddingEngine("createOnnxEngine()", make);
  testEmbeddingModel("createOnnxEngine()", make);

  Deno.test("createOnnxEngine() computes the vectors that ONNX Runtime and tokenizers compute in Python", async () => {
    await using engine = make({ queuedMax: 1 });
    const { vectors, promptTokens } = await engine.embed(
      requestOf(["A raven sat on a wall", "A black bird rested on stones"]),
      never,
    );
    assert.deepEqual(await engine.tokenize("A raven sat on a wall"), [1037, 10000, 2938, 2006, 1037, 2813]);
    assert.equal(promptTokens, 16);
    const expected = [
      [0.10816414, -0.00718458, 0.00951696, 0.06327274, -0.04394888],
      [0.04020415, 0.06598667, 0.00024714, 0.10764121, 0.00389787],
    ];
    for (const [i, numbers] of expected.entries()) {
      for (const [k, number] of numbers.entries()) {
        assert.ok(Math.abs(vectors[i]![k]! - number) < 2e-3, `${vectors[i]![k]} instead of ${number}`);
      }
    }
  });

  Deno.test("createOnnxEngine() gives its memory back when it is disposed of", async () => {
    const use = async () => {
      await using engine = make({ queuedMax: 1 });
      await engine.embed(requestOf(Array(4).fill("raven ".repeat(250))), never);
    };
    await use();
    const { rss } = Deno.memoryUsage();
    for (let i = 0; i < 3; i++) await use();
    // Each of them takes about 180 MB.
    const grownBytes = Deno.memoryUsage().rss - rss;
    assert.ok(grownBytes < 250e6, `${grownBytes} bytes`);
  });

  Deno.test("createOnnxEngine() keeps the event loop turning while it computes", async () => {
    await using engine = make({ queuedMax: 1 });
    await engine.embed(requestOf(["loaded"]), never);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await engine.embed(requestOf(Array(8).fill("raven ".repeat(250))), never);
    clearInterval(timer);
    assert.ok(turns >= 20, `${turns} turns`);
  });
});

Deno.test("createOnnxEngine() says which file of a model is missing, to whoever made it and to every caller", async () => {
  const fatal = Promise.withResolvers<DomainError>();
  const model = fileOf("/nowhere/all-minilm-l6-v2");
  await using engine = createOnnxEngine({ model, queuedMax: 1 }, { onFatal: fatal.resolve });
  const message = 'Cannot load model "all-minilm-l6-v2": config.json is missing; remove it and pull it again';
  assert.equal((await fatal.promise).message, message);
  await assert.rejects(engine.describe(), { code: "invalid_model_file", message });
  await assert.rejects(engine.embed(requestOf(["a"]), never), { code: "invalid_model_file", message });
});
