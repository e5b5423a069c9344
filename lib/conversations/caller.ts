import type { Claims, Database, Session } from "../database/database.ts";
import { toDomainError } from "../database/database.ts";
import { DomainError } from "../errors.ts";

/** The account on whose behalf something is done with conversations, and where they are kept. */
export interface Caller {
  readonly database: Database;
  /** Row level security decides by them. */
  readonly claims: Claims & { sub: string };
}

/**
 * Does `work` in one transaction of the caller's.
 *
 * @throws {DomainError} what the database refuses, and `database_unavailable`.
 */
export async function asCaller<Result>(
  { database, claims }: Caller,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  try {
    return await database.transaction(claims, work);
  } catch (error) {
    throw toDomainError(error);
  }
}

/** The one row that a statement has to have. */
export function takeRow<Row>(rows: readonly Row[], what: string): Row {
  const [row] = rows;
  if (row === undefined) throw new DomainError("not_found", `There is no such ${what}`);
  return row;
}
