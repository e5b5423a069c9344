import assert from "node:assert/strict";
import type { ModelFile } from "../contracts/model.ts";
import { planOnnxModel, readOnnxModel } from "./onnx_model.ts";

const CONFIG = { hidden_size: 384, max_position_embeddings: 512, vocab_size: 30_522 };
const FILES: Record<string, unknown> = {
  "config.json": CONFIG,
  "tokenizer.json": {},
  "tokenizer_config.json": {},
  "onnx/model_quantized.onnx": {},
};

/** Calls `use` with a folder of `files`, each written as JSON; null leaves one out. */
async function withFolder(files: Record<string, unknown>, use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries({ ...FILES, ...files })) {
      await Deno.mkdir(`${path}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      if (content !== null) await Deno.writeTextFile(`${path}/${name}`, JSON.stringify(content));
    }
    await use(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function fileOf(path: string): ModelFile {
  return {
    id: "mini",
    name: "Mini",
    kind: "embedding",
    engine: "onnx",
    path,
    sizeBytes: 23_000_000,
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

Deno.test("readOnnxModel() takes the mean of all tokens and all positions when nothing else is said", async () => {
  await withFolder({}, async (path) => {
    assert.deepEqual(await readOnnxModel({ id: "mini", path }), {
      dtype: "q8",
      pooling: "mean",
      dimensions: 384,
      vocabularySize: 30_522,
      tokensMax: 512,
    });
  });
});

Deno.test("readOnnxModel() follows what sentence-transformers wrote beside the model", async () => {
  const files = {
    "sentence_bert_config.json": { max_seq_length: 256, do_lower_case: false },
    "1_Pooling/config.json": { pooling_mode_cls_token: true, pooling_mode_mean_tokens: false },
    "onnx/model_quantized.onnx": null,
    "onnx/model.onnx": {},
  };
  await withFolder(files, async (path) => {
    const { dtype, pooling, tokensMax } = await readOnnxModel({ id: "mini", path });
    assert.deepEqual([dtype, pooling, tokensMax], ["fp32", "cls", 256]);
  });
});

Deno.test("readOnnxModel() names the file that is missing", async () => {
  for (const name of Object.keys(FILES)) {
    await withFolder({ [name]: null }, async (path) => {
      await assert.rejects(readOnnxModel({ id: "mini", path }), {
        code: "invalid_model_file",
        message: `Cannot load model "mini": ${name} is missing; remove it and pull it again`,
      });
    });
  }
});

Deno.test("readOnnxModel() refuses what it would compute wrongly", async () => {
  const pooling = { pooling_mode_mean_tokens: false, pooling_mode_cls_token: false, pooling_mode_max_tokens: true };
  const refuse = async (files: Record<string, unknown>, message: RegExp) => {
    await withFolder(files, async (path) => {
      await assert.rejects(readOnnxModel({ id: "mini", path }), { code: "invalid_model_file", message });
    });
  };
  await refuse({ "1_Pooling/config.json": pooling }, /1_Pooling\/config.json asks for neither the mean nor/);
  await refuse({ "config.json": { hidden_size: "many" } }, /config.json says nothing that could be used/);
});

Deno.test("planOnnxModel() describes what is served without loading it", async () => {
  await withFolder({}, async (path) => {
    const { description, memoryBytes } = await planOnnxModel(fileOf(path));
    assert.equal("path" in description, false);
    assert.deepEqual([description.dimensions, description.contextTokensMax], [384, 512]);
    assert.ok(memoryBytes > 250_000_000 && memoryBytes < 400_000_000);
  });
});
