import { z } from "zod";
import type { ModelDescription, ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ModelPlan } from "./engine.ts";

/** How one vector is made of those of all tokens: their average, or the first one. */
export type Pooling = "mean" | "cls";

/** What the files of an ONNX embedding model say. */
export interface OnnxModel {
  /** How transformers.js names the numbers of the weights: `q8` is `onnx/model_quantized.onnx`, `fp32` `onnx/model.onnx`. */
  dtype: "q8" | "fp32";
  pooling: Pooling;
  dimensions: number;
  vocabularySize: number;
  /** Longest input, with the tokens that the model wants around it. */
  tokensMax: number;
}

/** Weights by preference: int8 is as good within 0.0005 of cosine and a quarter of the size. */
const WEIGHTS = [
  { dtype: "q8", file: "onnx/model_quantized.onnx" },
  { dtype: "fp32", file: "onnx/model.onnx" },
] as const;

const Config = z.object({
  hidden_size: z.number().int().positive(),
  max_position_embeddings: z.number().int().positive(),
  vocab_size: z.number().int().positive(),
});

/** Of sentence-transformers: what its authors trained and measured with, often less than the model could take. */
const SentenceConfig = z.object({ max_seq_length: z.number().int().positive().nullish() });

const PoolingConfig = z.object({
  pooling_mode_cls_token: z.boolean().default(false),
  pooling_mode_mean_tokens: z.boolean().default(false),
});

/** Memory beside the weights: transformers.js, and what a batch computes in. */
const WORKING_BYTES = 250_000_000;

/** ONNX Runtime reads the file whole and lays its weights out anew for the processor. */
const WEIGHTS_FACTOR = 3;

/**
 * Reads an embedding model's folder, as sentence-transformers and transformers.js lay it out: `config.json`,
 * `tokenizer.json`, `tokenizer_config.json`, `onnx/model_quantized.onnx` or `onnx/model.onnx`; and, where they are, `sentence_bert_config.json`
 * with the longest input and `1_Pooling/config.json`.
 *
 * @throws {DomainError} `invalid_model_file` when a file is missing or says something that is not understood.
 */
export async function readOnnxModel({ id, path }: Pick<ModelFile, "id" | "path">): Promise<OnnxModel> {
  const folder = { id, path };
  const config = await readJson(folder, { file: "config.json", schema: Config });
  const sentences = await readJson(folder, { file: "sentence_bert_config.json", schema: SentenceConfig, fallback: {} });
  const fallback = { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false };
  const pooling = await readJson(folder, { file: "1_Pooling/config.json", schema: PoolingConfig, fallback });
  if (pooling.pooling_mode_mean_tokens === pooling.pooling_mode_cls_token) {
    throw loadError(id, "1_Pooling/config.json asks for neither the mean nor the first token alone");
  }
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
    if (!await exists(`${path}/${file}`)) throw missingError(id, file);
  }
  for (const { dtype, file } of WEIGHTS) {
    if (!await exists(`${path}/${file}`)) continue;
    return {
      dtype,
      pooling: pooling.pooling_mode_cls_token ? "cls" : "mean",
      dimensions: config.hidden_size,
      vocabularySize: config.vocab_size,
      tokensMax: Math.min(config.max_position_embeddings, sentences.max_seq_length ?? Infinity),
    };
  }
  throw missingError(id, WEIGHTS[0].file);
}

/**
 * Plans how an ONNX embedding model is served, from its small files alone.
 *
 * @throws {DomainError} what {@linkcode readOnnxModel} throws.
 */
export async function planOnnxModel(model: ModelFile): Promise<ModelPlan> {
  const { dimensions, tokensMax } = await readOnnxModel(model);
  const { path: _path, ...rest } = model;
  const description: ModelDescription = {
    ...rest,
    capabilities: { tools: false, reasoning: false, vision: false, infill: false },
    dimensions,
    contextTokensMax: tokensMax,
    sequences: 1,
  };
  return { description, memoryBytes: model.sizeBytes * WEIGHTS_FACTOR + WORKING_BYTES };
}

async function readJson<Schema extends z.ZodType>(
  { id, path }: Pick<ModelFile, "id" | "path">,
  { file, schema, fallback }: { file: string; schema: Schema; fallback?: z.output<Schema> },
): Promise<z.output<Schema>> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${path}/${file}`);
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (fallback !== undefined) return fallback;
    throw missingError(id, file);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw loadError(id, `${file} says nothing that could be used`, cause);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** A file in the place of a folder is as good as nothing there. */
function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}

function missingError(id: string, file: string): DomainError {
  return loadError(id, `${file} is missing`);
}

function loadError(id: string, reason: string, cause?: unknown): DomainError {
  const text = `Cannot load model "${id}": ${reason}; remove it and pull it again`;
  return new DomainError("invalid_model_file", text, { cause });
}
