import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import { readBearer } from "../../lib/bearer.ts";
import { DomainError } from "../../lib/errors.ts";
import type { FunctionEnv } from "./function_env.ts";

/** The cookies of a session: its access token, its refresh token, and what a sign-in elsewhere has to bring back. */
export type CookieName = "rookery_session" | "rookery_refresh" | "rookery_oauth";

const NAMES: readonly CookieName[] = ["rookery_session", "rookery_refresh", "rookery_oauth"];

/** Reads a cookie of Rookery's, or null. */
export function readCookie(c: Context<FunctionEnv>, name: CookieName): string | null {
  return getCookie(c, nameCookie(c, name)) ?? null;
}

/**
 * Sets a cookie that no script can read and that other sites' requests do not carry. `crossSite` lets them, for what
 * another site's form has to bring back; that needs TLS.
 */
export function writeCookie(
  c: Context<FunctionEnv>,
  name: CookieName,
  { value, maxAgeSeconds, crossSite = false }: { value: string; maxAgeSeconds: number; crossSite?: boolean },
): void {
  const { isSecure } = c.get("visitor");
  const options: CookieOptions = {
    path: "/",
    httpOnly: true,
    secure: isSecure,
    sameSite: crossSite && isSecure ? "None" : "Lax",
    maxAge: maxAgeSeconds,
  };
  setCookie(c, nameCookie(c, name), value, options);
}

/** Makes the client forget a cookie. */
export function removeCookie(c: Context<FunctionEnv>, name: CookieName): void {
  writeCookie(c, name, { value: "", maxAgeSeconds: 0 });
}

/** `__Host-` makes browsers take the cookie over TLS alone and from no other host of the domain (RFC 6265bis). */
function nameCookie(c: Context<FunctionEnv>, name: CookieName): string {
  return c.get("visitor").isSecure ? `__Host-${name}` : name;
}

/** Methods that change nothing (RFC 9110, section 9.2.1). */
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Refuses what another site makes a browser send along with its cookies (CSRF): a request that changes something and
 * brings a cookie must come from a page of Rookery's own, by the Origin header that every browser sends with it.
 *
 * @throws {DomainError} `forbidden`.
 */
export function requireOwnOrigin(c: Context<FunctionEnv>): void {
  if (SAFE_METHODS.has(c.req.method) || readBearer(c.req.header("authorization") ?? null) !== null) return;
  if (!NAMES.some((name) => readCookie(c, name) !== null)) return;
  const origin = c.req.header("origin");
  if (origin !== undefined && origin.toLowerCase() === c.get("visitor").origin) return;
  throw new DomainError(
    "forbidden",
    "A request with a cookie must come from Rookery's own page: send its address as Origin, or use Authorization",
  );
}
