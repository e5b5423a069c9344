import type { OAuthParts } from "../../lib/accounts/oauth_sign_in.ts";
import { createKeyPrincipals } from "../../lib/accounts/key_principals.ts";
import { ProviderName, Scope } from "../../lib/contracts/account.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { requirePrivacy } from "../_shared/principal.ts";
import { addElsewhere } from "./elsewhere.ts";
import { addEntry } from "./entry.ts";
import { addSelf } from "./self.ts";

/** What accounts stand on. */
export interface AuthOptions {
  accounts: OAuthParts;
  edge: EdgeOptions;
}

const OPEN_PATHS = ["policy", "signup", "login", "refresh", "logout", "reset-requests", "reset"]
  .map((name) => `/api/auth/${name}`);

/** `/api/auth`: signing up, logging in and out, sessions, passwords, and signing in by other services. */
export function createApp({ accounts, edge }: AuthOptions): App {
  const begins = ProviderName.options.map((name) => `/api/auth/oauth/${name}`);
  const returns = begins.map((path) => `${path}/callback`);
  const app = createFunction("auth", edge, {
    openPaths: [...OPEN_PATHS, ...begins, ...returns],
    formPaths: returns,
    // Whoever is known may see and change what is their own; what takes more asks for more.
    scopes: Scope.options,
  });
  app.use("/api/auth/*", async (c, next) => {
    requirePrivacy(c.get("visitor"));
    await next();
  });
  addEntry(app, accounts, edge.principals ?? createKeyPrincipals(edge.apiKey));
  addSelf(app, accounts);
  addElsewhere(app, accounts);
  return app;
}
