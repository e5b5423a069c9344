import type { Context } from "hono";
import { ANONYMOUS, type Credentials, type Principal, type Principals } from "../../lib/accounts/principal.ts";
import { readBearer } from "../../lib/bearer.ts";
import { DomainError } from "../../lib/errors.ts";
import { readCookie } from "./cookies.ts";
import type { FunctionEnv } from "./function_env.ts";
import type { Visitor } from "./ingress.ts";

/**
 * Tells who sends a request. A cookie counts where no `Authorization` is.
 *
 * @throws {DomainError} what {@linkcode Principals.resolve} throws.
 */
export async function authenticate(c: Context<FunctionEnv>, principals: Principals): Promise<Principal> {
  return await principals.resolve(readCredentials(c));
}

/** The same where nothing has to be shown: who shows nothing, or what does not count any more, is anonymous. */
export async function authenticateIfAble(c: Context<FunctionEnv>, principals: Principals): Promise<Principal> {
  const credentials = readCredentials(c);
  if (credentials.bearer === null && credentials.cookie === null) return ANONYMOUS;
  try {
    return await principals.resolve({ ...credentials, isLocal: false });
  } catch (error) {
    if (error instanceof DomainError && error.code !== "database_unavailable") return ANONYMOUS;
    throw error;
  }
}

function readCredentials(c: Context<FunctionEnv>): Credentials {
  const bearer = readBearer(c.req.header("authorization") ?? null);
  const cookie = bearer === null ? readCookie(c, "rookery_session") : null;
  // Who is logged in at this machine does not become its owner by losing half of the session.
  const isLoggedIn = readCookie(c, "rookery_refresh") !== null;
  return { bearer, cookie, isLocal: c.get("visitor").isLocal && !isLoggedIn };
}

/**
 * Refuses what lets into accounts where others can read along.
 *
 * @throws {DomainError} `forbidden` that says what the operator can do.
 */
export function requirePrivacy({ isPrivate }: Visitor): void {
  if (isPrivate) return;
  throw new DomainError(
    "forbidden",
    "Accounts are not used over plain http from another machine, where others can read along: set TLS_CERT and " +
      "TLS_KEY, or put a proxy that speaks TLS in front and name it in PUBLIC_URL and TRUSTED_PROXIES; in a network " +
      "that you trust, ROOKERY_ALLOW_HTTP=on allows it",
  );
}

/**
 * Lets pass who may change what models there are.
 *
 * @throws {DomainError} `forbidden` for anybody but an administrator.
 */
export function requireAdministrator({ scopes }: Principal): void {
  if (scopes.includes("admin")) return;
  throw new DomainError("forbidden", "Only an administrator may change what models there are");
}
