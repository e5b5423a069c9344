import { DomainError } from "../errors.ts";

/** Most streams that one account may have open on one runtime. */
const STREAMS_PER_ACCOUNT_MAX = 64;

/** Counts the streams that accounts have open: each of them reads in the database whenever something happens. */
export class StreamPlaces {
  readonly #open = new Map<string, number>();

  constructor(private readonly perAccountMax = STREAMS_PER_ACCOUNT_MAX) {}

  /**
   * Takes a place until the returned function is called, which may be more than once.
   *
   * @throws {DomainError} `queue_full` when the account has all of its places in use.
   */
  take(owner: string): () => void {
    const open = this.#open.get(owner) ?? 0;
    if (open >= this.perAccountMax) {
      const message = `You have ${open} streams of answers open, which is as many as may be; close one, and try again`;
      throw new DomainError("queue_full", message);
    }
    this.#open.set(owner, open + 1);
    let isTaken = true;
    return () => {
      if (isTaken) this.#leave(owner);
      isTaken = false;
    };
  }

  #leave(owner: string): void {
    const open = this.#open.get(owner)! - 1;
    if (open === 0) this.#open.delete(owner);
    else this.#open.set(owner, open);
  }
}
