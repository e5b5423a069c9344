import { DatabaseError } from "./database.ts";

/** Bounds of {@linkcode Turns}. */
export interface TurnLimits {
  /** Most that may wait. */
  waitingMax: number;
  /** How long one may wait, in milliseconds. */
  waitMs: number;
}

/** Lets one at a time use what only one can use, in the order of their coming. */
export class Turns {
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  #isTaken = false;
  #hasClosed = false;

  constructor(private readonly limits: TurnLimits) {}

  /**
   * Does `work` once everything is done that came before.
   *
   * @throws {DatabaseError} 53300 when too many wait or it took too long; 57P01 after {@linkcode close}.
   */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#hasClosed) throw closedError();
    if (this.#isTaken) await this.#wait();
    this.#isTaken = true;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      this.#isTaken = next !== undefined;
      next?.resolve();
    }
  }

  async #wait(): Promise<void> {
    const { waitingMax, waitMs } = this.limits;
    if (this.#waiting.length >= waitingMax) throw busyError(`${waitingMax} transactions wait already`);
    const turn = Promise.withResolvers<void>();
    this.#waiting.push(turn);
    const timer = setTimeout(() => {
      const at = this.#waiting.indexOf(turn);
      if (at >= 0) this.#waiting.splice(at, 1);
      turn.reject(busyError(`there was no turn within ${waitMs} ms`));
    }, waitMs);
    try {
      await turn.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Refuses all that wait and all that come, and does `work` when the one that has its turn is done. */
  async close(work: () => Promise<void>): Promise<void> {
    if (this.#hasClosed) return;
    this.#hasClosed = true;
    for (const turn of this.#waiting.splice(0)) turn.reject(closedError());
    if (this.#isTaken) {
      const last = Promise.withResolvers<void>();
      this.#waiting.push(last);
      await last.promise;
    }
    await work();
  }
}

function busyError(reason: string): DatabaseError {
  return new DatabaseError(`The database is busy: ${reason}`, { sqlState: "53300" });
}

function closedError(): DatabaseError {
  return new DatabaseError("The database is being closed", { sqlState: "57P01" });
}
