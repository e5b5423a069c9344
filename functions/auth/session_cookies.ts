import type { Context } from "hono";
import type { SessionTokens } from "../../lib/contracts/account.ts";
import { type Client, type OpenSession, SESSION_SECONDS } from "../../lib/accounts/sessions.ts";
import { readCookie, removeCookie, writeCookie } from "../_shared/cookies.ts";
import type { FunctionEnv } from "../_shared/create_function.ts";

/**
 * Gives the client its session: in cookies for browsers, in the body for other programs. The access token's cookie
 * outlives the token, so that who comes late is asked to refresh and not taken for nobody.
 */
export function giveSession(c: Context<FunctionEnv>, { tokens, refreshToken }: OpenSession): SessionTokens {
  writeCookie(c, "rookery_session", { value: tokens.accessToken, maxAgeSeconds: SESSION_SECONDS });
  writeCookie(c, "rookery_refresh", { value: refreshToken, maxAgeSeconds: SESSION_SECONDS });
  c.header("cache-control", "no-store");
  return tokens;
}

/** Makes the client forget its session. */
export function takeSession(c: Context<FunctionEnv>): void {
  for (const name of ["rookery_session", "rookery_refresh"] as const) {
    if (readCookie(c, name) !== null) removeCookie(c, name);
  }
}

/** What is known of the program that asks. */
export function describeClient(c: Context<FunctionEnv>): Client {
  return { address: c.get("visitor").address, userAgent: c.req.header("user-agent") ?? null };
}
