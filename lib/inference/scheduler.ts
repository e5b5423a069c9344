import type { FinishReason, Sampling, Timings, Usage } from "../contracts/chat.ts";
import { DomainError } from "../errors.ts";
import { FairQueue } from "./fair_queue.ts";
import { type Sequence, SequenceStore } from "./sequence_store.ts";

/** Draws tokens for one request; holds native memory until it is disposed of. */
export interface TokenSampler {
  dispose(): void;
}

/** A piece of one sequence to decode; with a sampler, the token that follows it is drawn. */
export interface BatchEntry {
  readonly sequence: number;
  /** Place of the first token in its sequence. */
  readonly position: number;
  readonly tokens: readonly number[];
  readonly sampler: TokenSampler | null;
}

/** What the scheduler asks of a loaded model. Calls never overlap: the scheduler awaits each before the next. */
export interface BatchDecoder {
  /** Sequences that can be decoded side by side. */
  readonly sequences: number;
  createSampler(sampling: Sampling): TokenSampler;
  /** Keeps the first `length` tokens of a sequence and forgets the rest; returns how many it could keep. */
  keep(sequence: number, length: number): number;
  /** Decodes all entries in one batch; returns the drawn token of each entry that has a sampler, in their order. */
  decode(entries: readonly BatchEntry[]): Promise<number[]>;
  /** True for tokens that end an answer. */
  isEndToken(token: number): boolean;
}

/** One answer to compute. The callbacks run inside the scheduler's loop and must neither throw nor wait. */
export interface Job {
  readonly owner: string;
  /** At least one token. */
  readonly promptTokens: readonly number[];
  readonly sampling: Sampling;
  readonly completionTokensMax: number;
  onStart(start: { cachedTokens: number; queueMs: number }): void;
  /** Takes the next token of the answer; returning true ends the answer with `stop`. */
  onToken(token: number): boolean;
  onDone(result: { finishReason: FinishReason; usage: Usage; timings: Timings }): void;
  onError(error: DomainError): void;
}

/** Bounds and deadlines of a scheduler. */
export interface SchedulerOptions {
  /** Most jobs that wait for a sequence. */
  queuedMax: number;
  /** Longest wait for a sequence. Default 120,000. */
  queueTimeoutMs?: number;
  /** Longest time from the start to the first token. Default 600,000. */
  prefillTimeoutMs?: number;
  /** Longest time for one batch, before the model counts as hung. Default 120,000. */
  stepTimeoutMs?: number;
  /** Told once of a batch that does not end. Nobody can end it: the process has to go. */
  onHung?: () => void;
}

/**
 * Most prompt tokens in one batch. A running answer waits for a whole batch, and so does a cancellation; larger
 * batches were not faster on a CPU (bench row "prefill").
 */
export const PREFILL_CHUNK_TOKENS = 64;

type Phase = "queued" | "prefill" | "decode" | "ended";

/** A job on its way through the scheduler. */
class Run {
  phase: Phase = "queued";
  sequence: Sequence | null = null;
  sampler: TokenSampler | null = null;
  cachedTokens = 0;
  completionTokens = 0;
  /** Drawn last and not decoded yet. */
  nextToken = 0;
  readonly submittedAt = performance.now();
  startedAt = 0;
  firstTokenAt = 0;
  timer: ReturnType<typeof setTimeout> | null = null;

  constructor(readonly job: Job) {}

  get owner(): string {
    return this.job.owner;
  }

  setDeadline(timeoutMs: number, onPassed: () => void): void {
    this.clearDeadline();
    this.timer = setTimeout(onPassed, timeoutMs);
  }

