import type { Llama, LlamaContext, LlamaModel } from "node-llama-cpp";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { ModelDescription, ModelFile } from "../contracts/model.ts";
import type { Calibration, ThreadPlan } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { measureFreeMemory, MEMORY_SHARE } from "../free_memory.ts";
import { calibrate } from "./calibrate.ts";
import type { ComputeGate } from "./compute_gate.ts";
import type { ChatEngine, EngineStatus } from "./engine.ts";
import { EventChannel } from "./event_channel.ts";
import { LlamaBackend } from "./llama_backend.ts";
import { LlamaDecoder } from "./llama_decoder.ts";
import { LlamaVocabulary } from "./llama_vocabulary.ts";
import { batchTokensMax, planLlamaModel } from "./llama_plan.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";
import { StopMatcher } from "./stop_matcher.ts";
import { TextAssembler } from "./text_assembler.ts";

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
  /** Memory that the model may take. Default: of what is free, as much as is reasonable. */
  memoryBytes?: number;
  /** llama.cpp as the other models of this process use it; without it the engine opens its own. */
  backend?: LlamaBackend;
  /** Where batches of this and of other models wait for their turn; without it nobody else computes. */
  gate?: ComputeGate;
}

/** What a llama engine tells whoever made it. */
export interface LlamaEngineEvents {
  /** llama.cpp is loaded; nothing needs to be started as a process any more. */
  onBackend?: () => void;
  onCalibrated?: (calibration: Calibration) => void;
  onReady?: (model: ModelDescription) => void;
  /** The model cannot be loaded; every call from now on throws this error. */
  onFatal?: (error: DomainError) => void;
  /** llama.cpp has not ended a batch for minutes and never will: only the end of the process helps. */
  onHung?: () => void;
  /** A line of llama.cpp's that is a warning or worse. */
  onLog?: (line: string) => void;
}

/** What stands once the vocabulary is loaded: enough to count tokens and to settle a request's status. */
interface Counted {
  llama: Llama;
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
  readonly #disposables: AsyncDisposable[] = [];
  readonly #closing = new AbortController();
  #state: EngineStatus["state"] = "loading";

  constructor(private readonly settings: LlamaEngineSettings, private readonly events: LlamaEngineEvents) {
    this.#scheduler = new Scheduler({ ...settings, onHung: () => this.events.onHung?.() });
    this.#counted = this.#loadVocabulary();
    this.#ready = this.#counted.then((counted) => this.#loadWeights(counted));
    this.#ready.then((model) => this.events.onReady?.(model), (error) => {
      this.#state = "gone";
      if (!this.#closing.signal.aborted) this.events.onFatal?.(this.#toFatal(error));
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

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void> {
    const { vocabulary, description } = await this.#awaitCounted();
    const promptTokens = await vocabulary.encodePrompt(request, description.contextTokensMax);
    const cancelled = new DomainError("request_cancelled", "The client left before the answer was complete");
    if (signal.aborted) throw cancelled;
    const channel = new EventChannel<ChatEvent>();
    channel.push({ type: "admitted", promptTokens: promptTokens.length });
    const cancel = this.#submit(request, { promptTokens, vocabulary, description, channel });
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
    for (const disposable of this.#disposables.reverse()) await disposable[Symbol.asyncDispose]();
  }

  #submit(
    request: ChatRequest,
    chat: {
      promptTokens: number[];
      vocabulary: LlamaVocabulary;
      description: ModelDescription;
      channel: EventChannel<ChatEvent>;
    },
  ): (error: DomainError) => void {
    const { promptTokens, vocabulary, description, channel } = chat;
    const assembler = new TextAssembler((tokens, before) => vocabulary.detokenize(tokens, before));
    const stops = new StopMatcher(request.stop);
    const room = description.contextTokensMax - promptTokens.length;
    const show = (text: string) => {
      if (text !== "") channel.push({ type: "text", text });
    };
    return this.#scheduler.submit({
      owner: request.owner,
      promptTokens,
      sampling: request.sampling,
      completionTokensMax: Math.min(request.completionTokensMax ?? room, room),
      onStart: (start) => channel.push({ type: "started", ...start }),
      onToken: (token) => {
        const { text, stopped } = stops.push(assembler.push(token));
        show(text);
        return stopped;
      },
      onDone: ({ finishReason, usage, timings }) => {
        const { text, stopped } = stops.push(assembler.flush());
        show(stopped ? text : text + stops.flush());
        channel.push({ type: "done", finishReason: stopped ? "stop" : finishReason, usage, timings });
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
      this.#disposables.push(backend);
    }
    const llama = await backend.open();
    this.events.onBackend?.();
    const words = await llama.loadModel({ modelPath: model.path, vocabOnly: true });
    this.#disposables.push(words);
    const vocabulary = new LlamaVocabulary(words, model.chatTemplate);
    const { description } = await planLlamaModel(llama, model, { contextTokens, sequences, memoryBytes });
    return { llama, vocabulary, description };
  }

  async #loadWeights({ llama, description }: Counted): Promise<ModelDescription> {
    const { contextTokensMax, sequences } = description;
    const weights = await llama.loadModel({ modelPath: this.settings.model.path, loadSignal: this.#closing.signal });
    this.#disposables.push(weights);
    const size = { contextTokensMax, sequences, batchTokensMax: batchTokensMax(sequences) };
    const context = await this.#createContext(weights, size);
    this.#disposables.push(context);
    const threads = this.settings.threads ?? { decodeOne: 1, decodeMany: 1, prefill: 1 };
    const decoder = new LlamaDecoder(llama, weights, context, { ...size, threads });
    if (this.settings.threads === null) {
      const measured = await calibrate(llama.cpuMathCores, (tokens, threads) => {
        this.#closing.signal.throwIfAborted();
        return decoder.measure(tokens, threads);
      });
      decoder.setThreadPlan(measured.threads);
      this.events.onCalibrated?.(measured);
    }
    this.#closing.signal.throwIfAborted();
    this.#state = "ready";
    this.#scheduler.start(decoder);
    return description;
  }

  async #createContext(
    weights: LlamaModel,
    size: { contextTokensMax: number; sequences: number; batchTokensMax: number },
  ): Promise<LlamaContext> {
    return await weights.createContext({
      contextSize: size.contextTokensMax,
      sequences: size.sequences,
      batchSize: size.batchTokensMax,
      flashAttention: "auto",
      // The sizes were planned from the memory that is free; a second opinion would change them in silence.
      failedCreationRemedy: false,
      ignoreMemorySafetyChecks: true,
    });
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
