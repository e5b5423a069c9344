import type { Context } from "hono";
import { requireScope, toClaims } from "../../lib/accounts/principal.ts";
import type { Caller } from "../../lib/conversations/caller.ts";
import type { Database } from "../../lib/database/database.ts";
import { DomainError } from "../../lib/errors.ts";
import type { FunctionEnv } from "../_shared/create_function.ts";

/**
 * The account that asks.
 *
 * @throws {DomainError} `unauthorized` for whoever has none, though it may sit at the machine.
 */
export function requireCaller(c: Context<FunctionEnv>, database: Database): Caller {
  const principal = c.get("principal");
  const { userId: sub } = principal;
  if (sub === null) {
    throw new DomainError("unauthorized", "Conversations belong to accounts: log in, or use a key of an account");
  }
  return { database, claims: { ...toClaims(principal), sub } };
}

/** Lets pass who may also have a model answer. */
export function requireAnswers(c: Context<FunctionEnv>): void {
  requireScope(c.get("principal"), ["inference"]);
}
