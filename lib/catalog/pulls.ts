import { DomainError } from "../errors.ts";
import type { Catalog } from "./catalog.ts";
import type { Progress } from "./progress.ts";

/** What is asked of the models on the disk by who manages them: to list, fetch and remove them. */
export type ModelLibrary = Pick<Catalog, "list" | "pull" | "remove">;

/** How far a pull is, or something to know about it. */
export type PullNews = { type: "progress"; progress: Progress } | { type: "notice"; message: string };

/** Most models that are pulled at the same time: more share the same line to the world. */
const PULLS_MAX = 4;

/**
 * Pulls under way. Whoever asks for a model that is being pulled already follows that pull; it is stopped when the last
 * one who follows it leaves.
 */
export class Pulls {
  readonly #library: Pick<ModelLibrary, "pull">;
  readonly #running = new Map<string, Pull>();

  /** @param library where models are pulled into. */
  constructor(library: Pick<ModelLibrary, "pull">) {
    this.#library = library;
  }

  /** The models that are being pulled, as they were asked for. */
  get names(): string[] {
    return [...this.#running.values()].map(({ name }) => name);
  }

  /**
   * Pulls a model and tells how far it is. What comes faster than it is read is passed over, all but the latest.
   *
   * @throws {DomainError} what the library throws, `queue_full` while too many others are pulled, and
   *   `request_cancelled` when `signal` aborts.
   */
  async *follow(name: string, signal: AbortSignal): AsyncGenerator<PullNews, void, void> {
    // A model answers to its name in any case.
    const key = name.toLowerCase();
    for (let left = this.#running.get(key); left?.isAbandoned; left = this.#running.get(key)) await left.ended;
    let pull = this.#running.get(key);
    if (pull === undefined) {
      if (this.#running.size >= PULLS_MAX) {
        throw new DomainError("queue_full", `${PULLS_MAX} models are being pulled; pull "${name}" when one is there`);
      }
      pull = new Pull(name, (told) => this.#library.pull(name, told), () => this.#running.delete(key));
      this.#running.set(key, pull);
    }
    yield* pull.follow(signal);
  }
}

/** What a library is told of who pulls. */
interface PullHooks {
  signal: AbortSignal;
  onProgress(progress: Progress): void;
  onNotice(message: string): void;
}

/** One pull and those who follow it. */
class Pull {
  readonly name: string;
  /** Resolves when the library has ended its work, whatever the outcome. */
  readonly ended: Promise<void>;
  readonly #outcome: Promise<unknown>;
  readonly #abortion = new AbortController();
  /** The latest news about each thing, and when they came. */
  readonly #latest = new Map<string, { news: PullNews; turn: number }>();
  #turn = 0;
  #news = Promise.withResolvers<void>();
  #hasEnded = false;
  #followers = 0;

  constructor(name: string, begin: (hooks: PullHooks) => Promise<unknown>, onEnd: () => void) {
    this.name = name;
    this.#outcome = begin({
      signal: this.#abortion.signal,
      onProgress: (progress) => this.#tell(progress.file, { type: "progress", progress }),
      onNotice: (message) => this.#tell("", { type: "notice", message }),
    });
    this.ended = this.#outcome.catch(() => {}).then(() => {
      this.#hasEnded = true;
      onEnd();
      this.#wake();
    });
  }

  /** Whether everybody has left. */
  get isAbandoned(): boolean {
    return this.#abortion.signal.aborted;
  }

  async *follow(signal: AbortSignal): AsyncGenerator<PullNews, void, void> {
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake);
    this.#followers++;
    try {
      for (let turn = 0, hasEnded = false; !hasEnded;) {
        const news = this.#news.promise;
        hasEnded = this.#hasEnded;
        const fresh = [...this.#latest.values()].filter((told) => told.turn > turn).sort((a, b) => a.turn - b.turn);
        turn = this.#turn;
        for (const told of fresh) yield told.news;
        if (signal.aborted) throw new DomainError("request_cancelled", "The client left the pull");
        if (!hasEnded) await news;
      }
      await this.#outcome;
    } finally {
      signal.removeEventListener("abort", wake);
      this.#followers--;
      if (this.#followers === 0) this.#abortion.abort();
    }
  }

  #tell(about: string, news: PullNews): void {
    this.#latest.set(about, { news, turn: ++this.#turn });
    this.#wake();
  }

  #wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
