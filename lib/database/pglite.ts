import { dirname } from "node:path";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type Claims, type Database, DatabaseError, type ListenOptions, type Session } from "./database.ts";
import { Listeners } from "./listeners.ts";
import { createPgliteWorker, PgliteThread } from "./pglite_thread.ts";
import { type Housekeeping, keepHouse } from "./pglite_upkeep.ts";
import { retrySerialization, TransactionSession, writeClaims } from "./transactions.ts";
import { Turns } from "./turns.ts";
import { quoteName } from "./values.ts";

/** Most transactions that wait for the one session that there is. */
const WAITING_MAX = 1_000;

/** How long one of them may wait, in milliseconds. */
const WAIT_MS = 30_000;

/** How {@linkcode openPglite} opens a database. */
export interface PgliteOptions {
  /** Folder of the data; null keeps everything in memory, for tests. A lock file is made beside it. */
  folder: string | null;
  /** A dump that a new folder is made from; null begins with an empty database. */
  template?: Uint8Array<ArrayBuffer> | null;
  /** How long a statement may take, in milliseconds; past it the thread is ended and the database opened again. */
  statementMs?: number;
  /** How long a transaction may take that is under claims, in milliseconds. */
  transactionMs?: number;
  /** How long the owner's statements and transactions may take, in milliseconds. */
  ownerMs?: number;
  /** Pause between looks at what needs `vacuum` or a checkpoint, in milliseconds; null leaves them out. */
  upkeepMs?: number | null;
  /** Starts the thread that holds the database; tests start another. */
  createWorker?: () => Worker;
  log: Logger;
}

type Limits = Required<Pick<PgliteOptions, "statementMs" | "transactionMs" | "ownerMs">>;

/**
 * Opens the embedded database. What it has committed is on the disk. Its one session takes transactions one by one.
 *
 * @throws {DomainError} `already_running` when another process has it open.
 * @throws {DatabaseError} when it does not open.
 */
export async function openPglite(options: PgliteOptions): Promise<PgliteDatabase> {
  const lock = options.folder === null ? null : await lockFolder(options.folder);
  const database = new PgliteDatabase(options, lock);
  try {
    await database.asOwner((session) => session.query("select 1"));
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}

async function lockFolder(folder: string): Promise<Deno.FsFile> {
  await Deno.mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  const file = await Deno.open(`${folder}.lock`, { read: true, write: true, create: true, mode: 0o600 });
  if (await file.tryLock(true)) return file;
  file.close();
  // PGlite itself would let both in, and each would overwrite what the other wrote.
  throw new DomainError("already_running", `Cannot open the database ${folder}: another process has it open`);
}

/** The embedded adapter of {@linkcode Database}. */
export class PgliteDatabase implements Database {
  readonly #turns = new Turns({ waitingMax: WAITING_MAX, waitMs: WAIT_MS });
  readonly #listeners = new Listeners();
  readonly #limits: Limits;
  readonly #upkeep: Housekeeping | null;
  #thread: PgliteThread | null = null;

  /** Use {@linkcode openPglite}. */
  constructor(private readonly options: PgliteOptions, private readonly lock: Deno.FsFile | null) {
    const { statementMs = 30_000, transactionMs = 60_000, ownerMs = 600_000, upkeepMs = 300_000, log } = options;
    this.#limits = { statementMs, transactionMs, ownerMs };
    const run = (text: string) => this.#withThread((thread) => thread.query(text, null, ownerMs));
    this.#upkeep = upkeepMs === null ? null : keepHouse({ run, everyMs: upkeepMs, log });
  }

  async transaction<T>(claims: Claims, work: (session: Session) => Promise<T>): Promise<T> {
    const { statementMs, transactionMs } = this.#limits;
    const opening = `begin; ${writeClaims(claims)}`;
    return await this.#transact(work, { opening, statementMs, transactionMs });
  }

  asOwner<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { ownerMs } = this.#limits;
    return this.#transact(work, { opening: "begin", statementMs: ownerMs, transactionMs: ownerMs });
  }

  async listen(
    channel: string,
    onNotify: (payload: string) => void,
    options: ListenOptions = {},
  ): Promise<AsyncDisposable> {
    const { statementMs } = this.#limits;
    const remove = this.#listeners.add(channel, onNotify, options);
    const run = (statement: string) =>
      this.#withThread((thread) => thread.query(`${statement} ${quoteName(channel)}`, null, statementMs));
    try {
      await run("listen");
    } catch (error) {
      remove();
      throw error;
    }
    return {
      [Symbol.asyncDispose]: async () => {
        // A database that is closed or gone forgets who listened.
        if (remove()) await run("unlisten").catch(() => {});
      },
    };
  }

  /** All of it as an archive that {@linkcode PgliteOptions.template} takes. */
  dump(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#withThread((thread) => thread.dump());
  }

  /** Writes all that changed into its place, which makes the next start quick. */
  async checkpoint(): Promise<void> {
    await this.#withThread((thread) => thread.query("checkpoint", null, this.#limits.ownerMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#upkeep?.end();
    await this.#turns.close(async () => {
      try {
        if (this.#thread !== null && !this.#thread.hasEnded) await this.#thread.close();
      } finally {
        this.lock?.close();
      }
    });
  }

  #transact<T>(
    work: (session: Session) => Promise<T>,
    { opening, statementMs, transactionMs }: Omit<Limits, "ownerMs"> & { opening: string },
  ): Promise<T> {
    return retrySerialization(() =>
      this.#withThread(async (thread) => {
        const session = new TransactionSession((text, values) => thread.query(text, values, statementMs));
        try {
          await thread.query(opening, null, statementMs);
          const result = await session.do(work, { transactionMs });
          await thread.query("commit", null, statementMs);
          return result;
        } catch (error) {
          // A thread that is gone took its transaction along.
          if (!thread.hasEnded) await thread.query("rollback", null, statementMs);
          throw error;
        }
      })
    );
  }

  /** Has the thread for itself; one that was lost is opened again first. */
  #withThread<T>(work: (thread: PgliteThread) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      if (this.#thread === null || this.#thread.hasEnded) this.#thread = await this.#open();
      return await work(this.#thread);
    });
  }

  async #open(): Promise<PgliteThread> {
    const isFirst = this.#thread === null;
    const { folder, template = null, createWorker = createPgliteWorker, log } = this.options;
    if (folder === null && !isFirst) throw new DatabaseError("The database in memory is gone", { sqlState: "57P02" });
    const thread = await PgliteThread.open({ folder, template }, {
      createWorker,
      onNotify: (channel, payload) => this.#listeners.notify(channel, payload),
      onLost: (error) => {
        log.error("database_lost", { error });
        // Whoever listens shall not wait for the next transaction to hear again.
        this.#withThread(() => Promise.resolve()).catch((error) => log.error("database_not_opened", { error }));
      },
    });
    const statements = this.#listeners.channels.map((channel) => `listen ${quoteName(channel)}`);
    if (statements.length > 0) await thread.query(statements.join("; "), null, this.#limits.statementMs);
    if (!isFirst) this.#listeners.tellGap();
    return thread;
  }
}
