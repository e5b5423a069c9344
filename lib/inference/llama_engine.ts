import type { Llama, LlamaModel } from "node-llama-cpp";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { ModelDescription, ModelFile } from "../contracts/model.ts";
import type { Calibration, ThreadPlan } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { measureFreeMemory, MEMORY_SHARE } from "../free_memory.ts";
import { planAnswer } from "./answer/answer_plan.ts";
import type { AnswerReader } from "./answer/answer_reader.ts";
import { AnswerAssembler } from "./answer_assembler.ts";
import { calibrate } from "./calibrate.ts";
import type { ChatEngine, EngineStatus } from "./engine.ts";
import { EventChannel } from "./event_channel.ts";
import { LlamaBackend } from "./llama_backend.ts";
import { LlamaDecoder } from "./llama_decoder.ts";
import { LlamaVocabulary } from "./llama_vocabulary.ts";
import { batchTokensMax, planLlamaModel } from "./llama_plan.ts";
import { PrefixCache } from "./prefix_cache.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";
import { fingerprintOf, StateFiles } from "./state_files.ts";

/** What a llama engine is made from. */
export interface LlamaEngineSettings extends SchedulerOptions {
  model: ModelFile;
  /** Tokens of one conversation; null takes what the model was trained for, at most 32,768, as memory allows. */
  contextTokens: number | null;
  /** Conversations at the same time; null takes 4, or fewer as memory allows. */
  sequences: number | null;
  /** Uses a GPU when the installed llama.cpp build can; a `backend` that is given knows by itself. */
  gpu: boolean;
  /** What an earlier calibration of this model on this machine found; null calibrates. */
  threads: ThreadPlan | null;
  /** Most threads that calibration tries; null tries all cores. */
  threadsMax?: number | null;
  /** Memory that the model may take. Default: of what is free, as much as is reasonable. */
  memoryBytes?: number;
  /** llama.cpp as the other models of this process use it; without it the engine opens its own. */
  backend?: LlamaBackend;
  /** What is kept of conversations that have to make room; without it nothing is. */
  keep?: KeepSettings;
}

/** How much is kept of conversations whose sequences others need. */
export interface KeepSettings {
  /** Folder for what outlives the process and for what memory has no room for; null keeps nothing on disk. */
  dir: string | null;
  /** Most bytes in memory. */
  memoryBytesMax: number;
  /** Most bytes on disk, over all models. */
  diskBytesMax: number;
}

/** What a llama engine tells whoever made it. */
export interface LlamaEngineEvents {
  /** llama.cpp is loaded; nothing needs to be started as a process any more. */
  onBackend?: () => void;
  onCalibrated?: (calibration: Calibration) => void;
  onReady?: (model: ModelDescription) => void;
  /** The model cannot be loaded; every call from now on throws this error. */
  onFatal?: (error: DomainError) => void;
  /** llama.cpp has not ended a batch for minutes and never will, or its thread died: only the end of the process helps. */
  onHung?: () => void;
  /** A line of llama.cpp's that is a warning or worse. */
  onLog?: (line: string) => void;
}

/** What stands once the vocabulary is loaded: enough to count tokens and to settle a request's status. */
interface Counted {
  llama: Llama;
  words: LlamaModel;
  vocabulary: LlamaVocabulary;
  description: ModelDescription;
}

/**
 * Serves one GGUF model with llama.cpp. It returns at once: first the vocabulary is loaded, so that requests can be
 * counted and queued, then the weights.
 */
export function createLlamaEngine(settings: LlamaEngineSettings, events: LlamaEngineEvents = {}): ChatEngine {
  return new LlamaEngine(settings, events);
}

class LlamaEngine implements ChatEngine {
  readonly #scheduler: Scheduler;
  readonly #counted: Promise<Counted>;
  readonly #ready: Promise<ModelDescription>;
  readonly #disposables = new AsyncDisposableStack();
  readonly #closing = new AbortController();
  #state: EngineStatus["state"] = "loading";

