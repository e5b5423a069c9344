import type { ModelFile } from "../contracts/model.ts";
import type { ChatEngine, EmbeddingEngine } from "./engine.ts";

/** An engine by what it does. */
export type OpenedEngine =
  | { kind: "chat"; engine: ChatEngine }
  | { kind: "embedding"; engine: EmbeddingEngine };

/** A clock and its alarms; tests bring one that they turn by hand. */
export interface PoolClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `work` once after so many milliseconds; the function that it returns prevents it. */
  after(delayMs: number, work: () => void): () => void;
}

/** The longest delay that a timer of the runtime takes, in milliseconds: 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** One model in memory, or on its way there, and who uses it. */
export class ModelSlot {
  state: "loading" | "ready" = "loading";
  opened: OpenedEngine | null = null;
  /** Settles when there is an engine that takes requests, though its weights may still be loading, or there never will be. */
  readonly opening: PromiseWithResolvers<OpenedEngine> = Promise.withResolvers<OpenedEngine>();
  /** Settles when the weights are in memory, or cannot be. */
  readonly loaded: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  /** Requests that use it or wait for it. */
  users = 0;
  lastUsedAtMs: number;
  /** Milliseconds that it stays after its last use; -1 means for ever. */
  keepAliveMs: number;
  /** Takes nobody new: its file is another one now, or its engine broke. It goes when its last user has left. */
  retired = false;
  #expiresAtMs: number | null = null;
  #stopAlarm: () => void = () => {};

  constructor(
    readonly model: ModelFile,
    readonly memoryBytes: number,
    private readonly settings: { keepAliveMs: number; clock: PoolClock },
  ) {
    this.keepAliveMs = settings.keepAliveMs;
    this.lastUsedAtMs = settings.clock.now();
    this.opening.promise.catch(() => {});
    this.loaded.promise.catch(() => {});
  }

  /** When it goes if nobody asks it from now on, in milliseconds since 1970; null means never. */
  get expiresAtMs(): number | null {
    if (this.keepAliveMs < 0) return null;
    return this.#expiresAtMs ?? this.settings.clock.now() + this.keepAliveMs;
  }

  /** Whether it goes before `other` when memory is short: those kept for ever go last, else the least recently used first. */
  goesBefore(other: ModelSlot): boolean {
    const [isKept, otherIsKept] = [this.keepAliveMs < 0, other.keepAliveMs < 0];
    return isKept === otherIsKept ? this.lastUsedAtMs < other.lastUsedAtMs : otherIsKept;
  }

  /** Counts a user. */
  enter(): void {
    this.users++;
    this.#stopCountdown();
  }

  /** Counts one user less. */
  leave(): void {
    this.users--;
    this.lastUsedAtMs = this.settings.clock.now();
  }

  /** Calls `onExpired` when nobody came for as long as it is kept; begins anew with every call. */
  countDown(onExpired: () => void): void {
    this.#stopCountdown();
    if (this.keepAliveMs < 0) return;
    this.#expiresAtMs = this.settings.clock.now() + this.keepAliveMs;
    this.#setAlarm(onExpired);
  }

  /** Frees its memory, when it has got so far. */
  async dispose(): Promise<void> {
    this.#stopCountdown();
    await this.opening.promise.catch(() => {});
    await this.opened?.engine[Symbol.asyncDispose]();
  }

  #setAlarm(onExpired: () => void): void {
    const leftMs = (this.#expiresAtMs ?? 0) - this.settings.clock.now();
    this.#stopAlarm = this.settings.clock.after(Math.min(leftMs, TIMER_MS_MAX), () => {
      if (leftMs > TIMER_MS_MAX) this.#setAlarm(onExpired);
      else onExpired();
    });
  }

  #stopCountdown(): void {
    this.#stopAlarm();
    this.#expiresAtMs = null;
  }
}
