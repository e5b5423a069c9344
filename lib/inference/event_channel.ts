/**
 * Hands values from a producer that never waits to one consumer that does. It holds what was not consumed yet, so its
 * producer must be bounded itself: here by the tokens that one answer can have.
 */
export class EventChannel<T> implements AsyncIterable<T> {
  readonly #values: T[] = [];
  #ended = false;
  #error: unknown = null;
  #wake: (() => void) | null = null;

  push(value: T): void {
    if (this.#ended) return;
    this.#values.push(value);
    this.#wake?.();
  }

  /** What was pushed is still delivered; then the iteration ends. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** What was pushed is still delivered; then the iteration throws. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#error = error;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) {
        yield value;
      } else if (this.#ended) {
        if (this.#error !== null) throw this.#error;
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = null;
      }
    }
  }
}
