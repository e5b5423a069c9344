/** Who waits for an answer (`interactive`), or for a pile of work to be done at some time (`background`). */
export type ComputePriority = "interactive" | "background";

/** What a {@linkcode ComputeGate} may be told; tests bring a clock of their own. */
export interface ComputeGateOptions {
  /** Milliseconds that only ever grow. */
  now?: () => number;
}

/** Between two batches of one answer tokens are drawn and sent: for so many milliseconds its next batch is awaited. */
const QUIET_MS = 20;

/** Beside interactive work, background work gets one part of the time in so many. */
const BACKGROUND_SHARE = 4;

/** A batch that waits for its turn. */
interface Turn {
  start(): void;
}

/**
 * Lets one batch compute at a time, whatever model it belongs to: the threads of two spin against each other on the
 * same cores and are slower together than one after the other. Interactive work has its turns in order of arrival; each
 * model asks for one batch at a time, so that is turn and turn about. Background work computes when nobody waits for an
 * answer, and otherwise for a quarter of the time, so that it neither stalls an answer nor starves.
 */
export class ComputeGate {
  readonly #now: () => number;
  readonly #waiting: Record<ComputePriority, Turn[]> = { interactive: [], background: [] };
  #busy = false;
  #interactiveEndedAt = -Infinity;
  /** Interactive milliseconds that are to be given before background work has a turn again. */
  #owedMs = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor({ now = () => performance.now() }: ComputeGateOptions = {}) {
    this.#now = now;
  }

  /** Does `work` when its turn comes and passes on what it returns or throws. It must be one batch, and end. */
  async run<Result>(priority: ComputePriority, work: () => Promise<Result>): Promise<Result> {
    await this.#takeTurn(priority);
    const startedAt = this.#now();
    try {
      return await work();
    } finally {
      this.#count(priority, this.#now() - startedAt);
      this.#busy = false;
      this.#startNext();
    }
  }

  #takeTurn(priority: ComputePriority): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting[priority].push({ start: resolve });
    this.#startNext();
    return promise;
  }

  #count(priority: ComputePriority, tookMs: number): void {
    if (priority === "background") {
      this.#owedMs = tookMs * (BACKGROUND_SHARE - 1);
    } else {
      this.#owedMs = Math.max(0, this.#owedMs - tookMs);
      this.#interactiveEndedAt = this.#now();
    }
  }

  #startNext(): void {
    if (this.#busy) return;
    const { interactive, background } = this.#waiting;
    const quietInMs = this.#interactiveEndedAt + QUIET_MS - this.#now();
    const mayBackground = background.length > 0 && (this.#owedMs === 0 || (interactive.length === 0 && quietInMs <= 0));
    const turn = mayBackground ? background.shift() : interactive.shift();
    if (turn === undefined) return this.#lookAgainIn(quietInMs);
    this.#busy = true;
    turn.start();
  }

  /** Background work that waits for an answer's next batch is not to wait for ever when none comes. */
  #lookAgainIn(quietInMs: number): void {
    if (this.#waiting.background.length === 0 || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#startNext();
    }, Math.max(1, Math.ceil(quietInMs)));
  }
}
