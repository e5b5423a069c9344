import type { Database, Session } from "./database.ts";
import { readDataVersion } from "./migrate.ts";

/** What a database is and how it is doing. */
export interface DatabaseDescription {
  /** Version of Postgres, such as `18.6`. */
  postgres: string;
  /** The last migration, or null before the first one. */
  version: string | null;
  sizeBytes: number;
  /** Size of the write-ahead log; null where the server does not tell it to this user. */
  walBytes: number | null;
  /** When a table was last vacuumed and analyzed, by whomever, in RFC 3339; null for never since the server started. */
  lastVacuumAt: string | null;
  lastAnalyzeAt: string | null;
}

const NUMBERS = `
  select split_part(current_setting('server_version'), ' ', 1) as postgres,
    pg_database_size(current_database()) as size,
    has_function_privilege('pg_ls_waldir()', 'execute') as tells_wal,
    (select max(greatest(last_vacuum, last_autovacuum)) from pg_stat_user_tables) as vacuum,
    (select max(greatest(last_analyze, last_autoanalyze)) from pg_stat_user_tables) as analyze`;

/**
 * Looks at a database as its owner.
 *
 * @throws {DatabaseError} when it cannot be reached.
 */
export async function describeDatabase(database: Database): Promise<DatabaseDescription> {
  return await database.asOwner(async (session) => {
    type Row = { postgres: string; size: number; tells_wal: boolean; vacuum: string | null; analyze: string | null };
    const [row] = await session.query<Row>(NUMBERS);
    const { postgres, size, tells_wal, vacuum, analyze } = row!;
    return {
      postgres,
      version: await readDataVersion(session),
      sizeBytes: size,
      walBytes: tells_wal ? await measureWal(session) : null,
      lastVacuumAt: vacuum,
      lastAnalyzeAt: analyze,
    };
  });
}

async function measureWal(session: Session): Promise<number> {
  const [row] = await session.query<{ bytes: number }>("select sum(size)::int8 as bytes from pg_ls_waldir()");
  return row!.bytes;
}
