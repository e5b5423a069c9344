import { DomainError } from "../errors.ts";
import type { BatchDecoder, BatchEntry, DrawnToken } from "./batch_decoder.ts";
import { countTokens, type Piece, planDecode, planPrefill } from "./batch_plan.ts";
import type { ComputeGate } from "./compute_gate.ts";
import { FairQueue } from "./fair_queue.ts";
import { type Job, Run } from "./job.ts";
import type { PrefixCache } from "./prefix_cache.ts";

/** Bounds and deadlines of a scheduler. */
export interface SchedulerOptions {
  /** Most jobs that wait for a sequence. */
  queuedMax: number;
  /** Longest wait for a sequence. Default 600,000: as long as a place ahead in the queue may be read for. */
  queueTimeoutMs?: number;
  /** Longest time from the start to the first token. Default 600,000. */
  prefillTimeoutMs?: number;
  /** Longest time for one batch, before the model counts as hung. Default 120,000. */
  stepTimeoutMs?: number;
  /** Told once of a batch that does not end. Nobody can end it: the process has to go. */
  onHung?: () => void;
  /** Where batches wait for their turn beside those of other models; without it nobody else computes. */
  gate?: ComputeGate;
}

/**
 * Most prompt tokens in one batch. A running answer waits for a whole batch, and so does a cancellation; larger
 * batches were not faster on a CPU (bench row "prefill").
 */
export const PREFILL_CHUNK_TOKENS = 64;

/** After so much idleness conversations are kept on disk, in case the process ends without being told. */
const PERSIST_IDLE_MS = 300_000;

/** A model that is loaded. */
interface Model {
  decoder: BatchDecoder;
  cache: PrefixCache;
}

/**
 * Continuous batching: every step decodes one batch that holds the next token of each running answer and, in the room
 * that is left, a chunk of the prompts being read. Tokens are drawn one after another, since llama.cpp's output buffer
 * must not be read by two samplers at once. The method is Orca's iteration-level scheduling (Yu et al., OSDI 2022).
 */
export class Scheduler implements AsyncDisposable {
  readonly #queue = new FairQueue<Run>();
  readonly #running: Run[] = [];
  /** Most jobs that wait while every sequence is busy. */
  readonly queuedMax: number;
  readonly #queueTimeoutMs: number;
  readonly #prefillTimeoutMs: number;
  readonly #stepTimeoutMs: number;
  readonly #onHung: () => void;
  readonly #gate: ComputeGate | null;
  readonly #tasks: ((cache: PrefixCache) => Promise<void>)[] = [];
  #model: Model | null = null;
  #idleTimer: ReturnType<typeof setTimeout> | null = null;
  #loop: Promise<void> | null = null;
  /** Why no more jobs are taken. */
  #closed: DomainError | null = null;

  constructor(options: SchedulerOptions) {
    this.queuedMax = options.queuedMax;
    this.#queueTimeoutMs = options.queueTimeoutMs ?? 600_000;
    this.#prefillTimeoutMs = options.prefillTimeoutMs ?? 600_000;
    this.#stepTimeoutMs = options.stepTimeoutMs ?? 120_000;
    this.#onHung = options.onHung ?? (() => {});
    this.#gate = options.gate ?? null;
  }

