import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ComputeGate } from "./compute_gate.ts";
import { planBatches, toUnitVector } from "./embedding_batches.ts";
import type { EmbeddingEngine, EngineStatus } from "./engine.ts";
import { FairQueue, type Owned } from "./fair_queue.ts";

/** A model in memory that computes vectors. What an adapter brings; the rest of an embedding engine is alike for all. */
export interface Embedder extends AsyncDisposable {
  /** Ids from 0 to below this number are tokens. */
  readonly vocabularySize: number;
  /** Tokens that the model wants before and behind an input. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  /** The thread or process behind it is dead: another embedder must be opened. */
  readonly isLost: boolean;
  /** Token ids of each text, without prefix and suffix; special tokens written in a text are plain text. */
  encode(texts: readonly string[]): Promise<number[][]>;
  /** A vector of any length for each input. One batch at a time. */
  compute(inputs: readonly (readonly number[])[]): Promise<Float32Array[]>;
}

/** What embedding engines of every kind are made with. */
export interface EmbeddingQueueOptions {
  /** Most requests that wait. */
  queuedMax: number;
  /** Where batches of this and of other models wait for their turn; without it nobody else computes. */
  gate?: ComputeGate;
  /** How long a request may wait for its first batch, loading included, in milliseconds. Default 10 minutes. */
  queueTimeoutMs?: number;
  /** How long one batch may take before the model counts as hung, in milliseconds. Default 2 minutes. */
  batchTimeoutMs?: number;
}

/** What an embedding engine tells whoever made it. */
export interface EmbeddingEngineEvents {
  onReady?: (model: ModelDescription) => void;
  /** The model cannot be loaded; every call from now on throws this error. */
  onFatal?: (error: DomainError) => void;
  /** A batch has not ended for minutes and never will: only the end of the process helps. */
  onHung?: () => void;
}

/** How an adapter describes its model and brings it into memory. */
export interface EmbedderSource {
  /** The model's id, for messages. */
  id: string;
  /** Reads files' headers at most. */
  describe(): Promise<ModelDescription>;
  /** Loads the model, the first time and again when it was lost. An abort of `signal` may end it early. */
  open(signal: AbortSignal): Promise<Embedder>;
}

/** Texts of so many characters are tokenized at once; between such portions others have their turn. */
const PORTION_LENGTH = 262_144;

/** One request on its way: batches of it alternate with those of others. */
class Job implements Owned {
  readonly #result = Promise.withResolvers<Embeddings>();
  readonly #vectors: Float32Array[] = [];
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #inputs: number[][] = [];
  #batches: number[][] = [];
  hasEnded = false;

  constructor(readonly request: EmbedRequest) {}

  get owner(): string {
    return this.request.owner;
  }

  get result(): Promise<Embeddings> {
    return this.#result.promise;
  }

