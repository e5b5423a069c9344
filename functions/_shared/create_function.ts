import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { HTTPException } from "hono/http-exception";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { getPath } from "hono/utils/url";
import { createKeyPrincipals } from "../../lib/accounts/key_principals.ts";
import { ANONYMOUS, requireScope } from "../../lib/accounts/principal.ts";
import type { Scope } from "../../lib/contracts/account.ts";
import { DomainError } from "../../lib/errors.ts";
import { silentLogger } from "../../lib/log.ts";
import { requireOwnOrigin } from "./cookies.ts";
import { dialectOf, toErrorResponse } from "./errors.ts";
import type { App, EdgeOptions, FunctionEnv } from "./function_env.ts";
import { checkHost, checkOrigin } from "./hosts.ts";
import { createVisitorReader, LOCAL_INGRESS } from "./ingress.ts";
import { acceptJson } from "./json_body.ts";
import { authenticate, requirePrivacy } from "./principal.ts";
import { RequestReport } from "./request_report.ts";
import { refuseInvalid } from "./validation.ts";

export type { App, EdgeOptions, FunctionEnv } from "./function_env.ts";

/** How often a stream that has nothing to say shows that it lives. Copilot gives up after 60 s of silence. */
export const KEEPALIVE_MS = 15_000;

/** Manners in which one function differs from the others. */
export interface FunctionOptions {
  /** Paths that need no key. */
  openPaths?: readonly string[];
  /**
   * Any one of these rights is needed, also as it depends on the request. Default: `admin`, so that a function that says
   * nothing opens nothing.
   */
  scopes?: readonly Scope[] | ((request: { method: string; path: string }) => readonly Scope[]);
  /** Paths to which another site's page posts a form: neither its Origin nor its body is looked at before the handler. */
  formPaths?: readonly string[];
  /** Takes JSON that says to be a form, as `curl -d` sends it. */
  takesForms?: boolean;
}

const LOCAL_EDGE: EdgeOptions = { apiKey: null, allowedHosts: [], allowedOrigins: [], log: silentLogger };

/**
 * Creates a function with all manners of the house: request id, one log line a request, Host and Origin checks, CORS,
 * key, body limit, compression, validation and errors. Handlers throw; they never catch to answer.
 */
export function createFunction(name: string, edge: EdgeOptions = LOCAL_EDGE, options: FunctionOptions = {}): App {
  const { openPaths = [], takesForms = false, formPaths = [] } = options;
  const app: App = new OpenAPIHono<FunctionEnv>({ getPath: getTidyPath, defaultHook: refuseInvalid });
  const publicUrl = edge.ingress?.publicUrl ?? null;
  const publicHosts = publicUrl === null ? [] : [new URL(publicUrl).host];

  app.use(requestId({ limitLength: 128 }), reportRequest(name, edge));
  app.use(checkHost([...edge.allowedHosts, ...publicHosts]));
  app.use(...checkOrigin(edge.allowedOrigins, { publicUrl, formPaths }));
  app.use(admit(edge, { openPaths, formPaths, scopes: options.scopes ?? ["admin"] }));
  app.use(compress());
  app.use(methodNotAllowed({ app, onMethodNotAllowed: (c, methods) => fail(c, methodError(c, methods)) }));
  app.use(acceptJson({ takesForms, formPaths }));

  app.notFound((c) => fail(c, notFoundError(c)));
  app.onError((error, c) => fail(c, error instanceof HTTPException ? toDomainError(error) : error));
  return app;
}

/** The path of a request without doubled slashes and without one at the end: clients concatenate URLs. */
export function getTidyPath(request: Request): string {
  const path = getPath(request).replace(/\/{2,}/g, "/");
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Finds out who asks, and lets pass who may. */
function admit(
  edge: EdgeOptions,
  { openPaths, formPaths, scopes }: Required<Omit<FunctionOptions, "takesForms">>,
): MiddlewareHandler<FunctionEnv> {
  const principals = edge.principals ?? createKeyPrincipals(edge.apiKey);
  return async (c, next) => {
    const { method, path } = c.req;
    const isOpen = openPaths.includes(path);
    if (!formPaths.includes(path)) requireOwnOrigin(c);
    const principal = isOpen ? ANONYMOUS : await authenticate(c, principals);
    c.set("principal", principal);
    c.set("owner", principal.owner);
    c.get("report").add({ owner: principal.owner });
    if (principal.userId !== null) requirePrivacy(c.get("visitor"));
    if (!isOpen) requireScope(principal, typeof scopes === "function" ? scopes({ method, path }) : scopes);
    const access = principals.watch(principal);
    c.set("access", access);
    c.set("client", { signal: AbortSignal.any([c.req.raw.signal, access.signal]) });
    await next();
    if (!c.get("report").isOpen) access.end();
  };
}

function reportRequest(name: string, edge: EdgeOptions): MiddlewareHandler<FunctionEnv> {
  const readVisitor = createVisitorReader(edge.ingress ?? LOCAL_INGRESS);
  return async (c, next) => {
    const { method, path } = c.req;
    const report = new RequestReport({ id: c.get("requestId"), function: name, method, path }, edge.log);
    c.set("report", report);
    c.set("edge", edge);
    // Who calls `fetch` without telling more of a request leaves the whole of it out, whatever its type says.
    const { remoteAddr }: Partial<FunctionEnv["Bindings"]> = c.env ?? {};
    c.set("visitor", readVisitor(c.req.raw, remoteAddr));
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