  get active(): number {
    return this.#running.length;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** Gives the scheduler its model and what keeps conversations of it; jobs that came earlier start now. */
  start(decoder: BatchDecoder, cache: PrefixCache): void {
    this.#model = { decoder, cache };
    this.#wake();
  }

  /** Ends every job with `error`, and those that come: nothing computes any more. */
  abandon(error: DomainError): void {
    this.#closed ??= error;
    for (let run = this.#queue.shift(); run !== null; run = this.#queue.shift()) this.#fail(run, error);
    for (const run of this.#running) this.#fail(run, error);
  }

  /** Ends the jobs of an owner and erases what is kept of the owner's conversations. */
  async forget(owner: string): Promise<void> {
    const forgotten = new DomainError("request_cancelled", "Everything of this account was erased");
    const running = this.#running.filter((run) => run.owner === owner);
    for (const run of [...this.#queue.itemsOf(owner), ...running]) this.#fail(run, forgotten);
    await this.#do((cache) => cache.forget(owner));
  }

  /**
   * Queues a job. The returned function ends it with an error and frees its place within one step; it does nothing
   * once the job has ended.
   *
   * @throws {DomainError} `queue_full` when no sequence is free and the queue is at its bound; `engine_gone` when the
   *   scheduler was disposed of, or what {@linkcode abandon} was told.
   */
  submit(job: Job): (error: DomainError) => void {
    const run = new Run(job);
    if (this.#closed !== null) throw this.#closed;
    // Who comes while a sequence is free stands in the queue for a moment only and takes nobody's place in it.
    const free = this.#model === null ? 0 : this.#model.decoder.sequences - this.#model.cache.busy;
    if (!this.#queue.push(run, this.queuedMax + free)) {
      throw new DomainError(
        "queue_full",
        `All places are taken: ${this.#queue.size} requests are waiting; try again soon`,
      );
    }
    const cancel = (error: DomainError) => this.#fail(run, error);
    run.setDeadline(this.#queueTimeoutMs, () => {
      cancel(new DomainError("queue_timeout", `No place became free within ${this.#queueTimeoutMs / 1000} seconds`));
    });
    this.#wake();
    return cancel;
  }

  /** Ends every job with `engine_gone`, keeps conversations on disk for the next start, and leaves the model at rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abandon(new DomainError("engine_gone", "The model was unloaded before the answer was complete"));
    await this.#persist();
    await this.#loop;
    this.#clearIdleTimer();
  }

  /** Keeping conversations is a service to them: that it fails is no reason to fail. */
  async #persist(isInTheWay?: () => boolean): Promise<void> {
    await this.#do((cache) => cache.persist(isInTheWay)).catch(() => {});
  }

  /** Does something with what is kept, between two batches; nothing when there is no model. */
  async #do(task: (cache: PrefixCache) => Promise<void>): Promise<void> {
    if (this.#model === null) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#tasks.push((cache) => task(cache).then(resolve, reject));
    this.#wake();
    await promise;
  }

  #wake(): void {
    if (this.#model === null || this.#loop !== null) return;
    this.#clearIdleTimer();
    this.#loop = this.#work(this.#model).finally(() => {
      this.#loop = null;
      if (this.#queue.size > 0 || this.#tasks.length > 0) return this.#wake();
      const timer = setTimeout(() => this.#persist(() => this.#queue.size + this.#tasks.length > 0), PERSIST_IDLE_MS);
      // What is only a precaution keeps no process alive.
      Deno.unrefTimer(timer);
      this.#idleTimer = timer;
    });
  }

  #clearIdleTimer(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
  }

  async #work({ decoder, cache }: Model): Promise<void> {
    // Requests of the same moment share their first batch.
    await Promise.resolve();
    for (;;) {
      this.#releaseEnded(cache);
      const task = this.#tasks.shift();
      if (task !== undefined) {
        await task(cache);
        // Whoever asked for the next one may have ended jobs before, and their sequences have to be free for it.
        continue;
      }
      await this.#admitWaiting({ decoder, cache });
      if (this.#running.length === 0 && this.#tasks.length === 0) return;
      await this.#step({ decoder, cache });
    }
  }

  async #admitWaiting(model: Model): Promise<void> {
    // A task that came meanwhile has to find the sequences as they are now: who is forgotten must not get one back.
    while (model.cache.busy < model.decoder.sequences && this.#tasks.length === 0) {
      const run = this.#queue.shift();
      if (run === null) return;
      await this.#begin(run, model);
    }
  }

  async #begin(run: Run, { decoder, cache }: Model): Promise<void> {
    const { job } = run;
    run.phase = "prefill";
    run.startedAt = performance.now();
    run.clearDeadline();
    this.#running.push(run);
    try {
      run.sequence = await this.#watch(() => cache.take(job.owner, job.promptTokens));
      if (run.sequence === null) throw new Error("No sequence is free");
      run.cachedTokens = run.sequence.tokens.length;
      run.sampler = decoder.createSampler(job.sampler);
      await this.#notePrefill([{ run, sequence: run.sequence }], cache);
    } catch (cause) {
      return this.#failComputing(run, cause);
    }
    if (this.#hasEnded(run)) return;
    run.setDeadline(this.#prefillTimeoutMs, () => {
      const seconds = this.#prefillTimeoutMs / 1000;
      this.#fail(run, new DomainError("prefill_timeout", `The prompt could not be read within ${seconds} seconds`));
    });
    this.#tell(run, () => job.onStart({ cachedTokens: run.cachedTokens, queueMs: run.startedAt - run.submittedAt }));
  }

  /** Whether a run was cancelled while something was awaited. */
  #hasEnded(run: Run): boolean {
    return run.phase === "ended";
  }

  async #step({ decoder, cache }: Model): Promise<void> {
    await this.#setGrammars();
    const decoding = planDecode(this.#running);
    const pieces = [...decoding, ...planPrefill(this.#running, PREFILL_CHUNK_TOKENS)];
    // Every job that was begun just now may have failed at once.
    if (pieces.length === 0) return;
    // llama.cpp computes neighbouring sequences together only when they stand in ascending order.
    pieces.sort((a, b) => a.entry.sequence - b.entry.sequence);
    try {
      const { drawn, tookMs } = await this.#decode(decoder, pieces.map(({ entry }) => entry));
      if (decoding.length === 0) cache.measurePrefill(tookMs, countTokens(pieces));
      let next = 0;
      for (const { run, sequence, entry } of pieces) {
        for (const token of entry.tokens) sequence.tokens.push(token);
        if (entry.sampler !== null) this.#takeDrawn(run, drawn[next++]!, decoder);
        else if (run.injected.length > 0) this.#takeDrawn(run, toDrawn(run.injected.shift()!), decoder);
      }
      await this.#notePrefill(pieces, cache);
    } catch (cause) {
      await this.#failBatch(pieces, cache, cause);
    }
  }

  async #notePrefill(pieces: readonly Pick<Piece, "run" | "sequence">[], cache: PrefixCache): Promise<void> {
    for (const { run, sequence } of pieces) {
      if (run.phase !== "prefill") continue;
      const tokensLeft = run.job.promptTokens.length - sequence.tokens.length;
      await cache.notePrefill(sequence, { tokensLeft, chunkTokens: PREFILL_CHUNK_TOKENS });
    }
  }

  async #decode(
    decoder: BatchDecoder,
    entries: readonly BatchEntry[],
  ): Promise<{ drawn: (DrawnToken | Error)[]; tookMs: number }> {
    const decode = async () => {
      const startedAt = performance.now();
      const drawn = await this.#watch(() => decoder.decode(entries));
      return { drawn, tookMs: performance.now() - startedAt };
    };
    return this.#gate === null ? await decode() : await this.#gate.run("interactive", decode);
  }

