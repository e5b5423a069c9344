import { logIn } from "../../lib/accounts/log_in.ts";
import type { OAuthParts } from "../../lib/accounts/oauth_sign_in.ts";
import { requestReset, resetPassword } from "../../lib/accounts/password_changes.ts";
import { nameNetwork, RATES } from "../../lib/accounts/rate_limits.ts";
import { endSession, refreshSession, signOut } from "../../lib/accounts/sessions.ts";
import { readSignUpPolicy, signUp } from "../../lib/accounts/sign_up.ts";
import { DomainError } from "../../lib/errors.ts";
import { readCookie } from "../_shared/cookies.ts";
import type { App } from "../_shared/create_function.ts";
import type { Principals } from "../../lib/accounts/principal.ts";
import { authenticateIfAble } from "../_shared/principal.ts";
import * as routes from "./routes.ts";
import { describeClient, giveSession, takeSession } from "./session_cookies.ts";

/** Adds the ways in and out, which need no credential or one of their own. */
export function addEntry(app: App, accounts: OAuthParts, principals: Principals): void {
  app.openapi(routes.getPolicy, async (c) => {
    const { policy, hasAccounts } = await readSignUpPolicy(accounts);
    const needsToken = hasAccounts ? policy !== "open" : !c.get("visitor").isLocal;
    const providers = [...accounts.providers.keys()];
    return c.json({ signUp: policy, hasAccounts, needsToken, providers, mail: accounts.mail !== null }, 200);
  });

  app.openapi(routes.signUp, async (c) => {
    const { address, isLocal } = c.get("visitor");
    await signUp(accounts, c.req.valid("json"), { address, isLocal });
    return c.json({ status: "accepted" as const }, 202);
  });

  app.openapi(routes.logIn, async (c) => {
    const session = await logIn(accounts, c.req.valid("json"), describeClient(c));
    return c.json(giveSession(c, session), 200);
  });

  app.openapi(routes.refresh, async (c) => {
    await accounts.limits.take(RATES.refresh, nameNetwork(c.get("visitor").address));
    const token = readCookie(c, "rookery_refresh");
    if (token === null) throw new DomainError("unauthorized", "There is no session to refresh; log in");
    return c.json(giveSession(c, await refreshSession(accounts, token)), 200);
  });

  app.openapi(routes.logOut, async (c) => {
    const principal = await authenticateIfAble(c, principals);
    const token = readCookie(c, "rookery_refresh");
    if (principal.sessionId !== null) await signOut(accounts, principal);
    else if (token !== null) await endSession(accounts, token);
    takeSession(c);
    return c.json({ status: "ok" as const }, 200);
  });

  app.openapi(routes.requestReset, async (c) => {
    await requestReset(accounts, c.req.valid("json").email, c.get("visitor").address);
    return c.json({ status: "accepted" as const }, 202);
  });

  app.openapi(routes.resetPassword, async (c) => {
    await resetPassword(accounts, c.req.valid("json"), c.get("visitor").address);
    return c.json({ status: "ok" as const }, 200);
  });
}
