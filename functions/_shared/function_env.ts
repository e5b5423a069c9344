import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Access, Principal, Principals } from "../../lib/accounts/principal.ts";
import type { Logger } from "../../lib/log.ts";
import type { Ingress, Visitor } from "./ingress.ts";
import type { RequestReport } from "./request_report.ts";

/** What all functions of one Rookery share. */
export interface EdgeOptions {
  /** The operator's key, or null for none: what every request must carry where there are no accounts. */
  apiKey: string | null;
  /** Who resolves credentials. Default: the key alone, without accounts. */
  principals?: Principals;
  /** How requests get here. Default: from this machine alone. */
  ingress?: Ingress;
  /** Host names that Rookery answers to, beside those of loopback. */
  allowedHosts: readonly string[];
  /** Origins of web pages that may use it, beside its own. */
  allowedOrigins: readonly string[];
  log: Logger;
  /** Milliseconds of silence after which a stream sends a comment. Default 15,000. */
  keepaliveMs?: number;
}

/** What handlers find in their context. */
export interface FunctionEnv {
  /** What the server tells beside a request; nothing where a request does not come from a socket. */
  Bindings: { remoteAddr?: Deno.Addr };
  Variables: {
    requestId: string;
    /** Who asks, with what rights. */
    principal: Principal;
    /** Whose conversations and KV states it works on: {@linkcode Principal.owner}. */
    owner: string;
    /** Ends what a principal that lost its rights has under way. */
    access: Access;
    /** Where the request comes from. */
    visitor: Visitor;
    report: RequestReport;
    edge: EdgeOptions;
    /** Tells of a client that goes away, or may not stay. */
    client: { signal: AbortSignal };
  };
}

/** A function: a complete `fetch` that also describes its routes. */
export type App = OpenAPIHono<FunctionEnv>;
