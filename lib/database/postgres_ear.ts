import postgres from "postgres";
import type { Logger } from "../log.ts";
import { DatabaseError, type ListenOptions } from "./database.ts";
import { Listeners } from "./listeners.ts";
import { toDatabaseError } from "./postgres_errors.ts";
import { quoteName } from "./values.ts";

/** Pauses between attempts to connect, in milliseconds: the first, and the longest that doubling leads to. */
const PAUSE_MS = { first: 100, longest: 5_000 };

/** How often the connection is asked whether it still stands, and how long the answer may take, in milliseconds. */
const HEARTBEAT_MS = { every: 30_000, answer: 10_000 };

/**
 * The one connection that listens. It exists while somebody listens, and comes back by itself: the driver's own `listen`
 * gives up in silence when the server is not back at the first attempt.
 */
export class PostgresEar implements AsyncDisposable {
  readonly #listeners = new Listeners();
  #connection: postgres.Sql | null = null;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #steps: Promise<unknown> = Promise.resolve();
  #isReconnecting = false;
  readonly #closed = new AbortController();

  constructor(private readonly options: { url: string; log: Logger }) {}

  /** See `Database.listen`. */
  async listen(
    channel: string,
    onNotify: (payload: string) => void,
    options: ListenOptions,
  ): Promise<AsyncDisposable> {
    if (this.#closed.signal.aborted) throw new DatabaseError("The database is closed", { sqlState: "57P01" });
    const remove = this.#listeners.add(channel, onNotify, options);
    try {
      await this.#inOrder(() => this.#hear([channel]));
    } catch (error) {
      remove();
      throw toDatabaseError(error);
    }
    return {
      [Symbol.asyncDispose]: async () => {
        if (!remove()) return;
        await this.#inOrder(async () => {
          // Somebody may have come meanwhile; a lost connection listens to nothing.
          if (this.#listeners.channels.includes(channel)) return;
          await this.#connection?.unsafe(`unlisten ${quoteName(channel)}`);
        }).catch(() => {});
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#drop();
  }

  /** One after the other, so that a `listen` and an `unlisten` of one channel end as they began. */
  #inOrder<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#steps.then(step);
    this.#steps = result.catch(() => {});
    return result;
  }

  async #hear(channels: string[]): Promise<void> {
    this.#connection ??= this.#connect();
    const connection = this.#connection;
    try {
      await connection.unsafe(channels.map((channel) => `listen ${quoteName(channel)}`).join("; "));
    } catch (error) {
      if (this.#connection === connection) await this.#drop();
      throw error;
    }
    this.#heartbeat ??= this.#beat();
  }

  #connect(): postgres.Sql {
    // The driver takes `onnotify`, which its types leave out.
    const options: postgres.Options<Record<string, never>> & { onnotify: (channel: string, payload: string) => void } =
      {
        max: 1,
        idle_timeout: 0,
        max_lifetime: null,
        connect_timeout: 10,
        fetch_types: false,
        connection: { application_name: "rookery-listen" },
        onnotice: () => {},
        onnotify: (channel, payload) => {
          if (connection === this.#connection) this.#listeners.notify(channel, payload);
        },
        onclose: () => {
          if (connection === this.#connection && !this.#isReconnecting) this.#reconnect();
        },
      };
    const connection = postgres(this.options.url, options);
    return connection;
  }

  async #drop(): Promise<void> {
    const connection = this.#connection;
    this.#connection = null;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
    await connection?.end({ timeout: 0 }).catch(() => {});
  }

  /** Tries until it hears again or nobody listens any more. */
  async #reconnect(): Promise<void> {
    const { log } = this.options;
    const { signal } = this.#closed;
    this.#isReconnecting = true;
    log.warn("database_listener_lost");
    for (let pauseMs = PAUSE_MS.first; !signal.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
      try {
        const heard = await this.#inOrder(async () => {
          await this.#drop();
          const { channels } = this.#listeners;
          if (channels.length > 0) await this.#hear(channels);
        }).then(() => true, () => false);
        if (heard) break;
        await pause(pauseMs, signal);
      } catch {
        // The pause was cut short: the database is being closed.
      }
    }
    this.#isReconnecting = false;
    if (!signal.aborted) this.#listeners.tellGap();
  }

  /** A connection that a router forgot says nothing of it. */
  #beat(): ReturnType<typeof setInterval> {
    const timer = setInterval(async () => {
      const connection = this.#connection;
      if (connection === null || this.#isReconnecting) return;
      const isAlive = await Promise.race([
        connection.unsafe("select 1").then(() => true, () => false),
        pause(HEARTBEAT_MS.answer, this.#closed.signal).then(() => false, () => true),
      ]);
      if (!isAlive && connection === this.#connection && !this.#isReconnecting) await this.#reconnect();
    }, HEARTBEAT_MS.every);
    Deno.unrefTimer(timer);
    return timer;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
  return promise;
}
