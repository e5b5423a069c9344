import type { ListenOptions } from "./database.ts";

/** One who listens to a channel. */
interface Listener {
  onNotify: (payload: string) => void;
  onGap: () => void;
}

/** Who listens to what. Listeners of a channel hear every notification in the order of their coming. */
export class Listeners {
  readonly #channels = new Map<string, Set<Listener>>();

  /** The channels that somebody listens to. */
  get channels(): string[] {
    return [...this.#channels.keys()];
  }

  /** Adds a listener; the function that comes back takes it away and tells whether it was the channel's last. */
  add(channel: string, onNotify: (payload: string) => void, { onGap = () => {} }: ListenOptions): () => boolean {
    const listener = { onNotify, onGap };
    const listeners = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, listeners.add(listener));
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return false;
      return this.#channels.delete(channel);
    };
  }

  /** Hands a notification out. */
  notify(channel: string, payload: string): void {
    for (const { onNotify } of [...this.#channels.get(channel) ?? []]) onNotify(payload);
  }

  /** Tells everybody that notifications may have been missed. */
  tellGap(): void {
    for (const { onGap } of [...this.#channels.values()].flatMap((listeners) => [...listeners])) onGap();
  }
}
