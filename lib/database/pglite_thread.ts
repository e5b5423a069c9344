import { DatabaseError, type Value } from "./database.ts";
import type { PglitePlace, PgliteRefusal, PgliteReply, PgliteRequest } from "./pglite_protocol.ts";

/** A request without its number. */
type Question = PgliteRequest extends infer Request ? Request extends PgliteRequest ? Omit<Request, "id"> : never
  : never;

/** How long a database may take to open, with the recovery from a crash in it, or to close. */
const OPEN_MS = 120_000;

/** How much later than the thread itself its owner gives up, in milliseconds: then the disk does not answer. */
const GRACE_MS = 5_000;

/** Starts the thread of an embedded database. */
export function createPgliteWorker(): Worker {
  return new Worker(new URL("./pglite_worker.ts", import.meta.url), { type: "module" });
}

/** How a thread is started, and what it tells without being asked. */
export interface ThreadOptions {
  createWorker: () => Worker;
  onNotify: (channel: string, payload: string) => void;
  /** Called once when the thread died or was ended past a deadline; not when it was closed. */
  onLost: (reason: DatabaseError) => void;
}

/** The thread of an embedded database: questions to it and its answers. When it dies, all that are open fail. */
export class PgliteThread {
  readonly #open = new Map<number, PromiseWithResolvers<PgliteReply>>();
  readonly #worker: Worker;
  #asked = 0;
  #ended: DatabaseError | null = null;

  private constructor(private readonly options: ThreadOptions) {
    this.#worker = options.createWorker();
    this.#worker.onmessage = ({ data }: MessageEvent<PgliteReply>) => this.#take(data);
    this.#worker.onerror = (event) => {
      // Without this the failure of a thread would be one of the whole process.
      event.preventDefault();
      this.#lose(new DatabaseError(`The thread of the database died: ${event.message}`, { sqlState: "57P02" }));
    };
  }

  /**
   * Starts a thread with the database in it.
   *
   * @throws {DatabaseError} when it does not open.
   */
  static async open(place: PglitePlace, options: ThreadOptions): Promise<PgliteThread> {
    const thread = new PgliteThread(options);
    try {
      await thread.#ask({ type: "open", place }, OPEN_MS);
      return thread;
    } catch (error) {
      thread.#end(closedError());
      throw error;
    }
  }

  /** Whether it can be asked no more. */
  get hasEnded(): boolean {
    return this.#ended !== null;
  }

  /**
   * Runs one statement, or several without `values`; past `deadlineMs` the thread is lost, since nothing else stops it.
   *
   * @throws {DatabaseError} of the statement; 57014 past the deadline; 57P02 when the thread died.
   */
  async query(text: string, values: readonly Value[] | null, deadlineMs: number): Promise<object[]> {
    const reply = await this.#ask({ type: "query", text, values, deadlineMs }, deadlineMs + GRACE_MS);
    return reply.type === "done" ? reply.rows : [];
  }

  /** All of the database as an archive that another can begin with. */
  async dump(): Promise<Uint8Array<ArrayBuffer>> {
    const reply = await this.#ask({ type: "dump" }, OPEN_MS);
    if (reply.type !== "dumped") throw new TypeError(`The thread answers a dump with "${reply.type}"`);
    return reply.archive;
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    try {
      await this.query("checkpoint", null, OPEN_MS);
      await this.#ask({ type: "close" }, OPEN_MS);
    } finally {
      this.#end(closedError());
    }
  }

  async #ask(question: Question, deadlineMs: number): Promise<PgliteReply> {
    if (this.#ended !== null) throw this.#ended;
    const call = Promise.withResolvers<PgliteReply>();
    const id = this.#asked++;
    this.#open.set(id, call);
    this.#worker.postMessage({ ...question, id });
    const timer = setTimeout(() => {
      this.#lose(new DatabaseError(`The database did not answer within ${deadlineMs} ms`, { sqlState: "57014" }));
    }, deadlineMs);
    try {
      return await call.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #take(reply: PgliteReply): void {
    if (reply.type === "notified") return this.options.onNotify(reply.channel, reply.payload);
    const call = this.#open.get(reply.id);
    this.#open.delete(reply.id);
    if (reply.type !== "refused") return call?.resolve(reply);
    const error = toDatabaseError(reply.error);
    call?.reject(error);
    if (reply.error.isFatal) this.#lose(error);
  }

  #lose(reason: DatabaseError): void {
    if (this.#ended !== null) return;
    this.#end(reason);
    this.options.onLost(reason);
  }

  #end(reason: DatabaseError): void {
    this.#ended ??= reason;
    this.#worker.terminate();
    for (const call of this.#open.values()) call.reject(reason);
    this.#open.clear();
  }
}

function closedError(): DatabaseError {
  return new DatabaseError("The database is closed", { sqlState: "57P01" });
}

/** An error of the thread itself, such as a WebAssembly trap, is one that Postgres would call internal. */
function toDatabaseError({ message, sqlState, constraint, detail }: PgliteRefusal): DatabaseError {
  return new DatabaseError(message, { sqlState: sqlState ?? "XX000", constraint, detail });
}
