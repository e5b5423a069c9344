import { OpenAPIHono } from "@hono/zod-openapi";
import { Hono } from "hono";
import { Scope } from "../../lib/contracts/account.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv, getTidyPath } from "./create_function.ts";

/** What the description of the API says about the whole. */
export interface ApiDocument {
  title: string;
  version: string;
  description: string;
}

/** What {@linkcode mountFunctions} gives the functions. */
export interface MountOptions {
  edge: EdgeOptions;
  document: ApiDocument;
}

/**
 * Puts functions side by side into one `fetch`. Each keeps its own manners and nothing runs twice: only the path is
 * looked at here. When two own a path the first has it. Unknown paths get a 404; `/openapi.json` describes all of them.
 */
export function mountFunctions(
  functions: readonly App[],
  { edge, document }: MountOptions,
): { fetch(request: Request, info?: { remoteAddr: Deno.Addr }): Response | Promise<Response> } {
  const description = describe(functions, document);
  const shell = createFunction("rookery", edge, { scopes: Scope.options });
  shell.get("/openapi.json", (c) => c.json(description));

  const router = new Hono<Pick<FunctionEnv, "Bindings">>({ getPath: getTidyPath });
  for (const app of [shell, ...functions]) {
    for (const path of new Set(app.routes.filter(({ method }) => method !== "ALL").map(({ path }) => path))) {
      router.all(path, (c) => app.fetch(c.req.raw, c.env));
    }
  }
  router.notFound((c) => shell.fetch(c.req.raw, c.env));
  return { fetch: (request, info) => router.fetch(request, info) };
}

function describe(functions: readonly App[], info: ApiDocument): object {
  const all = new OpenAPIHono();
  for (const app of functions) all.route("/", app);
  all.openAPIRegistry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    description: "A key of an account, the access token of a session, or ROOKERY_API_KEY where it is set",
  });
  return all.getOpenAPI31Document({ openapi: "3.1.0", info: { ...info }, security: [{ key: [] }, {}] });
}
