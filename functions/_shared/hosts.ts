import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { DomainError } from "../../lib/errors.ts";

/** For how long a browser may remember a preflight's answer, in seconds. */
const PREFLIGHT_SECONDS = 600;

const LOOPBACK_NAME = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/;

/**
 * Refuses requests for a host that is not Rookery's, by the Host header: a web page whose name was pointed at this
 * machine (DNS rebinding) sends its own name. Loopback names and `allowedHosts` pass, those with or without a port.
 */
export function checkHost(allowedHosts: readonly string[]): MiddlewareHandler {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  return async (c, next) => {
    const host = hostOf(c.req.raw);
    const name = host.replace(/:\d*$/, "");
    if (!LOOPBACK_NAME.test(name) && !allowed.has(name) && !allowed.has(host)) {
      throw new DomainError(
        "forbidden",
        `Rookery does not answer to the host name ${JSON.stringify(name)}; if it is this machine's, add it to ` +
          "ROOKERY_ALLOWED_HOSTS",
      );
    }
    await next();
  };
}

/** What is let through beside the list of {@linkcode checkOrigin}. */
interface OriginExceptions {
  /** The address that people type, whatever Host header a proxy sends. */
  publicUrl: string | null;
  /** Paths that another site's page posts to, as a sign-in there does. */
  formPaths: readonly string[];
}

/**
 * Refuses web pages of other origins, whatever the method: a simple POST needs no preflight, and what it starts would
 * run. Those in `allowedOrigins` (`*` for all) are answered as the Fetch standard's CORS protocol wants it.
 */
export function checkOrigin(
  allowedOrigins: readonly string[],
  { publicUrl, formPaths }: OriginExceptions,
): MiddlewareHandler[] {
  const allowed = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  const publicHost = publicUrl === null ? null : new URL(publicUrl).host;
  const isOwn = (origin: string, host: string) =>
    isSameOrigin(origin, host) || (publicHost !== null && isSameOrigin(origin, publicHost));
  const isAllowed = (origin: string) => allowed.has("*") || allowed.has(origin.toLowerCase());
  const refuse: MiddlewareHandler = async (c, next) => {
    const origin = c.req.header("origin");
    const isForm = c.req.method === "POST" && formPaths.includes(c.req.path);
    if (origin !== undefined && !isForm && !isAllowed(origin) && !isOwn(origin, hostOf(c.req.raw))) {
      throw new DomainError(
        "forbidden",
        `Web pages of the origin ${JSON.stringify(origin)} may not use Rookery; to allow them, add it to ` +
          "ROOKERY_ALLOWED_ORIGINS",
      );
    }
    await next();
  };
  const answer = cors({
    origin: (origin) => origin !== "" && isAllowed(origin) ? origin : null,
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposeHeaders: ["x-request-id", "retry-after"],
    maxAge: PREFLIGHT_SECONDS,
  });
  return [refuse, allowPrivateNetwork, answer];
}

/** A page from the internet may reach this machine only if the answer to its preflight says so, too. */
const allowPrivateNetwork: MiddlewareHandler = async (c, next) => {
  await next();
  const asked = c.req.header("access-control-request-private-network") === "true";
  if (asked && c.res.headers.has("access-control-allow-origin")) {
    c.res.headers.set("access-control-allow-private-network", "true");
  }
};

/** The host that a request is for, as its header says; HTTP/1.0 may leave that out. */
function hostOf(request: Request): string {
  const header = request.headers.get("host") ?? "";
  const host = header === "" && URL.canParse(request.url) ? new URL(request.url).host : header;
  return host.toLowerCase();
}

/** Compares hosts alone: behind a proxy that ends TLS a page's `https:` is an `http:` here. */
function isSameOrigin(origin: string, host: string): boolean {
  return /^https?:\/\//i.test(origin) && URL.canParse(origin) && new URL(origin).host === host;
}
