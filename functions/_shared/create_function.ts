import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { getPath } from "hono/utils/url";
import { DomainError } from "../../lib/errors.ts";
import { type Logger, silentLogger } from "../../lib/log.ts";
import { dialectOf, toErrorResponse } from "./errors.ts";
import { checkHost, checkOrigin } from "./hosts.ts";
import { acceptJson } from "./json_body.ts";
import { createAuthenticate } from "./principal.ts";
import { RequestReport } from "./request_report.ts";
import { refuseInvalid } from "./validation.ts";

/** How often a stream that has nothing to say shows that it lives. Copilot gives up after 60 s of silence. */
export const KEEPALIVE_MS = 15_000;

/** What all functions of one Rookery share. */
export interface EdgeOptions {
  /** The key that every request must carry, or null for none. */
  apiKey: string | null;
  /** Host names that Rookery answers to, beside those of loopback. */
  allowedHosts: readonly string[];
  /** Origins of web pages that may use it, beside its own. */
  allowedOrigins: readonly string[];
  log: Logger;
  /** Milliseconds of silence after which a stream sends a comment. Default 15,000. */
  keepaliveMs?: number;
}

/** Manners in which one function differs from the others. */
export interface FunctionOptions {
  /** Paths that need no key. */
  openPaths?: readonly string[];
  /** Takes JSON that says to be a form, as `curl -d` sends it. */
  takesForms?: boolean;
}

/** What handlers find in their context. */
export interface FunctionEnv {
  Variables: {
    requestId: string;
    /** Who asks: `local` or a key's id. */
    owner: string;
    report: RequestReport;
    edge: EdgeOptions;
    /** The request as it came, whose signal tells of a client that goes away. */
    client: Request;
  };
}

/** A function: a complete `fetch` that also describes its routes. */
export type App = OpenAPIHono<FunctionEnv>;

const LOCAL_EDGE: EdgeOptions = { apiKey: null, allowedHosts: [], allowedOrigins: [], log: silentLogger };

/**
 * Creates a function with all manners of the house: request id, one log line a request, Host and Origin checks, CORS,
 * key, body limit, compression, validation and errors. Handlers throw; they never catch to answer.
 */
export function createFunction(name: string, edge: EdgeOptions = LOCAL_EDGE, options: FunctionOptions = {}): App {
  const { openPaths = [], takesForms = false } = options;
  const app: App = new OpenAPIHono<FunctionEnv>({ getPath: getTidyPath, defaultHook: refuseInvalid });
  const authenticate = createAuthenticate(edge.apiKey);

  app.use(requestId({ limitLength: 128 }), reportRequest(name, edge));
  app.use(checkHost(edge.allowedHosts), ...checkOrigin(edge.allowedOrigins));
  app.use(async (c, next) => {
    const owner = openPaths.includes(c.req.path) ? "local" : authenticate(c.req.header("authorization") ?? null);
    c.set("owner", owner);
    c.get("report").add({ owner });
    await next();
  });
  app.use(compress());
  app.use(methodNotAllowed({ app, onMethodNotAllowed: (c, methods) => fail(c, methodError(c, methods)) }));
  app.use(acceptJson({ takesForms }));

  app.notFound((c) => fail(c, notFoundError(c)));
  app.onError((error, c) => fail(c, error instanceof HTTPException ? toDomainError(error) : error));
  return app;
}

/** The path of a request without doubled slashes and without one at the end: clients concatenate URLs. */
export function getTidyPath(request: Request): string {
  const path = getPath(request).replace(/\/{2,}/g, "/");
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function reportRequest(name: string, edge: EdgeOptions): MiddlewareHandler<FunctionEnv> {
  return async (c, next) => {
    const { method, path } = c.req;
    const report = new RequestReport({ id: c.get("requestId"), function: name, method, path }, edge.log);
    c.set("report", report);
    c.set("edge", edge);
    c.set("client", c.req.raw);
    await next();
    report.add({ status: c.res.status });
    if (!report.isOpen) report.write();
  };
}

function fail(c: Context<FunctionEnv>, error: unknown): Response {
  c.get("report").addFailure(error);
  return toErrorResponse(error, { dialect: dialectOf(c.req.path), requestId: c.get("requestId") });
}

function notFoundError(c: Context): DomainError {
  return new DomainError("not_found", `There is no ${c.req.path} here; /openapi.json lists what there is`);
}

function methodError(c: Context, methods: string[]): DomainError {
  const allow = methods.join(", ");
  const message = `${c.req.method} is not possible on ${c.req.path}; use ${allow.replace(/, (\w+)$/, " or $1")}`;
  return new DomainError("method_not_allowed", message, { details: { allow } });
}

/** Hono itself throws where a body is no JSON. */
function toDomainError(error: HTTPException): DomainError {
  if (error.status === 400) {
    return new DomainError("invalid_json", "The body is not valid JSON: check quotes, commas and brackets", {});
  }
  return new DomainError("internal_error", "Something went wrong inside Rookery; its log says more", { cause: error });
}
