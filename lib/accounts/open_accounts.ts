import type { ProviderName } from "../contracts/account.ts";
import type { Database } from "../database/database.ts";
import type { Settings } from "../env.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { AccessTokens, findKeysAt, type ForeignIssuer } from "./access_tokens.ts";
import { openAccountPrincipals } from "./account_principals.ts";
import { createAppleProvider } from "./apple_provider.ts";
import { createGithubProvider } from "./github_provider.ts";
import { KvLimitStore } from "./kv_limit_store.ts";
import type { OAuthProvider } from "./oauth.ts";
import type { OAuthParts } from "./oauth_sign_in.ts";
import { OAuthStates } from "./oauth_state.ts";
import type { AccountParts } from "./parts.ts";
import { Passwords } from "./passwords.ts";
import type { Principals } from "./principal.ts";
import { RateLimits } from "./rate_limits.ts";
import { loadSecret, requireStrongSecret } from "./secret.ts";
import { createSmtpMailer } from "./smtp_mailer.ts";

/** What {@linkcode openAccounts} stands on. */
export interface AccountsPlace {
  settings: Settings;
  database: Database;
  /** Where the secret lies, or will. */
  secretPath: string;
  /** The Deno KV in which attempts are counted; it may be lost. */
  limitsPath: string;
  log: Logger;
}

/** The accounts of a running Rookery. */
export interface Accounts extends AsyncDisposable {
  parts: OAuthParts;
  /** The one resolver of every credential. */
  principals: Principals;
}

/**
 * Opens what accounts need beside the database, as the settings say: the secret that sessions are signed with, made at the
 * first start, other issuers and services, letters, and the counts of attempts.
 *
 * @throws {DomainError} `invalid_config` for a secret that others may know, or a file of Apple's that cannot be read.
 * @throws {DatabaseError} when the database cannot be listened to.
 */
export async function openAccounts(
  { settings, database, secretPath, limitsPath, log }: AccountsPlace,
): Promise<Accounts> {
  const secret = await chooseSecret(settings, secretPath);
  const providers = await openProviders(settings);
  const tokens = new AccessTokens({ secret, foreign: chooseIssuer(settings) });
  await using opened = new AsyncDisposableStack();
  const limits = opened.use(await KvLimitStore.open(limitsPath));
  const principals = opened.use(await openAccountPrincipals({ database, tokens, apiKey: settings.apiKey, log }));
  const rest = opened.move();
  return {
    parts: {
      database,
      passwords: new Passwords(),
      tokens,
      limits: new RateLimits(limits),
      mail: openMail(settings),
      log,
      now: Date.now,
      providers: new Map(providers.map((provider): [ProviderName, OAuthProvider] => [provider.name, provider])),
      states: new OAuthStates(secret),
    },
    principals,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Supabase's secret signs Rookery's tokens too, so that its services accept them; several runtimes then share it. */
async function chooseSecret({ supabaseJwtSecret }: Settings, path: string): Promise<string> {
  if (supabaseJwtSecret === null) return await loadSecret(path);
  requireStrongSecret(supabaseJwtSecret, "SUPABASE_JWT_SECRET");
  return supabaseJwtSecret;
}

function chooseIssuer({ supabaseJwtSecret, supabaseJwksUrl }: Settings): ForeignIssuer {
  const findKey = supabaseJwksUrl === null ? null : findKeysAt(supabaseJwksUrl);
  return { sharesSecret: supabaseJwtSecret !== null, findKey };
}

async function openProviders(settings: Settings): Promise<OAuthProvider[]> {
  const { githubClientId, githubClientSecret, appleClientId, appleTeamId, appleKeyId, appleKeyFile } = settings;
  const providers: OAuthProvider[] = [];
  if (githubClientId !== null && githubClientSecret !== null) {
    providers.push(createGithubProvider({ clientId: githubClientId, clientSecret: githubClientSecret }));
  }
  if (appleClientId !== null && appleTeamId !== null && appleKeyId !== null && appleKeyFile !== null) {
    const privateKey = await readKeyFile(appleKeyFile);
    providers.push(
      createAppleProvider({ clientId: appleClientId, teamId: appleTeamId, keyId: appleKeyId, privateKey }),
    );
  }
  return providers;
}

async function readKeyFile(path: string): Promise<string> {
  try {
    const text = await Deno.readTextFile(path);
    if (text.includes("BEGIN PRIVATE KEY")) return text;
  } catch (cause) {
    throw new DomainError("invalid_config", `Cannot read APPLE_KEY_FILE, ${path}`, { param: "APPLE_KEY_FILE", cause });
  }
  const message = `APPLE_KEY_FILE, ${path}, holds no private key: it is the file that Apple calls AuthKey_….p8`;
  throw new DomainError("invalid_config", message, { param: "APPLE_KEY_FILE" });
}

function openMail({ smtpUrl, smtpFrom, publicUrl }: Settings): AccountParts["mail"] {
  if (smtpUrl === null || smtpFrom === null || publicUrl === null) return null;
  return { mailer: createSmtpMailer({ url: smtpUrl, from: smtpFrom }), publicUrl };
}
