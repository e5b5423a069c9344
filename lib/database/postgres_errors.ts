import { DatabaseError } from "./database.ts";

/** How the driver and the system call a connection that is not there, or is not there any more. */
const CONNECTION_CODE = /^(CONNECT_TIMEOUT|CONNECTION_\w+|E[A-Z]{3,})$/;

/** Whether an error, of the driver or made from one of the driver, says that the connection is lost. */
export function isConnectionError(error: unknown): boolean {
  if (error instanceof DatabaseError) return error.sqlState.startsWith("08");
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name !== "PostgresError" && typeof code === "string" && CONNECTION_CODE.test(code);
}

/** Makes of an error of the driver what the port promises; what it does not know it leaves as it is. */
export function toDatabaseError(error: unknown): unknown {
  if (error instanceof DatabaseError || !(error instanceof Error)) return error;
  const { message, code, constraint_name, detail } = error as Error & Record<string, string | undefined>;
  if (error.name === "PostgresError") {
    const parts = { sqlState: code ?? "XX000", constraint: constraint_name ?? null, detail: detail ?? null };
    return new DatabaseError(message, { ...parts, cause: error });
  }
  if (!isConnectionError(error)) return error;
  const sqlState = code === "CONNECTION_ENDED" ? "57P01" : "08006";
  return new DatabaseError(`The connection to the database is lost: ${message || code}`, { sqlState, cause: error });
}
