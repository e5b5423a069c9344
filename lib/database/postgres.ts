import postgres from "postgres";
import type { Logger } from "../log.ts";
import { type Claims, type Database, DatabaseError, type ListenOptions, type Session, type Value } from "./database.ts";
import { PostgresEar } from "./postgres_ear.ts";
import { isConnectionError, toDatabaseError } from "./postgres_errors.ts";
import { retrySerialization, TransactionSession, writeClaims } from "./transactions.ts";
import { COLUMN_READERS, JSON_OIDS, Parameter } from "./values.ts";

/** How {@linkcode openPostgres} reaches a database. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  url: string;
  /** Connections at most, beside the one that listens. */
  connectionsMax?: number;
  /** How long a statement may take, in milliseconds: Postgres' own `statement_timeout`. */
  statementMs?: number;
  /** How long a transaction may take that is under claims, in milliseconds. */
  transactionMs?: number;
  /** How long the owner's statements and transactions may take, in milliseconds. */
  ownerMs?: number;
  /** How long a transaction may wait for a connection, in milliseconds. */
  waitMs?: number;
  log: Logger;
}

/** How long running transactions may take when the database is closed, in seconds, as the driver counts. */
const CLOSE_SECONDS = 5;

/** How long the network may be silent beyond every deadline of Postgres, in milliseconds. */
const SILENCE_MS = 10_000;

type Limits = Required<Omit<PostgresOptions, "url" | "log">>;

const DEFAULTS: Limits = {
  connectionsMax: 10,
  statementMs: 30_000,
  transactionMs: 60_000,
  ownerMs: 600_000,
  waitMs: 30_000,
};

/** Both drivers read and write alike. */
const TYPES = Object.fromEntries([...COLUMN_READERS].map(([oid, parse]) => {
  const serialize = (value: Parameter) => JSON_OIDS.includes(oid) ? value.toJsonText() : value.toString();
  return [`type${oid}`, { to: oid, from: [oid], serialize, parse }];
}));

/**
 * Connects to a Postgres server.
 *
 * @throws {DatabaseError} when it cannot be reached or refuses.
 */
