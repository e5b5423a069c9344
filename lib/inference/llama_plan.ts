import { GgufInsights, type Llama, readGgufFileInfo } from "node-llama-cpp";
import type { ModelCapabilities, ModelDescription, ModelFile } from "../contracts/model.ts";
import { findReasoning } from "./chat_template.ts";
import { type ContextPlan, planContext } from "./context_plan.ts";
import type { ModelPlan } from "./engine.ts";
import { PREFILL_CHUNK_TOKENS } from "./scheduler.ts";

export type { ModelPlan };

/** What {@linkcode planLlamaModel} weighs beside the model's file. */
export interface LlamaPlanOptions {
  /** What the operator asked for, or null. */
  contextTokens: number | null;
  sequences: number | null;
  /** Memory that the model may take, weights and contexts. */
  memoryBytes: number;
}

/** Lists of a header that no estimate needs, by far its largest part. */
export const VOCABULARY_KEYS = ["tokens", "merges", "scores", "token_type"].map((name) => `tokenizer.ggml.${name}`);

/**
 * Fewest tokens of context with which tools are offered. Agents describe dozens of them: Copilot's take some 10,000 tokens,
 * and a model that sees no more than their beginning calls nothing. Whoever sends tools nonetheless is served.
 */
const TOOLS_CONTEXT_MIN = 16_384;

/** A batch holds a chunk of prompts and the next token of every answer. */
export function batchTokensMax(sequences: number): number {
  return PREFILL_CHUNK_TOKENS + sequences;
}

/**
 * Plans how a GGUF model is served, from its header alone: equal options give an equal plan, whatever else is in memory.
 *
 * @throws {DomainError} what {@linkcode planContext} throws.
 * @throws {Error} when llama.cpp cannot read the header.
 */
export async function planLlamaModel(llama: Llama, model: ModelFile, options: LlamaPlanOptions): Promise<ModelPlan> {
  const header = await readGgufFileInfo(model.path, {
    sourceType: "filesystem",
    logWarnings: false,
    ignoreKeys: VOCABULARY_KEYS,
  });
  const insights = await GgufInsights.from(header, llama);
  const estimateBytes = async ({ contextTokens, sequences }: ContextPlan) => {
    const { cpuRam, gpuVram } = await insights.estimateContextResourceRequirementsV2({
      contextSize: contextTokens,
      sequences,
      batchSize: batchTokensMax(sequences),
      modelGpuLayers: 0,
    });
    return cpuRam + gpuVram;
  };
  const plan = await planContext({
    modelId: model.id,
    contextTokensTrained: model.contextTokensTrained,
    ...options,
    weightsBytes: model.sizeBytes,
    estimateBytes,
  });
  const { path: _path, ...rest } = model;
  const description: ModelDescription = {
    ...rest,
    capabilities: findCapabilities(model, plan),
    dimensions: null,
    contextTokensMax: plan.contextTokens,
    sequences: plan.sequences,
  };
  return { description, memoryBytes: model.sizeBytes + await estimateBytes(plan) };
}

/** What the chat template tells; where it knows no tools they are described in words. */
function findCapabilities({ chatTemplate }: ModelFile, { contextTokens }: ContextPlan): ModelCapabilities {
  return {
    tools: contextTokens >= TOOLS_CONTEXT_MIN,
    reasoning: findReasoning(chatTemplate),
    vision: false,
    infill: false,
  };
}
