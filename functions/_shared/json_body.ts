import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { DomainError } from "../../lib/errors.ts";
import { readBody } from "./limits.ts";

const JSON_TYPE = /^application\/([\w.+-]+\+)?json$/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded$/i;

/** Methods whose requests have a body. Ollama's clients send one with DELETE. */
const METHODS = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/**
 * Reads a request's body within its limits and hands it on as `application/json`. A missing content type is taken for
 * JSON, which many forget to say; with `takesForms` that of `curl -d` is too, as in Ollama's own documentation. What
 * says to be something else is refused. The bodies of `formPaths` are left to their handlers.
 */
export function acceptJson(
  { takesForms, formPaths }: { takesForms: boolean; formPaths: readonly string[] },
): MiddlewareHandler {
  return async (c, next) => {
    if (formPaths.includes(c.req.path)) return await next();
    if (!matchedRoutes(c).some(({ method }) => METHODS.has(method))) return await next();
    const type = (c.req.header("content-type") ?? "").split(";")[0]!.trim();
    if (type !== "" && !JSON_TYPE.test(type) && !(takesForms && FORM_TYPE.test(type))) {
      throw new DomainError(
        "unsupported_media_type",
        `Cannot read ${type}: send JSON with Content-Type: application/json`,
      );
    }
    const body = await readBody(c.req.raw);
    const headers = new Headers(c.req.raw.headers);
    headers.set("content-type", "application/json");
    c.req.raw = new Request(c.req.raw, { body, headers });
    await next();
  };
}
