/**
 * How long a reader may take nothing of an answer, in milliseconds. Shorter than the worker's own patience of 60 s, so
 * that the log blames the reader and not the worker.
 */
const READER_STALL_MS = 50_000;

/** What a {@linkcode streamText} is made of. */
export interface TextStreamOptions {
  /** Sent whenever nothing else was for {@linkcode keepaliveMs}; null sends nothing. */
  keepalive: string | null;
  /** In milliseconds. */
  keepaliveMs: number;
  /** Says what went wrong after the headers had left, or null when nobody is there to hear it. */
  renderFailure(error: unknown): string | null;
  /** Stops what `texts` waits for: the reader has gone. */
  abort(): void;
  /** Called once at the end, `true` when the reader went before it. */
  onEnd(cancelled: boolean): void;
  /** Default 50,000. */
  stallMs?: number;
}

/**
 * Turns texts into the body of a response. Nothing is asked of `texts` before the reader asks for it, so that a slow
 * reader holds one text and no more; a reader that goes away, or takes nothing for `stallMs`, ends `texts`.
 */
export function streamText(
  texts: AsyncGenerator<string, void, void>,
  options: TextStreamOptions,
): ReadableStream<Uint8Array> {
  // The default high-water mark of 1 would ask for a text that no reader has asked for.
  return new ReadableStream(new TextSource(texts, options), { highWaterMark: 0 });
}

const KEEPALIVE: unique symbol = Symbol("keepalive");

class TextSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #texts: AsyncGenerator<string, void, void>;
  readonly #options: TextStreamOptions;
  readonly #encoder = new TextEncoder();
  /** The text that is being waited for; a keepalive does not give it up. */
  #next: Promise<IteratorResult<string, void>> | null = null;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  #ended = false;

  constructor(texts: AsyncGenerator<string, void, void>, options: TextStreamOptions) {
    this.#texts = texts;
    this.#options = options;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#watchReader(controller);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#unwatchReader();
    try {
      this.#next ??= this.#texts.next();
      const result = await this.#orKeepalive(this.#next);
      if (this.#ended) return;
      if (result !== KEEPALIVE) this.#next = null;
      if (result !== KEEPALIVE && result.done === true) return this.#close(controller, null);
      const text = result === KEEPALIVE ? this.#options.keepalive ?? "" : result.value ?? "";
      controller.enqueue(this.#encoder.encode(text));
      this.#watchReader(controller);
    } catch (error) {
      if (!this.#ended) this.#fail(controller, error);
    }
  }

  async cancel(): Promise<void> {
    await this.#abandon();
  }

  async #orKeepalive(
    next: Promise<IteratorResult<string, void>>,
  ): Promise<IteratorResult<string, void> | typeof KEEPALIVE> {
    if (this.#options.keepalive === null) return await next;
    const quiet = Promise.withResolvers<typeof KEEPALIVE>();
    const timer = setTimeout(() => quiet.resolve(KEEPALIVE), this.#options.keepaliveMs);
    try {
      return await Promise.race([next, quiet.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #close(controller: ReadableStreamDefaultController<Uint8Array>, lastText: string | null): void {
    if (lastText !== null) controller.enqueue(this.#encoder.encode(lastText));
    controller.close();
    this.#ended = true;
    this.#options.onEnd(false);
  }

  /** What cannot even be said breaks the body off; what it waited for is stopped all the same. */
  #fail(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): void {
    let lastText: string | null;
    try {
      lastText = this.#options.renderFailure(error);
    } catch (unspeakable) {
      this.#ended = true;
      controller.error(unspeakable);
      this.#options.abort();
      this.#options.onEnd(false);
      return;
    }
    this.#close(controller, lastText);
  }

  async #abandon(): Promise<void> {
    this.#unwatchReader();
    if (this.#ended) return;
    this.#ended = true;
    this.#options.abort();
    this.#options.onEnd(true);
    // What was aborted may end with an error that nobody is left to hear.
    this.#next?.catch(() => {});
    await this.#texts.return().catch(() => {});
  }

  #watchReader(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { stallMs = READER_STALL_MS } = this.#options;
    this.#stallTimer = setTimeout(async () => {
      controller.error(new Error(`The reader took nothing for ${stallMs} ms`));
      await this.#abandon();
    }, stallMs);
  }

  #unwatchReader(): void {
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
  }
}
