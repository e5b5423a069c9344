import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { OAuthParts } from "../../lib/accounts/oauth_sign_in.ts";
import { openAccounts } from "../../lib/accounts/open_accounts.ts";
import type { Database } from "../../lib/database/database.ts";
import { readSettings } from "../../lib/env.ts";
import { DomainError } from "../../lib/errors.ts";
import { createLogger } from "../../lib/log.ts";
import { makeDataFolder, nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { joinDatabase } from "../../lib/runtime/database.ts";
import { openLogFile } from "../../lib/runtime/log_file.ts";
import type { EdgeOptions } from "./create_function.ts";
import { toIngress } from "./ingress.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** What a function of accounts gets when it runs alone. */
export interface StandaloneAccounts {
  database: Database;
  accounts: OAuthParts;
  edge: EdgeOptions;
}

/**
 * Opens the accounts for a function that runs alone, under `deno serve`, beside others on the same Postgres.
 *
 * @throws {DomainError} `invalid_config` when a setting is wrong, or when there is no such Postgres: the embedded database
 *   is the runtime's alone; `database_unavailable` when it does not answer, `data_incompatible` until it is migrated.
 */
export async function openStandaloneAccounts(env: Record<string, string>): Promise<StandaloneAccounts> {
  const settings = readSettings(env);
  const { databaseUrl: url, apiKey, host, allowedHosts, allowedOrigins } = settings;
  if (url === null) {
    const message = "A function of accounts that runs alone needs DATABASE_URL: the embedded database is the runtime's";
    throw new DomainError("invalid_config", message, { param: "DATABASE_URL" });
  }
  const log = createLogger({ level: settings.logLevel, write: openLogFile(settings.logFile) });
  const folder = nameDataFolder(resolve(settings.dataDir));
  await makeDataFolder(folder);
  const database = await joinDatabase({ url, folder, rootDir: ROOT, log });
  const places = { secretPath: folder.secret, limitsPath: folder.limits };
  const { parts, principals } = await openAccounts({ settings, database, ...places, log });
  const ingress = toIngress(settings);
  const edge = { apiKey, principals, ingress, allowedHosts: [...allowedHosts, host], allowedOrigins, log };
  return { database, accounts: parts, edge };
}
