import type { LimitStore } from "./rate_limits.ts";

/** How often somebody else may be faster before an update is given up. */
const TRIES_MAX = 20;

/** Keeps the numbers in a Deno KV, which several processes of one machine may share and which may be lost. */
export class KvLimitStore implements LimitStore, Disposable {
  readonly #kv: Deno.Kv;

  private constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** Opens the file `path`, which is made where it is not there. */
  static async open(path: string): Promise<KvLimitStore> {
    return new KvLimitStore(await Deno.openKv(path));
  }

  /** @throws {Error} when others were faster twenty times. */
  async update(key: string, change: Parameters<LimitStore["update"]>[1]): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const entry = await this.#kv.get<number>(["limits", key]);
      const changed = change(entry.value);
      if (changed === null) return;
      const { value, expiresInMs: expireIn } = changed;
      const result = await this.#kv.atomic().check(entry).set(entry.key, value, { expireIn }).commit();
      if (result.ok) return;
    }
    throw new Error("The limit could not be counted: too many changed it at once");
  }

  [Symbol.dispose](): void {
    this.#kv.close();
  }
}
