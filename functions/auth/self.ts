import { listIdentities, type OAuthParts, unlinkIdentity } from "../../lib/accounts/oauth_sign_in.ts";
import { changePassword, deleteAccount } from "../../lib/accounts/password_changes.ts";
import { toClaims } from "../../lib/accounts/principal.ts";
import {
  changeDisplayName,
  listSessions,
  readAccount,
  revokeOtherSessions,
  revokeSession,
} from "../../lib/accounts/sessions.ts";
import type { App } from "../_shared/create_function.ts";
import * as routes from "./routes.ts";
import { takeSession } from "./session_cookies.ts";

/** Adds what an account sees and does of itself. */
export function addSelf(app: App, accounts: OAuthParts): void {
  app.openapi(routes.getMe, async (c) => {
    const principal = c.get("principal");
    const { userId, scopes } = principal;
    const kind = principal.kind === "anonymous" ? "local" : principal.kind;
    const account = userId === null ? null : await readAccount(accounts.database, toClaims(principal));
    return c.json({ kind, role: principal.role!, scopes: [...scopes], account }, 200);
  });

  app.openapi(routes.changeMe, async (c) => {
    return c.json(await changeDisplayName(accounts, c.get("principal"), c.req.valid("json").displayName), 200);
  });

  app.openapi(routes.deleteMe, async (c) => {
    await deleteAccount(accounts, c.get("principal"), c.req.valid("json").password);
    takeSession(c);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.changePassword, async (c) => {
    const { currentPassword: current, newPassword: next } = c.req.valid("json");
    await changePassword(accounts, c.get("principal"), { current, next });
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.listSessions, async (c) => {
    return c.json({ sessions: await listSessions(accounts, c.get("principal")) }, 200);
  });

  app.openapi(routes.revokeSession, async (c) => {
    await revokeSession(accounts, c.get("principal"), c.req.valid("param").id);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.revokeSessions, async (c) => {
    return c.json({ revoked: await revokeOtherSessions(accounts, c.get("principal")) }, 200);
  });

  app.openapi(routes.listIdentities, async (c) => {
    return c.json({ identities: await listIdentities(accounts, c.get("principal")) }, 200);
  });

  app.openapi(routes.unlinkIdentity, async (c) => {
    await unlinkIdentity(accounts, c.get("principal"), c.req.valid("param").provider);
    return c.json({ status: "ok" as const }, 200);
  });
}
