import { type LinkedIdentity, ProviderName } from "../contracts/account.ts";
import { DomainError } from "../errors.ts";
import { makeSignInSecrets, type OAuthProvider, type VouchedPerson } from "./oauth.ts";
import type { OAuthState, OAuthStates } from "./oauth_state.ts";
import type { AccountParts } from "./parts.ts";
import { callAsNobody, callForRows, callForValue } from "./procedures.ts";
import { type Principal, requireSession, toClaims } from "./principal.ts";
import { nameNetwork, RATES } from "./rate_limits.ts";
import { beginSession, type Client, type OpenSession } from "./sessions.ts";
import { hashToken } from "./tokens.ts";

/** What a sign-in elsewhere stands on, beside what accounts do. */
export interface OAuthParts extends AccountParts {
  providers: ReadonlyMap<ProviderName, OAuthProvider>;
  states: OAuthStates;
}

/** What somebody wants of a sign-in elsewhere. */
export interface SignInWish {
  /** Rookery's own address, to come back to. */
  origin: string;
  token: string | null;
  returnTo: string;
  link: OAuthState["link"];
}

/**
 * Begins a sign-in with another service: where to send the browser, and what it has to keep until it comes back.
 *
 * @throws {DomainError} `not_found` when the operator has not set that service up.
 */
export async function beginOAuth(
  parts: OAuthParts,
  name: ProviderName,
  { origin, ...wish }: SignInWish,
): Promise<{ url: string; sealed: string }> {
  const provider = findProvider(parts, name);
  const secrets = makeSignInSecrets(nameCallback(origin, name));
  const sealed = await parts.states.seal({ provider: name, ...secrets, ...wish });
  return { url: await provider.begin(secrets), sealed };
}

/** What a browser brings back from another service. */
export interface OAuthReturn {
  answer: URLSearchParams;
  /** What it kept, or null when it has nothing. */
  sealed: string | null;
  client: Client;
  /** Whether it is this very machine, where the first account needs no token. */
  isLocal: boolean;
}

/**
 * Ends a sign-in with another service: logs in who is known, makes an account for who is not as far as signing up is
 * open, or links the identity to the account that asked for it. An address alone never opens an account that is there.
 *
 * @returns the session, or null when an identity was linked to one that goes on.
 * @throws {DomainError} `sign_in_failed`, `account_exists`, `account_suspended`, `conflict` when the identity is
 *   another account's, what signing up refuses, and `rate_limited`.
 */
export async function finishOAuth(
  parts: OAuthParts,
  name: ProviderName,
  { answer, sealed, client, isLocal }: OAuthReturn,
): Promise<{ session: OpenSession | null; returnTo: string }> {
  await parts.limits.take(RATES.link, nameNetwork(client.address));
  const state = await parts.states.open(sealed, name);
  const person = await findProvider(parts, name).finish(answer, state).catch((error: unknown) => {
    parts.log.warn("sign_in_failed", { provider: name, error });
    throw error;
  });
  if (state.link !== null) {
    await linkPerson(parts, state, person);
    return { session: null, returnTo: state.returnTo };
  }
  const known = await callAsNobody<{ user_id: string }>(parts.database, {
    procedure: "app.find_identity",
    values: [name, person.subject],
  });
  const userId = known?.user_id ?? await signUpPerson(parts, state, { person, isLocal });
  return { session: await beginSession(parts, userId, client), returnTo: state.returnTo };
}

/** @throws {DomainError} `forbidden` without a session. */
export async function listIdentities({ database }: AccountParts, principal: Principal): Promise<LinkedIdentity[]> {
  requireSession(principal);
  type Row = { provider: string; email: string | null; created_at: string };
  const rows = await callForRows<Row>(database, { claims: toClaims(principal), procedure: "app.list_identities" });
  return rows.map(({ provider, email, created_at }) => ({
    provider: ProviderName.parse(provider),
    email,
    createdAt: created_at,
  }));
}

/** @throws {DomainError} `not_found` when there is none, `conflict` when it is the only way to log in. */
export async function unlinkIdentity(
  { database }: AccountParts,
  principal: Principal,
  name: ProviderName,
): Promise<void> {
  requireSession(principal);
  await callForValue(database, { claims: toClaims(principal), procedure: "app.unlink_identity", values: [name] });
}

/** The session that asked must still be one: the database looks at it. */
async function linkPerson(
  { database }: AccountParts,
  { link, provider }: OAuthState,
  person: VouchedPerson,
): Promise<void> {
  const session = link!.sessionId === null ? {} : { session_id: link!.sessionId };
  await callForValue(database, {
    claims: { sub: link!.userId, role: "authenticated", ...session },
    procedure: "app.link_identity",
    values: [provider, person.subject, person.email],
  });
}

async function signUpPerson(
  { database }: AccountParts,
  { provider, token }: OAuthState,
  { person, isLocal }: { person: VouchedPerson; isLocal: boolean },
): Promise<string> {
  const { subject, email, displayName } = person;
  const tokenHash = token === null ? null : hashToken(token);
  const row = await callAsNobody<{ create_user_from_identity: string }>(database, {
    procedure: "app.create_user_from_identity",
    values: [provider, subject, email, displayName, tokenHash, !isLocal],
  });
  return row!.create_user_from_identity;
}

function findProvider({ providers }: OAuthParts, name: ProviderName): OAuthProvider {
  const provider = providers.get(name);
  if (provider !== undefined) return provider;
  throw new DomainError("not_found", `Nobody can sign in with ${name} here: its operator has not set it up`);
}

/** Where a service sends the browser back to, as it has to be registered there. */
function nameCallback(origin: string, name: ProviderName): string {
  return new URL(`/api/auth/oauth/${name}/callback`, origin).href;
}
