import { AccessTokens } from "../accounts/access_tokens.ts";
import { openAccountPrincipals } from "../accounts/account_principals.ts";
import { KvLimitStore } from "../accounts/kv_limit_store.ts";
import type { OAuthParts } from "../accounts/oauth_sign_in.ts";
import { OAuthStates } from "../accounts/oauth_state.ts";
import { Passwords } from "../accounts/passwords.ts";
import type { Principals } from "../accounts/principal.ts";
import { RateLimits } from "../accounts/rate_limits.ts";
import { loadSecret } from "../accounts/secret.ts";
import type { Database } from "../database/database.ts";
import type { Settings } from "../env.ts";
import type { Logger } from "../log.ts";
import type { DataFolder } from "./data_folder.ts";

/** What {@linkcode openAccounts} stands on. */
export interface AccountsPlace {
  settings: Settings;
  folder: DataFolder;
  database: Database;
  log: Logger;
}

/** The accounts of a running Rookery. */
export interface Accounts extends AsyncDisposable {
  parts: OAuthParts;
  /** The one resolver of every credential. */
  principals: Principals;
}

/**
 * Opens what accounts need beside the database: the secret that sessions are signed with, made at the first start, and the
 * counts of attempts.
 *
 * @throws {DomainError} `invalid_config` for a secret that others may know.
 * @throws {DatabaseError} when the database cannot be listened to.
 */
export async function openAccounts({ settings, folder, database, log }: AccountsPlace): Promise<Accounts> {
  const secret = await loadSecret(folder.secret);
  const store = await KvLimitStore.open(folder.limits);
  const tokens = new AccessTokens({ secret });
  const principals = await openAccountPrincipals({ database, tokens, apiKey: settings.apiKey, log });
  return {
    parts: {
      database,
      passwords: new Passwords(),
      tokens,
      limits: new RateLimits(store),
      mail: null,
      log,
      now: Date.now,
      providers: new Map(),
      states: new OAuthStates(secret),
    },
    principals,
    async [Symbol.asyncDispose]() {
      await principals[Symbol.asyncDispose]();
      store[Symbol.dispose]();
    },
  };
}
