/** What is cleared away by itself: what has ended, and what models keep of those who are gone. */
import { type Database, toDomainError } from "../database/database.ts";
import type { Inference } from "../inference/inference.ts";
import type { Logger } from "../log.ts";
import { eraseStrangers } from "./strangers.ts";

/** Pause between two rounds, in milliseconds; the first one waits for it as well. */
const EVERY_MS = 60 * 60 * 1000;

/** How long a deleted conversation can be brought back. */
const DELETED_FOR = "30 days";

/** Most conversations that are erased in one transaction, so that nobody waits long for it. */
const PURGED_AT_ONCE_MAX = 100;

/** What {@linkcode startUpkeep} works on. */
export interface UpkeepOptions {
  database: Database;
  /** Keeps states of conversations, which go with their account. */
  inference: Pick<Inference, "forget">;
  log: Logger;
  /** Where workers keep states on disk, and the owners that are no accounts; null leaves the disk alone. */
  kept?: { kvDir: string; others: readonly string[] } | null;
  /** Default: an hour. */
  everyMs?: number;
}

/**
 * Clears away every hour what has ended, and at once what models keep of an account that was deleted, by whichever runtime
 * on the same database. What was left on disk of accounts that were deleted while nobody listened goes at the start, and
 * every hour.
 *
 * @throws {DatabaseError} when the database cannot be listened to.
 */
export async function startUpkeep(options: UpkeepOptions): Promise<AsyncDisposable> {
  const { database, log, everyMs = EVERY_MS } = options;
  let work = Promise.resolve();
  const queue = (name: string, task: () => Promise<void>) => {
    work = work.then(task).catch((error) => log.warn("upkeep_failed", { task: name, error: toDomainError(error) }));
  };
  const listening = await database.listen("rookery_accounts", (payload) => {
    const userId = readUser(payload);
    if (userId !== null) queue("forget", () => forgetIfDeleted(options, userId));
  });
  const sweep = () => queue("sweep", () => eraseLeftovers(options));
  sweep();
  const timer = setInterval(() => {
    queue("clear", () => clearAway(options));
    sweep();
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await listening[Symbol.asyncDispose]();
      await work;
    },
  };
}

/** Clears away what has ended, in steps that let others in between. */
export async function clearAway({ database, inference, log }: UpkeepOptions): Promise<void> {
  await database.asOwner((session) => session.query("select app.purge_expired()"));
  let chunks = 0;
  for (let pruned = 1; pruned > 0; chunks += pruned) {
    const [row] = await database.asOwner((session) => {
      return session.query<{ pruned: number }>("select app.prune_chunks() as pruned");
    });
    pruned = row!.pruned;
  }
  let conversations = 0;
  for (let purged = PURGED_AT_ONCE_MAX; purged === PURGED_AT_ONCE_MAX; conversations += purged) {
    const erased = await purgeDeleted(database);
    purged = erased.conversations;
    // States are kept by account: the live conversations of these are computed once more.
    for (const author of erased.authors) await inference.forget(author);
  }
  if (chunks + conversations > 0) log.info("cleared_away", { chunks, conversations });
}

async function eraseLeftovers({ database, kept = null, log }: UpkeepOptions): Promise<void> {
  const owners = kept === null ? 0 : await eraseStrangers({ ...kept, database });
  if (owners > 0) log.info("states_of_strangers_erased", { owners });
}

/** Erases deleted conversations, and tells whose words were in them. */
async function purgeDeleted(database: Database): Promise<{ conversations: number; authors: string[] }> {
  return await database.asOwner(async (session) => {
    const authors = await session.query<{ id: string }>(
      `select distinct message.author_id as id
      from public.conversations conversation
      join public.messages message on message.conversation_id = conversation.id
      where conversation.deleted_at < now() - $1::interval and message.author_id is not null`,
      [DELETED_FOR],
    );
    const values = [DELETED_FOR, PURGED_AT_ONCE_MAX];
    const purged = await session.query("select app.purge_deleted($1::interval, $2::integer)", values);
    return { conversations: purged.length, authors: authors.map(({ id }) => id) };
  });
}

async function forgetIfDeleted({ database, inference }: UpkeepOptions, userId: string): Promise<void> {
  const accounts = await database.transaction({ sub: null, role: "anon" }, (session) => {
    return session.query("select * from app.find_account($1)", [userId]);
  });
  if (accounts.length === 0) await inference.forget(userId);
}

function readUser(payload: string): string | null {
  try {
    const { user } = JSON.parse(payload) as { user?: unknown };
    return typeof user === "string" ? user : null;
  } catch {
    return null;
  }
}