  clearDeadline(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

/** One entry of a batch and the run that it belongs to. */
interface Piece {
  run: Run;
  sequence: Sequence;
  entry: BatchEntry;
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
  #decoder: BatchDecoder | null = null;
  #store = new SequenceStore(0);
  #loop: Promise<void> | null = null;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.queuedMax = options.queuedMax;
    this.#queueTimeoutMs = options.queueTimeoutMs ?? 120_000;
    this.#prefillTimeoutMs = options.prefillTimeoutMs ?? 600_000;
    this.#stepTimeoutMs = options.stepTimeoutMs ?? 120_000;
    this.#onHung = options.onHung ?? (() => {});
  }

  get active(): number {
    return this.#running.length;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** Gives the scheduler its model; jobs that came earlier start now. */
  start(decoder: BatchDecoder): void {
    this.#decoder = decoder;
    this.#store = new SequenceStore(decoder.sequences);
    this.#wake();
  }

  /**
   * Queues a job. The returned function ends it with an error and frees its place within one step; it does nothing
   * once the job has ended.
   *
   * @throws {DomainError} `queue_full` when no sequence is free and the queue is at its bound.
   */
  submit(job: Job): (error: DomainError) => void {
    const run = new Run(job);
    if (this.#closed) throw new DomainError("engine_gone", "The model is being unloaded");
    // Who comes while a sequence is free stands in the queue for a moment only and takes nobody's place in it.
    const free = this.#decoder === null ? 0 : this.#decoder.sequences - this.#store.busy;
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

  /** Ends every job with `engine_gone` and waits until the model is at rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const gone = new DomainError("engine_gone", "The model was unloaded before the answer was complete");
    for (let run = this.#queue.shift(); run !== null; run = this.#queue.shift()) this.#fail(run, gone);
    for (const run of [...this.#running]) this.#fail(run, gone);
    await this.#loop;
  }

  #wake(): void {
    if (this.#decoder === null || this.#loop !== null) return;
    this.#loop = this.#work(this.#decoder).finally(() => {
      this.#loop = null;
      if (this.#queue.size > 0) this.#wake();
    });
  }

  async #work(decoder: BatchDecoder): Promise<void> {
    // Requests of the same moment share their first batch.
    await Promise.resolve();
    for (;;) {
      this.#releaseEnded();
      this.#admitWaiting(decoder);
      if (this.#running.length === 0) return;
      await this.#step(decoder);
    }
  }

  #admitWaiting(decoder: BatchDecoder): void {
    while (this.#store.busy < decoder.sequences) {
      const run = this.#queue.shift();
      if (run === null) return;
      this.#begin(run, decoder);
    }
  }

  #begin(run: Run, decoder: BatchDecoder): void {
    const { job } = run;
    const taken = this.#store.take(job.owner, job.promptTokens);
    if (taken === null) throw new Error("No sequence is free");
    const { sequence } = taken;
    run.sequence = sequence;
    run.phase = "prefill";
    run.startedAt = performance.now();
    this.#running.push(run);
    try {
      // The last token of a prompt is always decoded again: only that yields the odds of the next one.
      run.cachedTokens = decoder.keep(sequence.index, Math.min(taken.prefix, job.promptTokens.length - 1));
      sequence.owner = job.owner;
      sequence.tokens.length = run.cachedTokens;
      run.sampler = decoder.createSampler(job.sampling);
    } catch (cause) {
      this.#failBatch([run], decoder, cause);
      return;
    }
    run.setDeadline(this.#prefillTimeoutMs, () => {
      const seconds = this.#prefillTimeoutMs / 1000;
      this.#fail(run, new DomainError("prefill_timeout", `The prompt could not be read within ${seconds} seconds`));
    });
    job.onStart({ cachedTokens: run.cachedTokens, queueMs: run.startedAt - run.submittedAt });
  }

  async #step(decoder: BatchDecoder): Promise<void> {
    const pieces = [...this.#planDecode(), ...this.#planPrefill()];
    // Every job that was begun just now may have failed at once.
    if (pieces.length === 0) return;
    // llama.cpp computes neighbouring sequences together only when they stand in ascending order.
    pieces.sort((a, b) => a.entry.sequence - b.entry.sequence);
    const hung = setTimeout(this.#onHung, this.#stepTimeoutMs);
    try {
      const drawn = await decoder.decode(pieces.map(({ entry }) => entry));
      let next = 0;
      for (const { run, sequence, entry } of pieces) {
        for (const token of entry.tokens) sequence.tokens.push(token);
        if (entry.sampler !== null) this.#takeToken(run, drawn[next++]!, decoder);
      }
    } catch (cause) {
      this.#failBatch(pieces.map(({ run }) => run), decoder, cause);
    } finally {
      clearTimeout(hung);
    }
  }

  /** The next token of every running answer. */
  #planDecode(): Piece[] {
    const pieces: Piece[] = [];
    for (const run of this.#running) {
      const { sequence, sampler } = run;
      if (run.phase !== "decode" || sequence === null) continue;
      const entry = { sequence: sequence.index, position: sequence.tokens.length, tokens: [run.nextToken], sampler };
      pieces.push({ run, sequence, entry });
    }
    return pieces;
  }

  /** Fills the chunk with prompts in turn; who got a share goes to the end, so a long prompt delays no short one much. */
  #planPrefill(): Piece[] {
    const pieces: Piece[] = [];
    let room = PREFILL_CHUNK_TOKENS;
    for (const run of this.#running.filter((run) => run.phase === "prefill")) {
      const { sequence, job } = run;
      if (room === 0 || sequence === null) break;
      const position = sequence.tokens.length;
      const tokens = job.promptTokens.slice(position, position + room);
      const isLast = position + tokens.length === job.promptTokens.length;
      const entry = { sequence: sequence.index, position, tokens, sampler: isLast ? run.sampler : null };
      pieces.push({ run, sequence, entry });
      room -= tokens.length;
      this.#running.splice(this.#running.indexOf(run), 1);
      this.#running.push(run);
    }
    return pieces;
  }

  #takeToken(run: Run, token: number, decoder: BatchDecoder): void {
    if (run.phase === "ended") return;
    if (run.phase === "prefill") {
      run.phase = "decode";
      run.firstTokenAt = performance.now();
      run.clearDeadline();
    }
    run.completionTokens++;
    run.nextToken = token;
    if (decoder.isEndToken(token) || run.job.onToken(token)) this.#finish(run, "stop");
    else if (run.completionTokens >= run.job.completionTokensMax) this.#finish(run, "length");
  }

  #finish(run: Run, finishReason: FinishReason): void {
    run.phase = "ended";
    run.clearDeadline();
    const now = performance.now();
    run.job.onDone({
      finishReason,
      usage: {
        promptTokens: run.job.promptTokens.length,
        cachedTokens: run.cachedTokens,
        completionTokens: run.completionTokens,
        reasoningTokens: 0,
      },
      timings: {
        queueMs: run.startedAt - run.submittedAt,
        prefillMs: run.firstTokenAt - run.startedAt,
        decodeMs: now - run.firstTokenAt,
      },
    });
  }

  #fail(run: Run, error: DomainError): void {
    if (run.phase === "ended") return;
    if (run.phase === "queued") this.#queue.remove(run);
    run.phase = "ended";
    run.clearDeadline();
    run.job.onError(error);
  }

  /** After a failed batch nobody knows what its sequences hold: they are emptied, their jobs end, the others go on. */
  #failBatch(runs: readonly Run[], decoder: BatchDecoder, cause: unknown): void {
    for (const run of runs) {
      this.#fail(run, new DomainError("internal_error", "The model could not compute the next token", { cause }));
      if (run.sequence === null) continue;
      decoder.keep(run.sequence.index, 0);
      run.sequence.tokens.length = 0;
    }
  }

  /** Between two steps no sampler is in use, so this is where they are freed. */
  #releaseEnded(): void {
    for (const run of this.#running.filter((run) => run.phase === "ended")) {
      this.#running.splice(this.#running.indexOf(run), 1);
      run.sampler?.dispose();
      if (run.sequence !== null) this.#store.release(run.sequence);
    }
  }
}
