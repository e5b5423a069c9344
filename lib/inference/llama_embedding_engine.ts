import {
  GgufInsights,
  type Llama,
  type LlamaEmbeddingContext,
  type LlamaModel,
  LlamaVocabularyType,
  readGgufFileInfo,
} from "node-llama-cpp";
import type { ModelDescription, ModelFile } from "../contracts/model.ts";
import {
  createEmbeddingQueue,
  type Embedder,
  type EmbeddingEngineEvents,
  type EmbeddingQueueOptions,
} from "./embedding_queue.ts";
import type { EmbeddingEngine } from "./engine.ts";
import { LlamaBackend } from "./llama_backend.ts";
import { type ModelPlan, VOCABULARY_KEYS } from "./llama_plan.ts";

/*
 * node-llama-cpp's own `getEmbeddingFor()` marks the last token alone as an output, about which llama.cpp complains with
 * a line for every text, and prepares to draw a token. These are the parts underneath it, as they are in the pinned version.
 */
interface NativeContext {
  initBatch(tokens: number): void;
  addToBatch(sequence: number, position: number, tokens: Uint32Array, outputs: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  disposeSequence(sequence: number): void;
  getEmbedding(tokens: number): Float64Array;
}
interface NativeParts {
  _llamaContext: { _ctx: NativeContext };
}

/**
 * Tokens of one input, where the operator says nothing. A model that reads in both directions computes an input in one
 * piece, and the memory for that grows with its square.
 */
const INPUT_TOKENS = 2_048;
const INPUT_TOKENS_MAX = 8_192;

/** What a llama embedding engine is made from. */
export interface LlamaEmbeddingSettings extends EmbeddingQueueOptions {
  /** A GGUF file. */
  model: ModelFile;
  /** Tokens of one input; null takes what the model was trained for, at most 2,048. */
  contextTokens: number | null;
  /** Uses a GPU when the installed llama.cpp build can; a `backend` that is given knows by itself. */
  gpu: boolean;
  /** llama.cpp as the other models of this process use it; without it the engine opens its own. */
  backend?: LlamaBackend;
}

/**
 * Embeds with a GGUF model and llama.cpp. It returns at once and loads meanwhile. Vectors are pooled as the file says
 * (`<architecture>.pooling_type`); a model that says nothing, which was made for chats, gives the last token's state.
 */
export function createLlamaEmbeddingEngine(
  settings: LlamaEmbeddingSettings,
  events: EmbeddingEngineEvents = {},
): EmbeddingEngine {
  const { model, gpu } = settings;
  const own = settings.backend === undefined ? new LlamaBackend({ gpu }) : null;
  const backend = settings.backend ?? own!;
  const plan = backend.open().then((llama) => planLlamaEmbedding(llama, model, settings));
  return createEmbeddingQueue({
    id: model.id,
    describe: async () => (await plan).description,
    open: async (signal) => {
      const { contextTokensMax } = (await plan).description;
      return await openEmbedder(await backend.open(), { model, contextTokensMax, signal, own });
    },
  }, { ...settings, ...events });
}

/**
 * Plans how a GGUF embedding model is served, from its header alone.
 *
 * @throws {Error} when llama.cpp cannot read the header.
 */
export async function planLlamaEmbedding(
  llama: Llama,
  model: ModelFile,
  { contextTokens }: { contextTokens: number | null },
): Promise<ModelPlan> {
  const header = await readGgufFileInfo(model.path, {
    sourceType: "filesystem",
    logWarnings: false,
    ignoreKeys: VOCABULARY_KEYS,
  });
  const insights = await GgufInsights.from(header, llama);
  const wanted = Math.min(INPUT_TOKENS_MAX, contextTokens ?? INPUT_TOKENS);
  const contextTokensMax = Math.min(model.contextTokensTrained, wanted);
  const { cpuRam, gpuVram } = await insights.estimateContextResourceRequirementsV2({
    contextSize: contextTokensMax,
    batchSize: contextTokensMax,
    isEmbeddingContext: true,
    modelGpuLayers: 0,
  });
  const { path: _path, ...rest } = model;
  const description: ModelDescription = {
    ...rest,
    capabilities: { tools: false, reasoning: false, vision: false, infill: false },
    dimensions: insights.embeddingVectorSize ?? null,
    contextTokensMax,
    sequences: 1,
  };
  return { description, memoryBytes: model.sizeBytes + cpuRam + gpuVram };
}

async function openEmbedder(
  llama: Llama,
  { model: { path }, contextTokensMax, signal, own }: {
    model: ModelFile;
    contextTokensMax: number;
    signal: AbortSignal;
    own: LlamaBackend | null;
  },
): Promise<Embedder> {
  const model = await llama.loadModel({ modelPath: path, loadSignal: signal });
  try {
    const context = await model.createEmbeddingContext({
      contextSize: contextTokensMax,
      batchSize: contextTokensMax,
      // A thread that has to share its core makes all others wait, spinning: background work leaves one to whoever comes.
      threads: Math.max(1, llama.cpuMathCores - 1),
      createSignal: signal,
      // What it takes was planned before it was loaded.
      ignoreMemorySafetyChecks: true,
    });
    return new LlamaEmbedder(model, context, own);
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

class LlamaEmbedder implements Embedder {
  readonly isLost = false;
  readonly vocabularySize: number;
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  readonly #native: NativeContext;

  constructor(
    private readonly model: LlamaModel,
    private readonly context: LlamaEmbeddingContext,
    private readonly own: LlamaBackend | null,
  ) {
    this.#native = (context as unknown as NativeParts)._llamaContext._ctx;
    this.vocabularySize = [...model.iterateAllTokens()].length;
    const { prefix, suffix } = readFrame(model);
    this.prefix = prefix;
    this.suffix = suffix;
  }

  encode(texts: readonly string[]): Promise<number[][]> {
    return Promise.resolve(texts.map((text) => this.model.tokenize(text, false)));
  }

  async compute(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    for (const input of inputs) {
      const tokens = Uint32Array.from(input);
      this.#native.disposeSequence(0);
      this.#native.initBatch(tokens.length);
      this.#native.addToBatch(0, 0, tokens, tokens.map((_, index) => index));
      await this.#native.decodeBatch();
      vectors.push(Float32Array.from(this.#native.getEmbedding(tokens.length)));
    }
    return vectors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.dispose();
    await this.model.dispose();
    await this.own?.[Symbol.asyncDispose]();
  }
}

/** What llama.cpp puts around an input (`llama_vocab::impl::tokenize` with `add_special`). */
function readFrame({ vocabularyType, tokens }: LlamaModel): { prefix: number[]; suffix: number[] } {
  const { bos, eos, sep } = tokens;
  const only = (token: number | null, isWanted: boolean) => token !== null && isWanted ? [token] : [];
  switch (vocabularyType) {
    case LlamaVocabularyType.wpm:
      return { prefix: only(bos, true), suffix: only(sep, true) };
    case LlamaVocabularyType.rwkv:
      return { prefix: [], suffix: [] };
    default:
      return {
        prefix: only(bos, tokens.shouldPrependBosToken),
        suffix: only(eos, tokens.shouldAppendEosToken),
      };
  }
}
