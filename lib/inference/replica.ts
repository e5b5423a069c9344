import type { Inference, InferenceStatus } from "./inference.ts";
import { PrefixMemory } from "./prefix_memory.ts";

/** Beginnings of conversations that are remembered of one replica: some hundred long ones, in less than a megabyte. */
const PREFIXES_MAX = 8_192;

/** How long a replica may take to say how it is before it counts as hanging, in milliseconds. */
const STATUS_MS = 250;

/** How long what it said is believed, in milliseconds: requests that come together ask once. */
const STATUS_FRESH_MS = 100;

/** One of several workers that serve the same models, and what the router knows of it. */
export class Replica {
  readonly prefixes = new PrefixMemory(PREFIXES_MAX);
  #open = 0;
  #status: InferenceStatus | null = null;
  #askedAtMs = -Infinity;
  #asking: Promise<void> | null = null;

  constructor(readonly inference: Inference) {}

  /** Requests that it answers or that wait there, whoever sent them. */
  get load(): number {
    return Math.max(this.#open, (this.#status?.active ?? 0) + (this.#status?.queued ?? 0));
  }

  /** Counts a request until it is disposed of. */
  enter(): Disposable {
    this.#open++;
    return { [Symbol.dispose]: () => void this.#open-- };
  }

  /** Whether it can be given a request now: not while it is dead, being restarted or hanging. */
  async isAlive(): Promise<boolean> {
    if (performance.now() - this.#askedAtMs > STATUS_FRESH_MS) {
      this.#asking ??= this.#askStatus().finally(() => this.#asking = null);
      await this.#asking;
    }
    return this.#status !== null && this.#status.state !== "gone";
  }

  async #askStatus(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), STATUS_MS));
    this.#status = await Promise.race([this.inference.status().catch(() => null), late]);
    clearTimeout(timer);
    this.#askedAtMs = performance.now();
  }
}
