/** What a transaction is to either adapter: claims, one failure ends it, and another try where Postgres asks for one. */
import { type Claims, DatabaseError, type Session, type Value } from "./database.ts";
import { quoteLiteral, quoteName } from "./values.ts";

const ROLES: readonly Claims["role"][] = ["anon", "authenticated", "service_role"];

/** How often a transaction is tried that Postgres cannot serialise. */
const ATTEMPTS_MAX = 4;

/** Longest pause before the first further attempt, in milliseconds; it doubles each time. */
const PAUSE_MS = 20;

/**
 * The statements that put a transaction under `claims`; both settings end with it.
 *
 * @throws {TypeError} for a role that claims cannot have.
 */
export function writeClaims(claims: Claims): string {
  if (!ROLES.includes(claims.role)) throw new TypeError(`Claims cannot have the role "${claims.role}"`);
  return `set local role ${quoteName(claims.role)}; ` +
    `select set_config('request.jwt.claims', ${quoteLiteral(JSON.stringify(claims))}, true)`;
}

/** Runs one statement for a session; without values the text may hold several. */
export type RunStatement = (text: string, values: readonly Value[] | null) => Promise<object[]>;

/** The session of one transaction. After a failure, and after the end, it lets no statement through to the connection. */
export class TransactionSession implements Session {
  /** What a statement threw first, or null. */
  failure: DatabaseError | null = null;
  #hasEnded = false;

  constructor(private readonly run: RunStatement) {}

  async query<Row extends object>(text: string, values?: readonly Value[]): Promise<Row[]> {
    if (this.failure !== null) throw this.failure;
    if (this.#hasEnded) throw new DatabaseError("The transaction is over", { sqlState: "25000" });
    try {
      return await this.run(text, values ?? null) as Row[];
    } catch (error) {
      if (error instanceof DatabaseError) this.failure ??= error;
      throw error;
    }
  }

  /** Ends it from outside, since the connection is lost: whatever still wants to speak hears `error`. */
  fail(error: DatabaseError): void {
    this.failure ??= error;
  }

  /**
   * Does `work`, for at most `transactionMs`.
   *
   * @throws {DatabaseError} what a statement threw, also where `work` caught it; 25P03 past the time.
   */
  async do<T>(work: (session: Session) => Promise<T>, { transactionMs }: { transactionMs: number }): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const message = `The transaction was not done after ${transactionMs} ms`;
      reject(new DatabaseError(message, { sqlState: "25P03" }));
    }, transactionMs);
    try {
      const result = await Promise.race([work(this), late]);
      if (this.failure !== null) throw this.failure;
      return result;
    } finally {
      clearTimeout(timer);
      this.#hasEnded = true;
    }
  }
}

/** Tries a whole transaction again when Postgres could not serialise it (40001) or broke a deadlock with it (40P01). */
export async function retrySerialization<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1;; tried++) {
    try {
      return await attempt();
    } catch (error) {
      const isWorthIt = error instanceof DatabaseError && /^40(001|P01)$/.test(error.sqlState);
      if (!isWorthIt || tried === ATTEMPTS_MAX) throw error;
      const pauseMs = Math.random() * PAUSE_MS * 2 ** tried;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