export async function openPostgres(options: PostgresOptions): Promise<PostgresDatabase> {
  const database = new PostgresDatabase(options);
  try {
    await database.asOwner((session) => session.query("select 1"));
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

/** The adapter of {@linkcode Database} for a server. */
export class PostgresDatabase implements Database {
  readonly #limits: Limits;
  readonly #ear: PostgresEar;
  #pool: postgres.Sql;
  #hasClosed = false;

  /** Use {@linkcode openPostgres}. */
  constructor(private readonly options: PostgresOptions) {
    this.#limits = { ...DEFAULTS, ...options };
    this.#pool = this.#connect();
    this.#ear = new PostgresEar(options);
  }

  async transaction<T>(claims: Claims, work: (session: Session) => Promise<T>): Promise<T> {
    const { transactionMs } = this.#limits;
    const opening = writeClaims(claims);
    return await retrySerialization(() => this.#transact(work, { opening, transactionMs }));
  }

  asOwner<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { ownerMs } = this.#limits;
    const opening = `set local statement_timeout = ${ownerMs}; ` +
      `set local idle_in_transaction_session_timeout = ${ownerMs + SILENCE_MS}`;
    return retrySerialization(() => this.#transact(work, { opening, transactionMs: ownerMs }));
  }

  listen(
    channel: string,
    onNotify: (payload: string) => void,
    options: ListenOptions = {},
  ): Promise<AsyncDisposable> {
    return this.#ear.listen(channel, onNotify, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasClosed = true;
    await Promise.all([this.#ear[Symbol.asyncDispose](), this.#pool.end({ timeout: CLOSE_SECONDS })]);
  }

  #connect(): postgres.Sql {
    const { connectionsMax, statementMs, transactionMs } = this.#limits;
    const connection = {
      application_name: "rookery",
      TimeZone: "UTC",
      DateStyle: "ISO",
      standard_conforming_strings: "on",
      statement_timeout: statementMs,
      idle_in_transaction_session_timeout: transactionMs + SILENCE_MS,
    };
    const limits = { max: connectionsMax, connect_timeout: 10, idle_timeout: 300 };
    return postgres(this.options.url, { ...limits, connection, types: TYPES, fetch_types: false, onnotice: () => {} });
  }

  async #transact<T>(
    work: (session: Session) => Promise<T>,
    { opening, transactionMs }: { opening: string; transactionMs: number },
  ): Promise<T> {
    if (this.#hasClosed) throw new DatabaseError("The database is closed", { sqlState: "57P01" });
    const pool = this.#pool;
    const { waitMs, statementMs } = this.#limits;
    const waiting = new Deadline(waitMs, () => {
      return new DatabaseError(`There was no connection within ${waitMs} ms`, { sqlState: "53300" });
    });
    const silence = new Deadline(waitMs + transactionMs + statementMs + SILENCE_MS, () => {
      return new DatabaseError("The database does not answer", { sqlState: "08006" });
    });
    let session: TransactionSession | null = null;
    try {
      const done = pool.begin((connection) => {
        waiting.stop();
        if (waiting.hasPassed) throw new Error("Nobody waits for this transaction any more");
        // It is not waited for: the first statement travels right behind it.
        connection.unsafe(opening).execute();
        session = new TransactionSession((text, values) => runStatement(connection, text, values));
        return runWork(session, work, transactionMs);
      });
      return await Promise.race([done as Promise<T>, waiting.passed, silence.passed]);
    } catch (cause) {
      const error = toDatabaseError(cause);
      if (isConnectionError(error)) this.#renew(pool);
      // TypeScript does not see that the callback gives it a value.
      if (error instanceof DatabaseError) (session as TransactionSession | null)?.fail(error);
      throw error;
    } finally {
      waiting.stop();
      silence.stop();
    }
  }

  /**
   * Takes new connections for everything that comes. The driver connects lost ones again, and lets a transaction that lost
   * its own speak into them: outside of a transaction, or in somebody else's.
   */
  #renew(pool: postgres.Sql): void {
    if (this.#pool !== pool || this.#hasClosed) return;
    this.options.log.warn("database_connection_lost");
    this.#pool = this.#connect();
    pool.end({ timeout: this.#limits.transactionMs / 1_000 }).catch(() => {});
  }
}

/**
 * Does `work`; after the loss of the connection it comes to nothing. The driver would roll back on a connection that may be
 * somebody else's by then; it rejects the whole transaction by itself, so that nothing waits for this promise.
 */
async function runWork<T>(
  session: TransactionSession,
  work: (session: Session) => Promise<T>,
  transactionMs: number,
): Promise<T> {
  try {
    return await session.do(work, { transactionMs });
  } catch (error) {
    if (isConnectionError(error)) return await new Promise<never>(() => {});
    throw error;
  }
}

async function runStatement(
  connection: postgres.TransactionSql,
  text: string,
  values: readonly Value[] | null,
): Promise<object[]> {
  try {
    if (values === null) {
      const result: postgres.RowList<postgres.Row[]> | postgres.RowList<postgres.Row[]>[] = await connection.unsafe(
        text,
      );
      // Of several statements that give rows there are several results, which alone have a command.
      return [..."command" in result ? result : result.at(-1) ?? []];
    }
    // As type 0 goes what the server shall tell the type of.
    const parameters = values.map((value) =>
      value === null ? null : connection.typed(new Parameter(value) as never, 0)
    );
    return [...await connection.unsafe(text, parameters, { prepare: true })];
  } catch (error) {
    throw toDatabaseError(error);
  }
}

/** A promise that rejects after a time, unless it is stopped. */
class Deadline {
  readonly passed: Promise<never>;
  hasPassed = false;
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(ms: number, createError: () => Error) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.passed = promise;
    // Whoever stops it in time never looks at it.
    promise.catch(() => {});
    this.#timer = setTimeout(() => {
      this.hasPassed = true;
      reject(createError());
    }, ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
