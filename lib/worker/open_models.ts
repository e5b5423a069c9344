import type { ModelFile } from "../contracts/model.ts";
import type { ThreadPlan, WorkerModel, WorkerSettings } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { ComputeGate } from "../inference/compute_gate.ts";
import type { ChatEngine, EmbeddingEngine, ModelPlan } from "../inference/engine.ts";
import { LlamaBackend } from "../inference/llama_backend.ts";
import { createLlamaEmbeddingEngine, planLlamaEmbedding } from "../inference/llama_embedding_engine.ts";
import { createLlamaEngine } from "../inference/llama_engine.ts";
import { planLlamaModel } from "../inference/llama_plan.ts";
import { inspectModel } from "../inference/model_inspection.ts";
import { type EngineHooks, ModelPool } from "../inference/model_pool.ts";
import { hashOwner, StateFiles } from "../inference/state_files.ts";
import { createOnnxEngine } from "../inference/onnx_engine.ts";
import { planOnnxModel } from "../inference/onnx_model.ts";
import type { WorkerInference } from "./app.ts";
import type { WorkerEvents } from "./run_worker.ts";

/** Of the memory that models may take, each chat model's conversations that had to make room get one part in so many. */
const KEPT_SHARE = 8;

/** Puts the real engines behind the models of a worker. Nothing is loaded before it is asked for. */
export function openModels(settings: WorkerSettings, events: WorkerEvents): WorkerInference {
  return new WorkerModels(settings, events);
}

/** A pool of the models of llama.cpp and ONNX Runtime that remembers which threads suit which model. */
class WorkerModels extends ModelPool implements WorkerInference {
  readonly #backend: LlamaBackend;
  readonly #threads: Map<string, ThreadPlan>;

  constructor(settings: WorkerSettings, events: WorkerEvents) {
    const { models, defaultModelId, memoryBytesMax, keepAliveMs, queuedMax, gpu } = settings;
    const backend = new LlamaBackend({ gpu, onLog: events.onLog, onOpened: events.onBackend });
    const threads = new Map<string, ThreadPlan>();
    const gate = new ComputeGate();
    super({
      models,
      defaultModelId,
      memoryBytesMax,
      keepAliveMs,
      queuedMax,
      plan: (model) => planModel(model, { settings, backend }),
      openChat: (model, hooks) => openChat(model, { hooks, settings, events, backend, gate, threads }),
      openEmbedding: (model, hooks) => openEmbedding(model, { hooks, settings, events, backend, gate, threads }),
      inspect: inspectModel,
      forgetStored: (owner) => forgetStored(owner, settings),
      onFailure: (error) => events.onLog(Deno.inspect(error)),
    });
    this.#backend = backend;
    this.#threads = threads;
    this.#remember(models);
  }

  override setModels(models: readonly WorkerModel[]): void {
    this.#remember(models);
    super.setModels(models);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#backend[Symbol.asyncDispose]();
  }

  #remember(models: readonly WorkerModel[]): void {
    for (const model of models) if (model.threads !== null) this.#threads.set(nameContent(model), model.threads);
  }
}

/** What an engine is opened with. */
interface Opening {
  hooks: EngineHooks;
  settings: WorkerSettings;
  events: WorkerEvents;
  backend: LlamaBackend;
  gate: ComputeGate;
  threads: Map<string, ThreadPlan>;
}

function openChat(model: ModelFile, { hooks, settings, events, backend, gate, threads }: Opening): ChatEngine {
  const { queuedMax, gpu, threadsMax, kvDir, kvBytesMax } = settings;
  const { memoryBytes, keptBytes } = divideMemory(settings);
  const known = threads.get(nameContent(model)) ?? null;
  const keep = { dir: kvDir, memoryBytesMax: keptBytes, diskBytesMax: kvBytesMax };
  const size = { ...chooseSize(model, settings), memoryBytes };
  return createLlamaEngine({ model, ...size, queuedMax, gpu, threads: known, threadsMax, backend, gate, keep }, {
    onReady: () => hooks.onReady(),
    onFatal: (error) => hooks.onFatal(error),
    onHung: () => events.onHung(),
    onCalibrated: (calibration) => {
      threads.set(nameContent(model), calibration.threads);
      events.onCalibrated(model.id, calibration);
    },
  });
}

function openEmbedding(model: ModelFile, { hooks, settings, events, backend, gate }: Opening): EmbeddingEngine {
  const { queuedMax, gpu } = settings;
  const told = {
    onReady: () => hooks.onReady(),
    onFatal: (error: DomainError) => hooks.onFatal(error),
    onHung: () => events.onHung(),
  };
  return model.engine === "onnx"
    ? createOnnxEngine({ model, queuedMax, gate }, told)
    : createLlamaEmbeddingEngine({ model, contextTokens: null, queuedMax, gpu, backend, gate }, told);
}

/** Plans each model as if it were alone: what is served must not depend on what else is in memory just now. */
async function planModel(
  model: ModelFile,
  { settings, backend }: { settings: WorkerSettings; backend: LlamaBackend },
): Promise<ModelPlan> {
  await inspectModel(model);
  if (model.engine === "onnx") return await planOnnxModel(model);
  const llama = await backend.open();
  try {
    if (model.kind === "embedding") return await planLlamaEmbedding(llama, model, { contextTokens: null });
    const { memoryBytes, keptBytes } = divideMemory(settings);
    const plan = await planLlamaModel(llama, model, { ...chooseSize(model, settings), memoryBytes });
    return { ...plan, memoryBytes: plan.memoryBytes + keptBytes };
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw new DomainError(
      "engine_unavailable",
      `Cannot load model "${model.id}": llama.cpp cannot read its header; ` +
        `\`deno task models verify ${model.id}\` says whether the file is damaged`,
      { cause },
    );
  }
}

function divideMemory({ memoryBytesMax }: WorkerSettings): { memoryBytes: number; keptBytes: number } {
  const keptBytes = Math.floor(memoryBytesMax / KEPT_SHARE);
  return { memoryBytes: memoryBytesMax - keptBytes, keptBytes };
}

/** Also of models that are not loaded. */
async function forgetStored(owner: string, { kvDir, kvBytesMax }: WorkerSettings): Promise<void> {
  if (kvDir === null) return;
  await new StateFiles({ dir: kvDir, fingerprint: "", bytesMax: kvBytesMax }).forget(hashOwner(owner));
}

/** What the operator asked for. It is said of the default model: another one may have been trained for less. */
function chooseSize(model: ModelFile, { contextTokens, sequences, defaultModelId }: WorkerSettings) {
  if (contextTokens === null || model.id === defaultModelId) return { contextTokens, sequences };
  return { contextTokens: Math.min(contextTokens, model.contextTokensTrained), sequences };
}

/** A file that is another one now may want other threads. */
function nameContent({ id, sizeBytes, modifiedAtMs }: ModelFile): string {
  return `${id} ${sizeBytes} ${modifiedAtMs}`;
}
