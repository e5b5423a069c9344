import type { Catalog } from "../../lib/catalog/catalog.ts";
import type { Progress } from "../../lib/catalog/progress.ts";
import { DomainError } from "../../lib/errors.ts";
import type { PullLine } from "./model_schemas.ts";

/** What this function asks of the models on the disk: to list, fetch and remove them. */
export type ModelLibrary = Pick<Catalog, "list" | "pull" | "remove">;

/** Most models that are pulled at the same time: more share the same line to the world. */
const PULLS_MAX = 4;

/**
 * Pulls under way. Whoever asks for a model that is being pulled already follows that pull; it is stopped when the last
 * one who follows it leaves.
 */
export class Pulls {
  readonly #library: ModelLibrary;
  readonly #running = new Map<string, Pull>();

  constructor(library: ModelLibrary) {
    this.#library = library;
  }

  /**
   * Pulls a model and tells how far it is. What comes faster than it is read is passed over, all but the latest.
   *
   * @throws {DomainError} what the library throws, `queue_full` while too many others are pulled, and
   *   `request_cancelled` when `signal` aborts.
   */
  async *follow(name: string, signal: AbortSignal): AsyncGenerator<PullLine, void, void> {
    yield { status: "pulling manifest" };
    // A model answers to its name in any case.
    const key = name.toLowerCase();
    for (let left = this.#running.get(key); left?.isAbandoned; left = this.#running.get(key)) await left.ended;
    let pull = this.#running.get(key);
    if (pull === undefined) {
      if (this.#running.size >= PULLS_MAX) {
        throw new DomainError("queue_full", `${PULLS_MAX} models are being pulled; pull "${name}" when one is there`);
      }
      pull = new Pull((told) => this.#library.pull(name, told), () => this.#running.delete(key));
      this.#running.set(key, pull);
    }
    yield* pull.follow(signal);
    yield { status: "success" };
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
  /** Resolves when the library has ended its work, whatever the outcome. */
  readonly ended: Promise<void>;
  readonly #outcome: Promise<unknown>;
  readonly #abortion = new AbortController();
  /** The latest line about each thing, and when it came. */
  readonly #latest = new Map<string, { line: PullLine; turn: number }>();
  #turn = 0;
  #news = Promise.withResolvers<void>();
  #hasEnded = false;
  #followers = 0;

  constructor(begin: (hooks: PullHooks) => Promise<unknown>, onEnd: () => void) {
    this.#outcome = begin({
      signal: this.#abortion.signal,
      onProgress: (progress) => this.#tell(progress.file, toLine(progress)),
      onNotice: (message) => this.#tell("", { status: message }),
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

  async *follow(signal: AbortSignal): AsyncGenerator<PullLine, void, void> {
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake);
    this.#followers++;
    try {
      for (let turn = 0, hasEnded = false; !hasEnded;) {
        const news = this.#news.promise;
        hasEnded = this.#hasEnded;
        const fresh = [...this.#latest.values()].filter((told) => told.turn > turn).sort((a, b) => a.turn - b.turn);
        turn = this.#turn;
        for (const { line } of fresh) yield line;
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

  #tell(about: string, line: PullLine): void {
    this.#latest.set(about, { line, turn: ++this.#turn });
    this.#wake();
  }

  #wake(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Clients draw one bar for each digest; where nobody knows one, the file's name tells them apart. */
function toLine({ file, sha256, receivedBytes, totalBytes }: Progress): PullLine {
  return {
    status: `pulling ${file}`,
    digest: sha256 === null ? `unknown-sha256:${file}` : `sha256:${sha256}`,
    ...(totalBytes === null ? {} : { total: totalBytes }),
    completed: receivedBytes,
  };
}
