/** Where accounts and conversations are kept. `lib/database/` holds the two adapters of this port. */
import { ERROR_CODES, type ErrorCode } from "../contracts/error.ts";
import { DomainError } from "../errors.ts";

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * What a parameter may be. The parameter's own type decides how it is written: for `json` and `jsonb` the value is the
 * JSON value itself (a string becomes a JSON string, an array a JSON array), for anything else an array is a Postgres
 * array and a `Date` its ISO text. Null is always SQL's NULL.
 */
export type Value = Json | bigint | Uint8Array | Date;

/** On whose behalf a transaction runs, as PostgREST hands it to Postgres: `request.jwt.claims` is this as JSON. */
export interface Claims {
  /** The account, or null for nobody. */
  sub: string | null;
  role: "anon" | "authenticated" | "service_role";
  session_id?: string;
  app_role?: "admin" | "user" | "read_only";
  [more: string]: unknown;
}

/** Statements inside one transaction. */
export interface Session {
  /**
   * Runs one statement; `$1`, `$2` … stand for `values`. Without `values` the text may hold several statements, and the
   * rows are those of the last that gives any. In rows `int8` is a number where it is safe and else a bigint,
   * `numeric` text, `timestamptz` ISO text in UTC to the microsecond, `json` parsed and `bytea` a Uint8Array; what
   * JavaScript has no type for is Postgres' text.
   *
   * @throws {DatabaseError} with Postgres' own code; the transaction is over then.
   */
  query<Row extends object>(text: string, values?: readonly Value[]): Promise<Row[]>;
}

/** What a {@linkcode Database.listen} may be told beside its channel. */
export interface ListenOptions {
  /** Called when notifications may have been missed, since the connection was lost: look at the tables again. */
  onGap?: () => void;
}

/** A Postgres, embedded or of its own, that asks row level security about everything. */
export interface Database extends AsyncDisposable {
  /**
   * Runs `work` in one transaction as `claims.role` with the claims. It is committed, to the disk, when the promise
   * resolves, and rolled back when `work` throws. `work` runs again when Postgres could not serialise it, so that it
   * may do nothing but query.
   *
   * @throws {DatabaseError} that a statement or the commit threw, also where `work` caught it, since nothing of the
   *   transaction is kept then; also for a deadline or a lost connection. {@linkcode toDomainError} knows what it means.
   */
  transaction<T>(claims: Claims, work: (session: Session) => Promise<T>): Promise<T>;
  /** The same outside of all claims, as the owner of everything: for migrations, maintenance and backups alone. */
  asOwner<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Calls `onNotify` for every `notify` on `channel` from now on, in order, until disposed of. It connects again by
   * itself and then calls `onGap`.
   *
   * @throws {DatabaseError} when it cannot listen in the first place.
   */
  listen(channel: string, onNotify: (payload: string) => void, options?: ListenOptions): Promise<AsyncDisposable>;
}

/** What a {@linkcode DatabaseError} carries beside its message. */
export interface DatabaseErrorOptions {
  sqlState: string;
  constraint?: string | null;
  detail?: string | null;
  cause?: unknown;
}

/** A failure as Postgres names it, the same from either adapter. Its message may quote data: it is for the log. */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  /** Five characters: https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlState: string;
  /** The constraint that was violated, or null. */
  readonly constraint: string | null;
  readonly detail: string | null;

  constructor(message: string, { sqlState, constraint = null, detail = null, cause }: DatabaseErrorOptions) {
    super(message, { cause });
    this.sqlState = sqlState;
    this.constraint = constraint;
    this.detail = detail;
  }
}

/** Conditions that are nobody's mistake and have a name in this project; a class of two characters stands for all of it. */
const CONDITIONS: Record<string, [ErrorCode, string]> = {
  "22021": ["invalid_request", "The text holds a character that cannot be stored, such as NUL"],
  "22P05": ["invalid_request", "The text holds a character that cannot be stored, such as NUL"],
  "08": ["database_unavailable", "The database cannot be reached; try again"],
  "40": ["database_unavailable", "The database had too many changes to the same rows at once; try again"],
  "42501": ["forbidden", "This account may not do that"],
  "53": ["database_unavailable", "The database has no room for more work; try again"],
  "53100": ["disk_full", "The disk that holds the database is full"],
  "55P03": ["database_unavailable", "The database is busy with the same rows; try again"],
  "57": ["database_unavailable", "The database is going away; try again"],
  "57014": ["database_unavailable", "The database took too long for this; try again"],
};

/**
 * What a failure of the database means to whoever asked. A procedure that refuses raises `errcode = 'P0001'` with an
 * {@linkcode ErrorCode} as its message and the sentence for people as its detail. What has no meaning to them becomes an
 * `internal_error` with the failure as its cause.
 */
export function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof DatabaseError) {
    const { sqlState, message, detail } = error;
    const raised = sqlState === "P0001" ? ERROR_CODES.find((code) => code === message) : undefined;
    if (raised !== undefined) return new DomainError(raised, detail ?? raised, { cause: error });
    const condition = CONDITIONS[sqlState] ?? CONDITIONS[sqlState.slice(0, 2)];
    if (condition !== undefined) return new DomainError(...condition, { cause: error });
  }
  return new DomainError("internal_error", "The database did not do what Rookery asked of it", { cause: error });
}
