import { z } from "zod";

/** A GGUF file on this machine's disk, as its header and its manifest tell. */
export const ModelFile = z.object({
  /** What clients name, e.g. `smollm2-135m`. */
  id: z.string(),
  /** What people read, e.g. `SmolLM2 135M Instruct`. */
  name: z.string(),
  /** Absolute path of the file. */
  path: z.string(),
  sizeBytes: z.number(),
  /** SHA-256 of the file in hex, or null when it was never computed. */
  sha256: z.string().nullable(),
  /** Milliseconds since 1970 of the file's last change. */
  modifiedAtMs: z.number(),
  /** GGUF's `general.architecture`, e.g. `llama`. */
  architecture: z.string(),
  /** Number of weights, or null when the file does not say. */
  parameters: z.number().nullable(),
  /** GGUF's file type, e.g. `Q4_K_M`; `unknown` when the file does not say. */
  quantization: z.string(),
  /** Tokens of context that the model was trained for. */
  contextTokensTrained: z.number().int(),
  /** The model's own chat template (Jinja), or null when it has none and ChatML is assumed. */
  chatTemplate: z.string().nullable(),
  licence: z.string().nullable(),
});
export type ModelFile = z.infer<typeof ModelFile>;

/** The model that an engine holds, as it is served: what is said here is what a request will meet. */
export const ModelDescription = ModelFile.omit({ path: true }).extend({
  /** Tokens of one conversation, prompt and answer, that are served here. */
  contextTokensMax: z.number().int(),
  /** Conversations that run at the same time; more wait in the queue. */
  sequences: z.number().int(),
});
export type ModelDescription = z.infer<typeof ModelDescription>;
