import { z } from "zod";

/** What a model does: answers chats, or turns texts into vectors. */
export const ModelKind = z.enum(["chat", "embedding"]);
export type ModelKind = z.infer<typeof ModelKind>;

/** A model on this machine's disk, as its header and its manifest tell. */
export const ModelFile = z.object({
  /** What clients name, e.g. `smollm2-135m`. */
  id: z.string(),
  /** What people read, e.g. `SmolLM2 135M Instruct`. */
  name: z.string(),
  kind: ModelKind,
  /** What runs it: llama.cpp (one GGUF file) or ONNX Runtime (a folder). */
  engine: z.enum(["llama", "onnx"]),
  /** Absolute path of the file or the folder. */
  path: z.string(),
  sizeBytes: z.number(),
  /**
   * SHA-256 of the file in hex, or null when it was never computed. Of a folder, that of the lines that `sha256sum`
   * prints of its files, in the order of their names.
   */
  sha256: z.string().nullable(),
  /** Milliseconds since 1970 of the last change, of a folder's newest file. */
  modifiedAtMs: z.number(),
  /** GGUF's `general.architecture`, e.g. `llama`, or `model_type` of a folder's `config.json`, e.g. `bert`. */
  architecture: z.string(),
  /** Number of weights, or null when the file does not say. */
  parameters: z.number().nullable(),
  /** GGUF's file type, e.g. `Q4_K_M`, or what an ONNX file's name says; `unknown` when nothing says it. */
  quantization: z.string(),
  /** Tokens of context that the model was trained for. */
  contextTokensTrained: z.number().int(),
  /** The model's own chat template (Jinja), or null when it has none and ChatML is assumed. */
  chatTemplate: z.string().nullable(),
  licence: z.string().nullable(),
});
export type ModelFile = z.infer<typeof ModelFile>;

/** What a model can do beside the plain thing that its kind says. */
export const ModelCapabilities = z.object({
  /** Calls tools, in a context that is long enough for them. */
  tools: z.boolean(),
  /** Thinks before it answers. */
  reasoning: z.boolean(),
  /** Takes images. */
  vision: z.boolean(),
  /** Fills in the middle between a prompt and a suffix. */
  infill: z.boolean(),
});
export type ModelCapabilities = z.infer<typeof ModelCapabilities>;

/** A model as it is served: what is said here is what a request will meet, whether it is loaded already or not. */
export const ModelDescription = ModelFile.omit({ path: true, engine: true }).extend({
  /** What runs it; `remote` is another server on the operator's network. */
  engine: z.enum(["llama", "onnx", "remote"]),
  capabilities: ModelCapabilities,
  /** Numbers in a vector, of an embedding model; null otherwise. */
  dimensions: z.number().int().nullable(),
  /** Tokens of one conversation, prompt and answer, that are served here. */
  contextTokensMax: z.number().int(),
  /** Conversations that run at the same time; more wait in the queue. */
  sequences: z.number().int(),
});
export type ModelDescription = z.infer<typeof ModelDescription>;