  /** Says when native code does not come back. */
  async #watch<Result>(work: () => Promise<Result>): Promise<Result> {
    const hung = setTimeout(this.#onHung, this.#stepTimeoutMs);
    try {
      return await work();
    } finally {
      clearTimeout(hung);
    }
  }

  /** Grammars that answers asked for with their last token. One that does not take what was written already is not set. */
  async #setGrammars(): Promise<void> {
    for (const run of [...this.#running]) {
      const { grammar, sampler } = run;
      if (grammar === null || sampler === null || run.injected.length > 0 || run.phase === "ended") continue;
      run.grammar = null;
      try {
        await this.#watch(() => sampler.setGrammar(grammar.gbnf, grammar.accepted));
      } catch (cause) {
        this.#failComputing(run, cause);
      }
    }
  }

  #takeDrawn(run: Run, drawn: DrawnToken | Error, decoder: BatchDecoder): void {
    if (run.phase === "ended") return;
    if (drawn instanceof Error) return this.#failComputing(run, drawn);
    if (run.phase === "prefill") {
      run.phase = "decode";
      run.firstTokenAt = performance.now();
      run.clearDeadline();
    }
    run.completionTokens++;
    run.nextToken = drawn.token;
    if (decoder.isEndToken(drawn.token)) return this.#finish(run, "stop");
    this.#tell(run, () => {
      const { ended = false, inject = [], grammar } = run.job.onToken(drawn);
      run.injected.push(...inject);
      if (grammar !== undefined) run.grammar = grammar;
      if (ended) this.#finish(run, "stop");
      else if (run.completionTokens >= run.job.completionTokensMax) this.#finish(run, "length");
    });
  }

  #finish(run: Run, finishReason: "stop" | "length"): void {
    run.phase = "ended";
    run.clearDeadline();
    const now = performance.now();
    const result = {
      finishReason,
      usage: {
        promptTokens: run.job.promptTokens.length,
        cachedTokens: run.cachedTokens,
        completionTokens: run.completionTokens,
      },
      timings: {
        queueMs: run.startedAt - run.submittedAt,
        prefillMs: run.firstTokenAt - run.startedAt,
        decodeMs: now - run.firstTokenAt,
      },
    };
    this.#tell(run, () => run.job.onDone(result));
  }

  /** A job that fails to make something of what it is told ends, and the others of its batch go on. */
  #tell(run: Run, tell: () => void): void {
    try {
      tell();
    } catch (cause) {
      run.phase = "ended";
      run.clearDeadline();
      run.job.onError(new DomainError("internal_error", "The answer could not be read", { cause }));
    }
  }

  #fail(run: Run, error: DomainError): void {
    if (run.phase === "ended") return;
    if (run.phase === "queued") this.#queue.remove(run);
    run.phase = "ended";
    run.clearDeadline();
    run.job.onError(error);
  }

  #failComputing(run: Run, cause: unknown): void {
    const isKnown = cause instanceof DomainError && cause.code !== "internal_error";
    const unknown = new DomainError("internal_error", "The model could not compute the next token", { cause });
    this.#fail(run, isKnown ? cause : unknown);
  }

  /** After a failed batch nobody knows what its sequences hold: they are emptied, their jobs end, the others go on. */
  async #failBatch(pieces: readonly Piece[], cache: PrefixCache, cause: unknown): Promise<void> {
    for (const { run, sequence } of pieces) {
      this.#failComputing(run, cause);
      await cache.spoil(sequence);
    }
  }

  /** Between two steps no sampler is in use, so this is where they are freed. */
  #releaseEnded(cache: PrefixCache): void {
    for (const run of this.#running.filter((run) => run.phase === "ended")) {
      this.#running.splice(this.#running.indexOf(run), 1);
      run.sampler?.dispose();
      if (run.sequence !== null) cache.release(run.sequence);
    }
  }
}

/** A token that was not drawn, as the drawn ones look. */
function toDrawn(token: number): DrawnToken {
  return { token, logprob: 0, bytes: [], top: [] };
}