  constructor(private readonly settings: LlamaEngineSettings, private readonly events: LlamaEngineEvents) {
    this.#scheduler = new Scheduler({ ...settings, onHung: () => this.events.onHung?.() });
    this.#counted = this.#loadVocabulary();
    this.#ready = this.#counted.then((counted) => this.#loadWeights(counted));
    this.#ready.then((model) => this.events.onReady?.(model), (error) => {
      this.#state = "gone";
      const fatal = this.#toFatal(error);
      // Who has been admitted already waits for a model that never comes.
      this.#scheduler.abandon(fatal);
      if (!this.#closing.signal.aborted) this.events.onFatal?.(fatal);
    });
    this.#counted.catch(() => {});
  }

  async describe(): Promise<ModelDescription> {
    return (await this.#awaitCounted()).description;
  }

  async tokenize(text: string): Promise<number[]> {
    return await (await this.#awaitCounted()).vocabulary.tokenize(text);
  }

  status(): Promise<EngineStatus> {
    const { active, queued, queuedMax } = this.#scheduler;
    return Promise.resolve({ state: this.#state, active, queued, queuedMax, rssBytes: Deno.memoryUsage().rss });
  }

  async forget(owner: string): Promise<void> {
    await this.#scheduler.forget(owner);
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void> {
    const { vocabulary, description } = await this.#awaitCounted();
    const { tokens: promptTokens, start } = await vocabulary.encodePrompt(request, description.contextTokensMax);
    const cancelled = new DomainError("request_cancelled", "The client left before the answer was complete");
    if (signal.aborted) throw cancelled;
    const reader = planAnswer(request, start);
    const channel = new EventChannel<ChatEvent>();
    channel.push({ type: "admitted", promptTokens: promptTokens.length });
    const cancel = this.#submit(request, { promptTokens, vocabulary, description, channel, reader });
    const onAbort = () => cancel(cancelled);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      yield* channel;
    } finally {
      signal.removeEventListener("abort", onAbort);
      cancel(cancelled);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#scheduler[Symbol.asyncDispose]();
    await Promise.allSettled([this.#ready]);
    this.#state = "gone";
    await this.#disposables.disposeAsync();
  }

  /** The thread that computes has died while the model was in use. */
  #break(cause: Error): void {
    // Until the model is ready its loading fails, which says the same.
    if (this.#state !== "ready" || this.#closing.signal.aborted) return;
    this.#state = "gone";
    const { id } = this.settings.model;
    this.#scheduler.abandon(new DomainError("engine_gone", `The thread that computed "${id}" has died`, { cause }));
    this.events.onHung?.();
  }

  #submit(
    request: ChatRequest,
    chat: {
      promptTokens: number[];
      vocabulary: LlamaVocabulary;
      description: ModelDescription;
      channel: EventChannel<ChatEvent>;
      reader: AnswerReader;
    },
  ): (error: DomainError) => void {
    const { promptTokens, vocabulary, description, channel, reader } = chat;
    const { owner, sampling, logprobs, stop } = request;
    const room = description.contextTokensMax - promptTokens.length;
    const emit = (event: ChatEvent) => channel.push(event);
    const answer = new AnswerAssembler({ reader, texts: vocabulary, stop, logprobs: logprobs !== null, emit });
    return this.#scheduler.submit({
      owner,
      promptTokens,
      sampler: { sampling, logprobs },
      grammar: reader.grammar,
      completionTokensMax: Math.min(request.completionTokensMax ?? room, room),
      onStart: (start) => emit({ type: "started", ...start }),
      onToken: (drawn) => answer.push(drawn),
      onDone: ({ finishReason: how, usage, timings }) => {
        const { finishReason, reasoningTokens, error } = answer.finish({ cut: how === "length" });
        if (error !== null) return channel.fail(error);
        emit({ type: "done", finishReason, usage: { ...usage, reasoningTokens }, timings });
        channel.end();
      },
      onError: (error) => channel.fail(error),
    });
  }

  async #awaitCounted(): Promise<Counted> {
    try {
      if (this.#state === "gone") await this.#ready;
      return await this.#counted;
    } catch (error) {
      throw this.#toFatal(error);
    }
  }

  async #loadVocabulary(): Promise<Counted> {
    const { model, contextTokens, sequences, gpu, memoryBytes = measureFreeMemory() * MEMORY_SHARE } = this.settings;
    let { backend } = this.settings;
    if (backend === undefined) {
      backend = new LlamaBackend({ gpu, onLog: (line) => this.events.onLog?.(line) });
      this.#disposables.use(backend);
    }
    const llama = await backend.open();
    this.events.onBackend?.();
    const words = await llama.loadModel({ modelPath: model.path, vocabOnly: true });
    this.#disposables.use(words);
    const vocabulary = new LlamaVocabulary(words, model.chatTemplate);
    const { description } = await planLlamaModel(llama, model, { contextTokens, sequences, memoryBytes });
    return { llama, words, vocabulary, description };
  }

  async #loadWeights({ llama, words, description }: Counted): Promise<ModelDescription> {
    const { contextTokensMax, sequences } = description;
    const decoder = await LlamaDecoder.open(llama, {
      vocabulary: words,
      modelPath: this.settings.model.path,
      contextTokens: contextTokensMax,
      sequences,
      batchTokensMax: batchTokensMax(sequences),
      threads: this.settings.threads ?? { decodeOne: 1, decodeMany: 1, prefill: 1 },
      gpuLayers: llama.gpu === false
        ? 0
        : await words.fileInsights.configurationResolver.resolveModelGpuLayers("auto", {
          ignoreMemorySafetyChecks: true,
        }),
      signal: this.#closing.signal,
      onBroken: (cause) => this.#break(cause),
    });
    this.#disposables.use(decoder);
    if (this.settings.threads === null) {
      const cores = Math.min(llama.cpuMathCores, this.settings.threadsMax ?? Infinity);
      const measured = await calibrate(cores, (tokens, threads) => {
        this.#closing.signal.throwIfAborted();
        const measure = () => decoder.measure(tokens, threads);
        return this.settings.gate?.run("interactive", measure) ?? measure();
      });
      decoder.setThreadPlan(measured.threads);
      this.events.onCalibrated?.(measured);
    }
    const cache = await this.#openCache(llama, { decoder, description });
    this.#closing.signal.throwIfAborted();
    this.#state = "ready";
    this.#scheduler.start(decoder, cache);
    return description;
  }

  async #openCache(
    llama: Llama,
    { decoder, description }: { decoder: LlamaDecoder; description: ModelDescription },
  ): Promise<PrefixCache> {
    const { model, keep = { dir: null, memoryBytesMax: 0, diskBytesMax: 0 } } = this.settings;
    const { sha256, sizeBytes, modifiedAtMs } = model;
    const file = { id: model.id, sha256, sizeBytes, modifiedAtMs };
    const { contextTokensMax, sequences } = description;
    const engine = { release: llama.llamaCppRelease.release, gpu: llama.gpu };
    const fingerprint = fingerprintOf({ file, engine, contextTokensMax, sequences });
    const files = keep.dir === null || keep.diskBytesMax === 0
      ? null
      : new StateFiles({ dir: keep.dir, fingerprint, bytesMax: keep.diskBytesMax });
    const cache = new PrefixCache(decoder, { memoryBytesMax: keep.memoryBytesMax, files });
    await cache.open();
    return cache;
  }

  #toFatal(error: unknown): DomainError {
    if (error instanceof DomainError) return error;
    const { id } = this.settings.model;
    return new DomainError(
      "engine_unavailable",
      `Cannot load model "${id}": llama.cpp does not take it; what it printed says why, and ` +
        `\`deno task models verify ${id}\` whether the file is damaged`,
      { cause: error },
    );
  }
}
