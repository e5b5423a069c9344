import { type Claims, type Database, toDomainError, type Value } from "../database/database.ts";

/** The claims of somebody who has not logged in. */
const NOBODY: Claims = { sub: null, role: "anon" };

/** A procedure of the database and what it is called with. */
export interface Call {
  claims: Claims;
  /** With its schema, such as `app.list_sessions`. */
  procedure: `app.${string}`;
  values?: readonly Value[];
}

/**
 * Calls a procedure and returns its rows.
 *
 * @throws {DomainError} what the procedure refuses, or what keeps the database from answering.
 */
export async function callForRows<Row extends object>(
  database: Database,
  { claims, procedure, values = [] }: Call,
): Promise<Row[]> {
  const places = values.map((_, index) => `$${index + 1}`).join(", ");
  try {
    return await database.transaction(claims, (session) => {
      return session.query<Row>(`select * from ${procedure}(${places})`, values);
    });
  } catch (error) {
    throw toDomainError(error);
  }
}

/**
 * Calls a procedure that returns one value, or nothing (null).
 *
 * @throws {DomainError} as {@linkcode callForRows} does.
 */
export async function callForValue<Result>(database: Database, call: Call): Promise<Result> {
  const [row] = await callForRows<Record<string, Result>>(database, call);
  return Object.values(row!)[0]!;
}

/** The first row of a procedure that is called before anybody has logged in, or null. */
export async function callAsNobody<Row extends object>(
  database: Database,
  call: Omit<Call, "claims">,
): Promise<Row | null> {
  const [row] = await callForRows<Row>(database, { ...call, claims: NOBODY });
  return row ?? null;
}
