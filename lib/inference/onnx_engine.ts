import type { ModelFile } from "../contracts/model.ts";
import { createEmbeddingQueue, type EmbeddingEngineEvents, type EmbeddingQueueOptions } from "./embedding_queue.ts";
import type { EmbeddingEngine } from "./engine.ts";
import { planOnnxModel, readOnnxModel } from "./onnx_model.ts";
import { openOnnxThread } from "./onnx_thread.ts";

/** What an ONNX engine is made from. */
export interface OnnxEngineSettings extends EmbeddingQueueOptions {
  /** Its `path` is a folder; see {@linkcode readOnnxModel} for what is in it. */
  model: ModelFile;
  /** Starts the thread that computes; tests start another. */
  createWorker?: () => Worker;
}

/**
 * Embeds with an ONNX model and ONNX Runtime, in a thread of its own. It returns at once and loads meanwhile. Vectors
 * are those of sentence-transformers: the mean of all tokens' states (or the first one's, where the model says so), one
 * unit long. An input is as long as `sentence_bert_config.json` allows, which for all-MiniLM-L6-v2 is 256 word pieces:
 * it could take 512, but was trained and measured with fewer.
 */
export function createOnnxEngine(settings: OnnxEngineSettings, events: EmbeddingEngineEvents = {}): EmbeddingEngine {
  const { model, createWorker } = settings;
  return createEmbeddingQueue({
    id: model.id,
    describe: async () => (await planOnnxModel(model)).description,
    open: async () => {
      const options = { folder: model.path, model: await readOnnxModel(model) };
      return await openOnnxThread(createWorker === undefined ? options : { ...options, createWorker });
    },
  }, { ...settings, ...events });
}
