import { hash, type Options, verify } from "@node-rs/argon2";
import { DomainError } from "../errors.ts";
import { isCommonPassword } from "./common_passwords.ts";

/** `Algorithm.Argon2id`, which is a const enum: of those nothing is left at run time. */
const ARGON2ID = 2;

/**
 * OWASP's least parameters of argon2id: 19 MiB of memory, two passes, one lane.
 *
 * https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
 */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const satisfies Options;

/** The beginning of every hash that was made with {@linkcode PARAMETERS}. */
const PREFIX =
  `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$` as const;

/** The hash of 32 random bytes that nobody has kept, compared where there is no hash to compare. */
const DECOY = `${PREFIX}qwWDF3B95T+Nhv6zeBzsVg$Mdtf8YzcDJjmWqabnfiC8s9rO5YRQ3iGPF9Fy3XyES0`;

/** Hashes that run at the same time: each holds 19 MiB and a thread that models could compute on. */
const HASHES_AT_ONCE_MAX = 2;

/** Hashes that may wait; beyond it the machine is being flooded, and who comes is told to come again. */
const HASHES_WAITING_MAX = 64;

/** Fewer different characters than these are one key held down. */
const DIFFERENT_CHARACTERS_MIN = 4;

/** What {@linkcode Passwords.verify} found. */
export interface PasswordCheck {
  correct: boolean;
  /** A hash with today's parameters that should take the old one's place, or null when it is as new. */
  renewed: string | null;
}

/** Makes and compares hashes of passwords, a bounded number at a time. */
export class Passwords {
  readonly #compare: typeof verify;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param compare what compares a hash with a password; default argon2. */
  constructor(compare: typeof verify = verify) {
    this.#compare = compare;
  }

  /**
   * A hash in PHC's text form, with a salt of its own.
   *
   * @throws {DomainError} `rate_limited` when too many are waiting.
   */
  async hash(password: string): Promise<string> {
    return await this.#take(() => hash(normalize(password), { ...PARAMETERS, algorithm: ARGON2ID }));
  }

  /**
   * Compares a password with what an account has. Where there is no account (`stored` is null), or one that has no
   * password, a hash that nobody's password has is compared: the same work, so that the time says nothing.
   *
   * @throws {DomainError} `rate_limited` when too many are waiting.
   */
  async verify(stored: string | null, password: string): Promise<PasswordCheck> {
    const known = stored !== null && isReadable(stored);
    const against = known ? stored : DECOY;
    const matches = await this.#take(() => this.#compare(against, normalize(password)));
    const correct = known && matches;
    return { correct, renewed: correct && !stored.startsWith(PREFIX) ? await this.hash(password) : null };
  }

  async #take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= HASHES_AT_ONCE_MAX) {
      if (this.#waiting.length >= HASHES_WAITING_MAX) {
        const message = "Too many people are logging in at once; try again in a moment";
        throw new DomainError("rate_limited", message, { details: { retryAfterSeconds: 5 } });
      }
      // Who ends hands its place over, so that nobody can come between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/**
 * Refuses passwords that attackers try first, and those that are made of what everybody knows of the account.
 *
 * @throws {DomainError} `invalid_request` that says what is wrong with it, for the field `param`.
 */
export function requireGoodPassword(password: string, { email, param }: { email: string | null; param: string }): void {
  const reason = findWeakness(normalize(password).toLowerCase(), email?.toLowerCase() ?? null);
  if (reason !== null) throw new DomainError("invalid_request", `Cannot take this password: ${reason}`, { param });
}

function findWeakness(password: string, email: string | null): string | null {
  if (isCommonPassword(password)) return "it is one of those that are tried first; take another";
  if (new Set(password).size < DIFFERENT_CHARACTERS_MIN) return "it repeats a few characters; take another";
  const names = email === null ? [] : [email, email.split("@")[0]!];
  if (names.includes(password)) return "it is the address of the account; take another";
  return null;
}

/** The same letters may be typed as different code points on another keyboard; NIST SP 800-63B asks to join them. */
function normalize(password: string): string {
  return password.normalize("NFC");
}

/** Hashes of other kinds (GoTrue's old bcrypt) cannot be compared here: their accounts set a new password. */
function isReadable(stored: string): boolean {
  return stored.startsWith("$argon2id$") || stored.startsWith("$argon2i$");
}
