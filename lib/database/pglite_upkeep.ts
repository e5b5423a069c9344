/**
 * What a Postgres server does beside its sessions and the embedded one has nobody for: `vacuum` and `analyze` of tables
 * that changed, and a checkpoint when the write-ahead log has grown.
 */
import type { Logger } from "../log.ts";
import { quoteName } from "./values.ts";

/** A write-ahead log of this size takes seconds to recover from; a checkpoint makes it small again. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;

/** Autovacuum's own thresholds: https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM */
const TABLES_THAT_NEED_IT = `
  select s.schemaname as schema, s.relname as name
  from pg_stat_user_tables s join pg_class c on c.oid = s.relid
  where s.n_dead_tup > 50 + 0.2 * greatest(c.reltuples, 0)
    or s.n_ins_since_vacuum > 1000 + 0.2 * greatest(c.reltuples, 0)
    or s.n_mod_since_analyze > 50 + 0.1 * greatest(c.reltuples, 0)
    or age(c.relfrozenxid) > 100000000
  order by s.n_dead_tup desc`;

/** Upkeep that goes on until it is ended. */
export interface Housekeeping {
  end(): void;
}

/** What {@linkcode keepHouse} works with. */
export interface HousekeepingOptions {
  /** Runs one statement outside of a transaction, when no transaction is open; others may come between two calls. */
  run: (text: string) => Promise<object[]>;
  everyMs: number;
  log: Logger;
}

/** Looks every `everyMs` for what needs to be done, and does it. A failure is logged and waits for the next time. */
export function keepHouse({ run, everyMs, log }: HousekeepingOptions): Housekeeping {
  let isBusy = false;
  const timer = setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    try {
      const done = await doUpkeep(run);
      if (done.tables > 0 || done.hadCheckpoint) log.debug("database_upkeep", { ...done });
    } catch (error) {
      log.warn("database_upkeep_failed", { error });
    } finally {
      isBusy = false;
    }
  }, everyMs);
  Deno.unrefTimer(timer);
  return { end: () => clearInterval(timer) };
}

/** Does what there is to do, in steps that let others in between; returns what it was. */
export async function doUpkeep(
  run: HousekeepingOptions["run"],
): Promise<{ tables: number; hadCheckpoint: boolean }> {
  const tables = await run(TABLES_THAT_NEED_IT) as { schema: string; name: string }[];
  for (const { schema, name } of tables) await run(`vacuum (analyze) ${quoteName(schema)}.${quoteName(name)}`);
  const [wal] = await run("select sum(size)::float8 as bytes from pg_ls_waldir()") as { bytes: number }[];
  const hadCheckpoint = (wal?.bytes ?? 0) > WAL_BYTES_MAX;
  if (hadCheckpoint) await run("checkpoint");
  return { tables: tables.length, hadCheckpoint };
}
