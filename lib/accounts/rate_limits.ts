import { isIPv6 } from "node:net";
import { DomainError } from "../errors.ts";

/** Keeps a number for each key; it may be lost, and may be shared by several processes. */
export interface LimitStore {
  /**
   * Replaces the number of `key` (null where there is none) by what `change` makes of it, in one step; null leaves it.
   * `change` may be called again when another process was faster.
   */
  update(key: string, change: (value: number | null) => { value: number; expiresInMs: number } | null): Promise<void>;
}

/** How often something may be tried: `burst` times at once, and once more after each `refillMs`. */
export interface Rate {
  name: string;
  burst: number;
  /** In milliseconds. */
  refillMs: number;
  /** Completes `Too many …; try again in 30 seconds`. */
  what: string;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Everything that guesses, and what it may cost. By address, unless the name says otherwise. */
export const RATES = {
  /** A household behind one address logs in; a list of passwords does not get far. */
  logIn: { name: "log_in", burst: 20, refillMs: 15 * SECOND_MS, what: "attempts to log in" },
  /** Of one account, wherever they come from; also where there is no such account. */
  logInAccount: { name: "log_in_account", burst: 10, refillMs: MINUTE_MS, what: "attempts to log in to this account" },
  signUp: { name: "sign_up", burst: 10, refillMs: 10 * MINUTE_MS, what: "attempts to sign up" },
  /** Of invitations, of links to set a password, of sign-ins that come back from elsewhere. */
  link: { name: "link", burst: 10, refillMs: MINUTE_MS, what: "attempts with a link" },
  mail: { name: "mail", burst: 5, refillMs: 10 * MINUTE_MS, what: "letters asked for" },
  /** To one account: nobody's mailbox is filled. */
  mailAccount: { name: "mail_account", burst: 3, refillMs: HOUR_MS, what: "letters asked for" },
  refresh: { name: "refresh", burst: 60, refillMs: SECOND_MS, what: "attempts to refresh" },
} as const satisfies Record<string, Rate>;

/** Counts attempts, so that nobody gets to guess. */
export class RateLimits {
  readonly #store: LimitStore;
  readonly #now: () => number;

  constructor(store: LimitStore, now: () => number = Date.now) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * Takes one attempt of `subject`, an address or an account.
   *
   * One number is kept of it, the time at which the bucket is full again: the generic cell rate algorithm (ITU-T I.371).
   *
   * @throws {DomainError} `rate_limited` that says when to try again.
   */
  async take(rate: Rate, subject: string): Promise<void> {
    let waitMs = 0;
    await this.#store.update(nameKey(rate, subject), (fullAtMs) => {
      const now = this.#now();
      const from = Math.max(fullAtMs ?? now, now);
      waitMs = from - now - (rate.burst - 1) * rate.refillMs;
      const value = from + rate.refillMs;
      return waitMs > 0 ? null : { value, expiresInMs: value - now };
    });
    if (waitMs > 0) throw limitedError(rate, waitMs);
  }

  /** Gives an attempt back: it was none, since it succeeded. */
  async giveBack(rate: Rate, subject: string): Promise<void> {
    await this.#store.update(nameKey(rate, subject), (fullAtMs) => {
      const now = this.#now();
      const value = (fullAtMs ?? now) - rate.refillMs;
      return fullAtMs === null ? null : { value, expiresInMs: Math.max(1, value - now) };
    });
  }
}

/** The network of an address that one person may have all of: 64 bits of an IPv6 one (RFC 6177). */
export function nameNetwork(address: string | null): string {
  if (address === null) return "unknown";
  if (!isIPv6(address)) return address;
  // URLs write an address in one way, with the longest row of zeros left out.
  const [head = "", tail = ""] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}

/** Most keys that {@linkcode MemoryLimitStore} keeps: who has more addresses than these is not one person. */
const KEYS_MAX = 100_000;

/** Keeps the numbers of one process, for tests and for functions that run alone. */
export class MemoryLimitStore implements LimitStore {
  readonly #values = new Map<string, number>();

  update(key: string, change: Parameters<LimitStore["update"]>[1]): Promise<void> {
    const changed = change(this.#values.get(key) ?? null);
    if (changed !== null) {
      // Set anew it is the youngest: the oldest is what goes first.
      this.#values.delete(key);
      this.#values.set(key, changed.value);
    }
    if (this.#values.size > KEYS_MAX) this.#values.delete(this.#values.keys().next().value!);
    return Promise.resolve();
  }
}

function nameKey(rate: Rate, subject: string): string {
  return `${rate.name} ${subject}`;
}

function limitedError({ what }: Rate, waitMs: number): DomainError {
  const retryAfterSeconds = Math.ceil(waitMs / SECOND_MS);
  const message = `Too many ${what}; try again in ${retryAfterSeconds} seconds`;
  return new DomainError("rate_limited", message, { details: { retryAfterSeconds } });
}
