import { createHash } from "node:crypto";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import type { ModelStatus } from "../../lib/inference/inference.ts";
import type { Capability, Running, Shown, Tags } from "./model_schemas.ts";

/** When a model is unloaded that stays loaded for ever: clients want a date. */
const NEVER = "9999-12-31T23:59:59Z";

/** How weights are stored that an engine runs; of another server's nobody knows. */
const FORMATS: Record<ModelDescription["engine"], string> = { llama: "gguf", onnx: "onnx", remote: "" };

/** The model as `/api/tags` lists it. */
export function toTag(model: ModelDescription): Tags["models"][number] {
  return { ...toNamed(model), modified_at: toDate(model) };
}

/** The models as `/api/ps` lists them: those that are in memory. */
export function toRunning(
  models: readonly ModelDescription[],
  loaded: readonly ModelStatus[],
): Running["models"] {
  return loaded.filter(({ state }) => state === "ready").flatMap(({ id, memoryBytes, expiresAtMs }) => {
    const model = models.find((each) => each.id === id);
    if (model === undefined) return [];
    return [{
      ...toNamed(model),
      size: memoryBytes,
      expires_at: expiresAtMs === null ? NEVER : new Date(expiresAtMs).toISOString(),
      size_vram: 0,
      context_length: model.contextTokensMax,
    }];
  });
}

/**
 * The model as `/api/show` describes it. Clients take the context from `<architecture>.context_length` and never send
 * one, so that the one that is served must stand there and not the one that was trained.
 */
export function toShown(model: ModelDescription): Shown {
  return {
    license: model.licence ?? "",
    modelfile: `FROM ${model.id}\nPARAMETER num_ctx ${model.contextTokensMax}\n`,
    parameters: `num_ctx                        ${model.contextTokensMax}`,
    template: toTemplate(model),
    details: toDetails(model),
    model_info: {
      "general.architecture": model.architecture,
      "general.basename": model.name,
      "general.parameter_count": model.parameters,
      [`${model.architecture}.context_length`]: model.contextTokensMax,
      ...(model.dimensions === null ? {} : { [`${model.architecture}.embedding_length`]: model.dimensions }),
    },
    capabilities: toCapabilities(model),
    modified_at: toDate(model),
  };
}

/** Continue takes a model to fill in the middle when its template speaks of `.Suffix`; for Jinja that is a comment. */
function toTemplate({ chatTemplate, capabilities }: ModelDescription): string {
  return `${chatTemplate ?? ""}${capabilities.infill ? "{# .Suffix #}" : ""}`;
}

function toCapabilities({ kind, capabilities }: ModelDescription): Capability[] {
  if (kind === "embedding") return ["embedding"];
  const { tools, reasoning, vision, infill } = capabilities;
  const more: [has: boolean, name: Capability][] = [
    [tools, "tools"],
    [reasoning, "thinking"],
    [vision, "vision"],
    [infill, "insert"],
  ];
  return ["completion", ...more.filter(([has]) => has).map(([, name]) => name)];
}

function toNamed(model: ModelDescription): Omit<Tags["models"][number], "modified_at"> {
  return {
    name: model.id,
    model: model.id,
    size: model.sizeBytes,
    digest: toDigest(model),
    details: toDetails(model),
  };
}

/** Ollama's own program shows the first 12 digits of it and fails on fewer: a model without a hash has another mark. */
function toDigest({ id, sha256, modifiedAtMs }: ModelDescription): string {
  return sha256 ?? createHash("sha256").update(`${id} ${modifiedAtMs}`).digest("hex");
}

function toDetails(model: ModelDescription): Shown["details"] {
  return {
    parent_model: "",
    format: FORMATS[model.engine],
    family: model.architecture,
    families: [model.architecture],
    parameter_size: model.parameters === null ? "" : renderCount(model.parameters),
    quantization_level: model.quantization,
  };
}

function toDate(model: ModelDescription): string {
  return new Date(model.modifiedAtMs).toISOString();
}

/** A number of weights as Ollama writes it: `134.5M`, `3.2B`. */
function renderCount(count: number): string {
  const [unit, size] = count >= 1e9 ? ["B", 1e9] as const : ["M", 1e6] as const;
  return `${(count / size).toFixed(1)}${unit}`;
}
