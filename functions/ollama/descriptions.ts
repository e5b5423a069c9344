import type { ModelDescription } from "../../lib/contracts/model.ts";
import type { Running, Shown, Tags } from "./schemas.ts";

/** A model of Rookery stays loaded until Rookery ends; clients want a date. */
const NEVER = "9999-12-31T23:59:59Z";

/** The model as `/api/tags` lists it. */
export function toTag(model: ModelDescription): Tags["models"][number] {
  return { ...toNamed(model), modified_at: toDate(model) };
}

/** The model as `/api/ps` lists it; `sizeBytes` is the memory that it takes. */
export function toRunning(model: ModelDescription, sizeBytes: number): Running["models"][number] {
  return {
    ...toNamed(model),
    size: sizeBytes,
    expires_at: NEVER,
    size_vram: 0,
    context_length: model.contextTokensMax,
  };
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
    template: model.chatTemplate ?? "",
    details: toDetails(model),
    model_info: {
      "general.architecture": model.architecture,
      "general.basename": model.name,
      "general.parameter_count": model.parameters,
      [`${model.architecture}.context_length`]: model.contextTokensMax,
    },
    capabilities: ["completion"],
    modified_at: toDate(model),
  };
}

function toNamed(model: ModelDescription): Omit<Tags["models"][number], "modified_at"> {
  return {
    name: model.id,
    model: model.id,
    size: model.sizeBytes,
    digest: model.sha256 ?? "",
    details: toDetails(model),
  };
}

function toDetails(model: ModelDescription): Shown["details"] {
  return {
    parent_model: "",
    format: "gguf",
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