  /** Fails the request unless its first batch begins in time. */
  setDeadline(timeoutMs: number): void {
    this.#deadline = setTimeout(() => {
      this.fail(
        new DomainError("queue_timeout", `No embedding of it could be begun within ${timeoutMs / 1000} seconds`),
      );
    }, timeoutMs);
  }

  plan(inputs: number[][]): void {
    this.#inputs = inputs;
    this.#batches = planBatches(inputs);
  }

  /** Inputs of the next batch, with their places among all inputs. */
  begin(): { indices: number[]; inputs: number[][] } {
    clearTimeout(this.#deadline);
    const indices = this.#batches.shift() ?? [];
    return { indices, inputs: indices.map((index) => this.#inputs[index]!) };
  }

  take(indices: readonly number[], vectors: readonly Float32Array[]): void {
    for (const [i, index] of indices.entries()) {
      this.#vectors[index] = toUnitVector(vectors[i]!, this.request.dimensions);
    }
    if (this.hasEnded || this.#batches.length > 0) return;
    this.hasEnded = true;
    const promptTokens = this.#inputs.reduce((sum, input) => sum + input.length, 0);
    this.#result.resolve({ vectors: this.#vectors, promptTokens });
  }

  fail(error: unknown): void {
    clearTimeout(this.#deadline);
    this.hasEnded = true;
    this.#result.reject(error);
  }
}

/**
 * Makes an {@linkcode EmbeddingEngine} of a model: checks requests, takes their owners in turn, one batch each, and puts
 * vectors back in order. Returns at once; the model is loaded meanwhile. A model whose thread died fails the request
 * whose batch it was and is loaded anew for the next one.
 */
export function createEmbeddingQueue(
  source: EmbedderSource,
  options: EmbeddingQueueOptions & EmbeddingEngineEvents,
): EmbeddingEngine {
  return new EmbeddingQueue(source, options);
}

class EmbeddingQueue implements EmbeddingEngine {
  readonly #closing = new AbortController();
  /** Requests that have not ended, and those of them that have batches to be computed. */
  readonly #jobs = new Set<Job>();
  readonly #waiting = new FairQueue<Job>();
  readonly #description: Promise<ModelDescription>;
  #embedder: Promise<Embedder>;
  #state: EngineStatus["state"] = "loading";
  #computing = false;
  #loop: Promise<void> | null = null;

  constructor(
    private readonly source: EmbedderSource,
    private readonly options: EmbeddingQueueOptions & EmbeddingEngineEvents,
  ) {
    this.#description = source.describe().catch((error) => Promise.reject(toLoadError(source.id, error)));
    this.#embedder = this.#load();
    Promise.all([this.#description, this.#embedder]).then(([model]) => this.options.onReady?.(model), () => {});
  }

  async describe(): Promise<ModelDescription> {
    return await this.#description;
  }

  async tokenize(text: string): Promise<number[]> {
    const [tokens] = await (await this.#awaitEmbedder()).encode([text]);
    return tokens ?? [];
  }

  status(): Promise<EngineStatus> {
    const active = this.#computing ? 1 : 0;
    const queued = Math.max(0, this.#jobs.size - active);
    const { queuedMax } = this.options;
    return Promise.resolve({ state: this.#state, active, queued, queuedMax, rssBytes: Deno.memoryUsage().rss });
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    const { queuedMax, queueTimeoutMs = 600_000 } = this.options;
    if (this.#closing.signal.aborted) throw goneError();
    if (signal.aborted) throw cancelledError();
    // One has its turn, the others wait.
    if (this.#jobs.size > queuedMax) {
      throw new DomainError("queue_full", `${queuedMax} requests for embeddings wait already; try again later`);
    }
    const job = new Job(request);
    this.#jobs.add(job);
    const onAbort = () => job.fail(cancelledError());
    signal.addEventListener("abort", onAbort, { once: true });
    job.setDeadline(queueTimeoutMs);
    try {
      this.#admit(job).catch((error) => job.fail(error));
      return await job.result;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#waiting.remove(job);
      this.#jobs.delete(job);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    for (const job of this.#jobs) job.fail(goneError());
    await this.#loop;
    const embedder = await this.#embedder.catch(() => null);
    await embedder?.[Symbol.asyncDispose]();
    this.#state = "gone";
  }

  /** Looks at all of a request before anything is computed for it. */
  async #admit(job: Job): Promise<void> {
    const model = await this.#description;
    refuseBadRequest(job.request, model);
    const embedder = await this.#awaitEmbedder();
    const contents = await encodeInputs(job, embedder);
    if (job.hasEnded) return;
    job.plan(contents.map((tokens, index) => frameInput(tokens, { index, model, embedder, request: job.request })));
    this.#waiting.push(job, Infinity);
    this.#loop ??= this.#work();
  }

  async #work(): Promise<void> {
    for (let job = this.#waiting.shift(); job !== null; job = this.#waiting.shift()) {
      try {
        await this.#advance(job);
      } catch (error) {
        job.fail(error);
      }
      // Behind those of other owners, and behind this owner's other requests: a search need not wait for an index.
      if (!job.hasEnded) this.#waiting.push(job, Infinity);
    }
    this.#loop = null;
  }

  async #advance(job: Job): Promise<void> {
    const embedder = await this.#awaitEmbedder();
    const computeBatch = async () => {
      if (job.hasEnded) return;
      const { indices, inputs } = job.begin();
      job.take(indices, await this.#compute(embedder, inputs));
    };
    const { gate } = this.options;
    await (gate === undefined ? computeBatch() : gate.run("background", computeBatch));
  }

  async #compute(embedder: Embedder, inputs: number[][]): Promise<Float32Array[]> {
    const { batchTimeoutMs = 120_000, onHung } = this.options;
    const hung = setTimeout(() => onHung?.(), batchTimeoutMs);
    this.#computing = true;
    try {
      return await embedder.compute(inputs);
    } finally {
      this.#computing = false;
      clearTimeout(hung);
    }
  }

  async #awaitEmbedder(): Promise<Embedder> {
    const opened = this.#embedder;
    const embedder = await opened;
    if (embedder.isLost && opened === this.#embedder && !this.#closing.signal.aborted) {
      this.#embedder = this.#reload(embedder);
    }
    return await this.#embedder;
  }

  async #reload(lost: Embedder): Promise<Embedder> {
    await lost[Symbol.asyncDispose]();
    return await this.#load();
  }

  async #load(): Promise<Embedder> {
    this.#state = "loading";
    try {
      await this.#description;
      const embedder = await this.source.open(this.#closing.signal);
      this.#state = "ready";
      return embedder;
    } catch (cause) {
      this.#state = "gone";
      if (this.#closing.signal.aborted) throw goneError();
      const error = toLoadError(this.source.id, cause);
      this.options.onFatal?.(error);
      throw error;
    }
  }
}

function refuseBadRequest({ inputs, dimensions }: EmbedRequest, model: ModelDescription): void {
  const own = model.dimensions ?? 0;
  if (dimensions !== null && dimensions > own) {
    throw new DomainError("invalid_request", `"${model.id}" has ${own} dimensions, not ${dimensions}`, {
      param: "dimensions",
    });
  }
  const empty = inputs.findIndex((input) => input.length === 0);
  if (empty >= 0) throw emptyError(empty);
}

/** Tokens of every input as it came, without what the model wants around them. */
async function encodeInputs(job: Job, embedder: Embedder): Promise<number[][]> {
  const contents: number[][] = [];
  let portion: { index: number; text: string }[] = [];
  let portionLength = 0;
  const encodePortion = async () => {
    const encoded = await embedder.encode(portion.map(({ text }) => text));
    for (const [i, { index }] of portion.entries()) contents[index] = encoded[i]!;
    portion = [];
    portionLength = 0;
  };
  for (const [index, input] of job.request.inputs.entries()) {
    if (typeof input !== "string") contents[index] = input;
    else {
      portion.push({ index, text: input });
      portionLength += input.length;
    }
    if (portionLength >= PORTION_LENGTH) await encodePortion();
    if (job.hasEnded) return [];
  }
  if (portion.length > 0) await encodePortion();
  return contents;
}

/** An input as the model computes it, cut at its limit where the request allows it. */
function frameInput(
  tokens: number[],
  { index, model, embedder, request }: {
    index: number;
    model: ModelDescription;
    embedder: Embedder;
    request: EmbedRequest;
  },
): number[] {
  if (tokens.length === 0) throw emptyError(index);
  const param = `input[${index}]`;
  const unknown = tokens.find((token) => token >= embedder.vocabularySize);
  if (unknown !== undefined) {
    const text = `${param} has the token ${unknown}, but "${model.id}" has ${embedder.vocabularySize} of them`;
    throw new DomainError("invalid_request", text, { param });
  }
  const { prefix, suffix } = embedder;
  const promptTokens = prefix.length + tokens.length + suffix.length;
  const { contextTokensMax } = model;
  const excess = Math.max(0, promptTokens - contextTokensMax);
  if (excess > 0 && !request.truncate) {
    throw new DomainError(
      "context_length_exceeded",
      `${param} has ${promptTokens} tokens, but "${model.id}" takes ${contextTokensMax}; split it, or let it be cut`,
      { param, details: { promptTokens, contextTokensMax } },
    );
  }
  return [...prefix, ...tokens.slice(0, tokens.length - excess), ...suffix];
}

function emptyError(index: number): DomainError {
  const param = `input[${index}]`;
  return new DomainError("invalid_request", `${param} is empty: there is nothing to embed`, { param });
}

function toLoadError(id: string, cause: unknown): DomainError {
  if (cause instanceof DomainError) return cause;
  const text = `Cannot load model "${id}": it is not taken; what was printed says why, and ` +
    `\`deno task models verify ${id}\` whether a file is damaged`;
  return new DomainError("engine_unavailable", text, { cause });
}

function cancelledError(): DomainError {
  return new DomainError("request_cancelled", "The client left before its texts were embedded");
}

function goneError(): DomainError {
  return new DomainError("engine_gone", "The model was unloaded before the texts were embedded");
}
