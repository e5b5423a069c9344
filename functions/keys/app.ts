import { createRoute, z } from "@hono/zod-openapi";
import { createKey, listKeys, revokeKey } from "../../lib/accounts/keys.ts";
import { ApiKey, NewApiKey, Scope } from "../../lib/contracts/account.ts";
import type { Database } from "../../lib/database/database.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, ownErrors, pickErrors } from "../_shared/documentation.ts";

const MadeKey = z.object({
  id: z.uuid(),
  key: z.string().openapi({
    description: "The key itself, shown this one time: a hash of it is kept",
    example: "rk_…",
  }),
  hint: z.string().openapi({ description: "Its last characters, by which lists tell it" }),
}).openapi("MadeKey");
const KeyList = z.object({ keys: z.array(z.object(ApiKey.shape).openapi("ApiKey")) }).openapi("ApiKeys");
const Revoked = z.object({ status: z.literal("ok") }).openapi("RevokedKey");

const tags = ["Accounts"];
const errors = pickErrors(ownErrors, 400, 401, 403, 404, 409, 413, 415, 429, 500, 503);

const makeKey = createRoute({
  method: "post",
  path: "/api/keys",
  summary: "Make a key for programs, with the scopes that it needs",
  tags,
  request: {
    body: jsonBody(
      z.strictObject(NewApiKey.shape).openapi("NewApiKey", { example: { name: "editor", scopes: ["inference"] } }),
    ),
  },
  responses: { 201: jsonContent(MadeKey, "The key; it is not shown again"), ...errors },
});

const getKeys = createRoute({
  method: "get",
  path: "/api/keys",
  summary: "List one's keys",
  tags,
  responses: { 200: jsonContent(KeyList, "Those that are not revoked, the youngest first; at most 200"), ...errors },
});

const deleteKey = createRoute({
  method: "delete",
  path: "/api/keys/{id}",
  summary: "Revoke a key at once; what it has under way ends",
  tags,
  request: { params: z.object({ id: z.uuid() }) },
  responses: { 200: jsonContent(Revoked, "It is good for nothing any more"), ...errors },
});

/** What keys stand on. */
export interface KeysOptions {
  database: Database;
  edge: EdgeOptions;
}

/** `/api/keys`: an account's keys for programs. A key makes no keys: only who is logged in does. */
export function createApp({ database, edge }: KeysOptions): App {
  const app = createFunction("keys", edge, { scopes: Scope.options });
  app.openapi(makeKey, async (c) => {
    const made = await createKey(database, c.get("principal"), c.req.valid("json"));
    c.header("cache-control", "no-store");
    return c.json(made, 201);
  });
  app.openapi(getKeys, async (c) => {
    return c.json({ keys: await listKeys(database, c.get("principal")) }, 200);
  });
  app.openapi(deleteKey, async (c) => {
    await revokeKey(database, c.get("principal"), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });
  return app;
}
