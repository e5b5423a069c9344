import { z } from "zod";
import { DomainError } from "../errors.ts";
import { readGgufFile } from "./gguf.ts";
import type { GgufHeader } from "./gguf_header.ts";
import type { StoredModel } from "./models_folder.ts";

/** What a stored model says of itself, whatever its form. */
export interface ModelHeader extends Omit<GgufHeader, "parameters" | "contextTokensTrained" | "attention"> {
  /** Null where a folder does not say. */
  parameters: number | null;
  /** Null where a folder does not say. */
  contextTokensTrained: number | null;
}

type HeaderSource = Pick<StoredModel, "form" | "entryName" | "path" | "files">;

/**
 * Reads and checks what a stored model says of itself.
 *
 * @throws {DomainError} `invalid_model_file`, `model_not_found`.
 */
export async function readModelHeader(model: HeaderSource): Promise<ModelHeader> {
  return model.form === "folder" ? await readOnnxFolder(model) : await readGgufFile(model.path);
}

/** `config.json` as transformers write it; what is not listed is not needed. */
const Config = z.object({
  model_type: z.string().min(1),
  max_position_embeddings: z.number().int().positive().optional(),
});

const CONFIG_BYTES_MAX = 1024 * 1024;

/** What transformers.js calls its files: `model_quantized.onnx`, `model_fp16.onnx`, `model.onnx`. */
const QUANTIZATIONS: Record<string, string> = {
  "": "F32",
  bnb4: "BNB4",
  fp16: "F16",
  int8: "INT8",
  q4: "Q4",
  q4f16: "Q4F16",
  quantized: "INT8",
  uint8: "UINT8",
};

/** `config.json`, a tokenizer and at least one `.onnx` file must be there. */
async function readOnnxFolder(model: HeaderSource): Promise<ModelHeader> {
  const fail = (reason: string): DomainError =>
    new DomainError("invalid_model_file", `Cannot read model folder "${model.entryName}": ${reason}`);
  const fileOf = (name: string) => model.files.find((file) => file.name === name) ?? null;
  const config = fileOf("config.json");
  if (config === null) throw fail("it has no config.json");
  if (fileOf("tokenizer.json") === null) throw fail("it has no tokenizer.json");
  const weights = model.files.filter((file) => /\.onnx$/i.test(file.name));
  if (weights.length === 0) throw fail("it has no .onnx file");
  const empty = model.files.find((file) => file.sizeBytes === 0);
  if (empty !== undefined) throw fail(`${empty.name} is empty`);
  if (config.sizeBytes > CONFIG_BYTES_MAX) throw fail(`its config.json has ${config.sizeBytes} bytes`);
  const parsed = Config.safeParse(parseJson(await Deno.readTextFile(config.path)));
  if (!parsed.success) throw fail("its config.json does not name a model_type");
  const suffix = /(?:_(\w+))?\.onnx$/i.exec(weights[0]!.name.split("/").at(-1)!)?.[1] ?? "";
  return {
    kind: "embedding",
    architecture: parsed.data.model_type,
    name: null,
    quantization: QUANTIZATIONS[suffix.toLowerCase()] ?? "unknown",
    parameters: null,
    contextTokensTrained: parsed.data.max_position_embeddings ?? null,
    chatTemplate: null,
    licence: null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
