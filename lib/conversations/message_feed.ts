import type { Database } from "../database/database.ts";

/** How long a watch is quiet before it is woken anyway, in milliseconds: whoever watches then looks for itself. */
const QUIET_MS = 15_000;

/** What is watched, and who does it. */
export interface WatchSubject {
  conversationId: string;
  messageId: string;
  /** The account that reads. */
  userId: string;
}

/** News of one message, for one reader. */
export interface Watch extends Disposable {
  /** Resolves when something may have changed since the last time that it resolved, or `signal` aborts. */
  changed(signal: AbortSignal): Promise<void>;
}

/**
 * Tells readers on this runtime that a message has new chunks, or that their right to read it may have changed, whichever
 * runtime did it. It knows no contents: who is woken reads the tables under their own claims, so that nothing depends on
 * a notification being there, or being there once.
 */
export class MessageFeed implements AsyncDisposable {
  readonly #watches = new Set<OpenWatch>();
  readonly #listeners: AsyncDisposable[] = [];

  private constructor(private readonly quietMs: number) {}

  /** @throws {DatabaseError} when the database cannot be listened to. */
  static async open(database: Database, { quietMs = QUIET_MS }: { quietMs?: number } = {}): Promise<MessageFeed> {
    const feed = new MessageFeed(quietMs);
    try {
      const onGap = () => feed.#wake(() => true);
      const listen = async (channel: string, hear: (fields: Record<string, unknown>) => void) => {
        feed.#listeners.push(await database.listen(channel, (payload) => hear(readFields(payload)), { onGap }));
      };
      await listen("rookery_messages", ({ message }) => feed.#wake(({ subject }) => subject.messageId === message));
      await listen("rookery_conversations", ({ conversation, change }) => {
        // New messages beside this one are no news of it.
        if (change !== "messages") feed.#wake(({ subject }) => subject.conversationId === conversation);
      });
      // Who reads what they may no longer read hears of it by the conversation, who may do nothing any more by the account.
      await listen("rookery_accounts", ({ user }) => {
        feed.#wake(({ subject }) => typeof user !== "string" || subject.userId === user);
      });
      return feed;
    } catch (error) {
      await feed[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Watches a message for an account; the first `changed` resolves at once, for what happened before. */
  watch(subject: WatchSubject): Watch {
    const watch = new OpenWatch(subject, {
      quietMs: this.quietMs,
      close: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    return watch;
  }

  /** Wakes everybody, for the last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#wake(() => true);
    await Promise.all(this.#listeners.map((listener) => listener[Symbol.asyncDispose]()));
  }

  #wake(concerns: (watch: OpenWatch) => boolean): void {
    for (const watch of this.#watches) {
      if (concerns(watch)) watch.wake();
    }
  }
}

class OpenWatch implements Watch {
  #changed = true;
  #resolve: () => void = () => {};

  constructor(
    readonly subject: WatchSubject,
    private readonly options: { quietMs: number; close(): void },
  ) {}

  wake(): void {
    this.#changed = true;
    this.#resolve();
  }

  async changed(signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted) await this.#wait(signal);
    this.#changed = false;
  }

  [Symbol.dispose](): void {
    this.options.close();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resolve = resolve;
    const timer = setTimeout(resolve, this.options.quietMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }
}

function readFields(payload: string): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(payload);
    return typeof fields === "object" && fields !== null ? { ...fields } : {};
  } catch {
    return {};
  }
}
