import type { ModelKind } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { nameFileType } from "./ggml_types.ts";

/** What a GGUF header says of its model. */
export interface GgufHeader {
  /** By the architecture, or by how it pools what it computes. */
  kind: ModelKind;
  /** `general.architecture`, e.g. `llama`. */
  architecture: string;
  /** `general.name`, or `general.basename`, or null. */
  name: string | null;
  /** e.g. `Q4_K_M`; `unknown` when the file does not say. */
  quantization: string;
  /** Number of weights: elements of all tensors. */
  parameters: number;
  /** `<architecture>.context_length`. */
  contextTokensTrained: number;
  /** `tokenizer.chat_template` (Jinja), or null. */
  chatTemplate: string | null;
  /** `general.license`, or null. */
  licence: string | null;
  /** What keys and values of one token are; null where layers differ or the file does not say. */
  attention: GgufAttention | null;
}

/** Shape of keys and values, the same in every layer. */
export interface GgufAttention {
  layers: number;
  heads: number;
  keySize: number;
  valueSize: number;
  /** Tokens that layers with a sliding window keep, whichever these are; null when there is none. */
  windowTokens: number | null;
}

/** Texts and whole numbers of a header by their keys. */
export type GgufMetadata = Map<string, string | number>;

/** Texts and whole numbers that are kept; all else is passed over. */
const WANTED = new Set([
  "general.alignment",
  "general.architecture",
  "general.basename",
  "general.file_type",
  "general.license",
  "general.name",
  "general.type",
  "split.count",
  "tokenizer.chat_template",
]);

/** Behind the name of the architecture, which may come later in the file. */
const WANTED_OF_ARCHITECTURE = [
  ".context_length",
  ".pooling_type",
  ".block_count",
  ".embedding_length",
  ".attention.head_count",
  ".attention.head_count_kv",
  ".attention.key_length",
  ".attention.value_length",
  ".attention.sliding_window",
];

/** Whether a text is needed to describe a model. */
export function isWantedText(key: string): boolean {
  return WANTED.has(key);
}

/** Whether a whole number is needed to describe a model. */
export function isWantedNumber(key: string): boolean {
  return WANTED.has(key) || WANTED_OF_ARCHITECTURE.some((suffix) => key.endsWith(suffix));
}

/** llama.cpp's architectures (`LLM_ARCH_NAMES`) that turn texts into vectors and write none. */
const EMBEDDING_ARCHITECTURES = new Set([
  "bert",
  "eurobert",
  "gemma-embedding",
  "jina-bert-v2",
  "jina-bert-v3",
  "llama-embed",
  "modern-bert",
  "neo-bert",
  "nomic-bert",
  "nomic-bert-moe",
]);
/** llama.cpp's `LLAMA_POOLING_TYPE_RANK`. */
const POOLING_RANK = 4;

/**
 * Describes a model by the metadata of its file.
 *
 * @throws {DomainError} `invalid_model_file`; its message is the second half of a sentence.
 */
export function describeModel(metadata: GgufMetadata, parameters: number): GgufHeader {
  const textOf = (key: string): string | null => {
    const value = metadata.get(key);
    return typeof value === "string" && value.trim() !== "" ? value : null;
  };
  const numberOf = (key: string): number | null => {
    const value = metadata.get(key);
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
  };
  const architecture = textOf("general.architecture");
  if (architecture === null) throw invalid("it does not name its architecture");
  const contextTokensTrained = numberOf(`${architecture}.context_length`);
  if (contextTokensTrained === null || contextTokensTrained === 0) {
    throw invalid("it does not say how long its context is, so it is no language model");
  }
  const pooling = numberOf(`${architecture}.pooling_type`) ?? 0;
  if (pooling === POOLING_RANK) throw invalid("it ranks documents, and neither chats nor embeds");
  return {
    kind: pooling > 0 || EMBEDDING_ARCHITECTURES.has(architecture) ? "embedding" : "chat",
    architecture,
    name: textOf("general.name") ?? textOf("general.basename"),
    quantization: nameFileType(numberOf("general.file_type")),
    parameters,
    contextTokensTrained,
    chatTemplate: textOf("tokenizer.chat_template"),
    licence: textOf("general.license"),
    attention: describeAttention((key) => numberOf(`${architecture}.${key}`)),
  };
}

function describeAttention(numberOf: (key: string) => number | null): GgufAttention | null {
  const layers = numberOf("block_count");
  const width = numberOf("embedding_length");
  const queryHeads = numberOf("attention.head_count");
  const heads = numberOf("attention.head_count_kv");
  if (!layers || !width || !queryHeads || !heads) return null;
  const keySize = numberOf("attention.key_length") ?? width / queryHeads;
  const valueSize = numberOf("attention.value_length") ?? width / queryHeads;
  if (!Number.isInteger(keySize) || !Number.isInteger(valueSize)) return null;
  return { layers, heads, keySize, valueSize, windowTokens: numberOf("attention.sliding_window") || null };
}

function invalid(reason: string): DomainError {
  return new DomainError("invalid_model_file", reason);
}
