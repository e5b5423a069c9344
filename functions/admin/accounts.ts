import * as administration from "../../lib/accounts/administration.ts";
import { makeInvitation, makeResetLink } from "../../lib/accounts/links.ts";
import type { AccountParts } from "../../lib/accounts/parts.ts";
import type { Principal } from "../../lib/accounts/principal.ts";
import type { App } from "../_shared/create_function.ts";
import * as routes from "./routes.ts";

/** Adds what administrators see and do of accounts. */
export function addAccounts(app: App, accounts: AccountParts): void {
  const enter = (principal: Principal) => administration.requireAdministratorAccount(accounts.database, principal);
  addUsers(app, enter, accounts);
  addInvitations(app, enter, accounts);
  addCredentials(app, enter);

  app.openapi(routes.getSettings, async (c) => {
    return c.json(await administration.readHouseSettings(enter(c.get("principal"))), 200);
  });

  app.openapi(routes.changeSettings, async (c) => {
    const administrator = enter(c.get("principal"));
    const { signUp } = c.req.valid("json");
    if (signUp !== undefined) await administration.setSignUpPolicy(administrator, signUp);
    return c.json(await administration.readHouseSettings(administrator), 200);
  });

  app.openapi(routes.readAudit, async (c) => {
    const { cursor = null, limit, actor = null, action = null } = c.req.valid("query");
    const query = { cursor, limit, actor, action };
    return c.json(await administration.readAudit(enter(c.get("principal")), query), 200);
  });
}

/** Takes a principal for an administrator, or throws. */
type Enter = (principal: Principal) => administration.Administrator;

function addUsers(app: App, enter: Enter, accounts: AccountParts): void {
  app.openapi(routes.listUsers, async (c) => {
    const { cursor = null, limit, search = null } = c.req.valid("query");
    return c.json(await administration.listUsers(enter(c.get("principal")), { cursor, limit, search }), 200);
  });

  app.openapi(routes.changeUser, async (c) => {
    await administration.changeUser(enter(c.get("principal")), c.req.valid("param").id, c.req.valid("json"));
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.deleteUser, async (c) => {
    await administration.deleteUser(enter(c.get("principal")), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.makeResetLink, async (c) => {
    const principal = c.get("principal");
    enter(principal);
    const { id: userId } = c.req.valid("param");
    c.header("cache-control", "no-store");
    return c.json(await makeResetLink(accounts, principal, { userId, origin: c.get("visitor").origin }), 200);
  });

  app.openapi(routes.endSessions, async (c) => {
    const revoked = await administration.endSessionsOf(enter(c.get("principal")), c.req.valid("param").id);
    return c.json({ revoked }, 200);
  });
}

function addInvitations(app: App, enter: Enter, accounts: AccountParts): void {
  app.openapi(routes.listInvitations, async (c) => {
    const { cursor = null, limit } = c.req.valid("query");
    return c.json(await administration.listInvitations(enter(c.get("principal")), { cursor, limit }), 200);
  });

  app.openapi(routes.invite, async (c) => {
    const principal = c.get("principal");
    enter(principal);
    const { role, email = null } = c.req.valid("json");
    c.header("cache-control", "no-store");
    return c.json(await makeInvitation(accounts, principal, { role, email, origin: c.get("visitor").origin }), 201);
  });

  app.openapi(routes.revokeInvitation, async (c) => {
    await administration.revokeInvitation(enter(c.get("principal")), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });
}

function addCredentials(app: App, enter: Enter): void {
  app.openapi(routes.listKeys, async (c) => {
    const { cursor = null, limit, userId = null } = c.req.valid("query");
    return c.json(await administration.listAllKeys(enter(c.get("principal")), { cursor, limit, userId }), 200);
  });

  app.openapi(routes.revokeKey, async (c) => {
    await administration.revokeAnyKey(enter(c.get("principal")), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.listSessions, async (c) => {
    const { cursor = null, limit, userId = null } = c.req.valid("query");
    return c.json(await administration.listAllSessions(enter(c.get("principal")), { cursor, limit, userId }), 200);
  });

  app.openapi(routes.revokeSession, async (c) => {
    await administration.revokeAnySession(enter(c.get("principal")), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });
}
