import { isSameSecret } from "../bearer.ts";
import { Role, Scope } from "../contracts/account.ts";
import { type Database, toDomainError } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { type AccessTokens, looksLikeJwt, type TokenProof } from "./access_tokens.ts";
import { createKeyPrincipal } from "./key_principals.ts";
import { type Access, type Credentials, limitScopes, LOCAL, type Principal, type Principals } from "./principal.ts";
import { callAsNobody } from "./procedures.ts";
import { API_KEY_PREFIX, hashToken } from "./tokens.ts";

/** How often requests under way are looked at when no notification has come, in milliseconds. */
const RECHECK_MS = 15_000;

/** The channel on which the database tells of accounts, sessions and keys that changed. */
const CHANNEL = "rookery_accounts";

/** What {@linkcode openAccountPrincipals} stands on. */
export interface AccountPrincipalsOptions {
  database: Database;
  tokens: AccessTokens;
  /** The operator's key, or null for none. Where there is one, who sits at this machine needs it too. */
  apiKey: string | null;
  log: Logger;
  /** Milliseconds between looks at requests under way. Default 15,000. */
  recheckMs?: number;
}

/** A request under way. */
interface Watched {
  principal: Principal;
  ending: AbortController;
}

/** What a credential stands for, by the database's present state. */
type Check = () => Promise<Principal>;

/**
 * Resolves credentials where there are accounts, and closes what a revoked session or key has under way.
 *
 * @throws {DatabaseError} when the database cannot be listened to.
 */
export async function openAccountPrincipals(
  options: AccountPrincipalsOptions,
): Promise<Principals & AsyncDisposable> {
  const principals = new AccountPrincipals(options);
  await principals.listen();
  return principals;
}

class AccountPrincipals implements Principals, AsyncDisposable {
  readonly #options: AccountPrincipalsOptions;
  readonly #operator: Principal | null;
  /** How to look again at each principal that was resolved. */
  readonly #checks = new WeakMap<Principal, Check>();
  readonly #watched = new Set<Watched>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #listening: AsyncDisposable | null = null;

  constructor(options: AccountPrincipalsOptions) {
    this.#options = options;
    this.#operator = options.apiKey === null ? null : createKeyPrincipal(options.apiKey);
  }

  async listen(): Promise<void> {
    const onNotify = (payload: string) => void this.#recheck(readUser(payload));
    this.#listening = await this.#options.database.listen(CHANNEL, onNotify, { onGap: () => void this.#recheck(null) });
  }

  async resolve({ bearer, cookie, isLocal }: Credentials): Promise<Principal> {
    const isOpen = isLocal && this.#operator === null;
    if (bearer !== null) return await this.#resolveBearer(bearer, isOpen);
    if (cookie !== null) return await this.#resolveToken(cookie);
    if (isOpen) return LOCAL;
    const message = "Log in at /api/auth/login, or send a key as Authorization: Bearer rk_…";
    throw new DomainError("unauthorized", message);
  }

  watch(principal: Principal): Access {
    const ending = new AbortController();
    if (!this.#checks.has(principal)) return { signal: ending.signal, end() {} };
    const watched: Watched = { principal, ending };
    this.#watched.add(watched);
    this.#timer ??= setInterval(() => void this.#recheck(null), this.#options.recheckMs ?? RECHECK_MS);
    return { signal: ending.signal, end: () => this.#unwatch(watched) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watched of this.#watched) this.#unwatch(watched);
    await this.#listening?.[Symbol.asyncDispose]();
  }

  async #resolveBearer(bearer: string, isOpen: boolean): Promise<Principal> {
    const { apiKey } = this.#options;
    if (this.#operator !== null && apiKey !== null && isSameSecret(bearer, apiKey)) return this.#operator;
    if (bearer.startsWith(API_KEY_PREFIX)) return await this.#keep(() => this.#checkKey(hashToken(bearer)));
    if (looksLikeJwt(bearer)) return await this.#resolveToken(bearer);
    // Clients that insist on a key invent one.
    if (isOpen) return LOCAL;
    throw new DomainError("invalid_api_key", "The key is unknown here: make one at /api/keys and send it as a Bearer");
  }

  async #resolveToken(token: string): Promise<Principal> {
    const proof = await this.#options.tokens.verify(token);
    return await this.#keep(() => this.#checkSession(proof));
  }

  async #keep(check: Check): Promise<Principal> {
    const principal = await check();
    this.#checks.set(principal, check);
    return principal;
  }

  async #checkSession({ userId, sessionId }: TokenProof): Promise<Principal> {
    const { database } = this.#options;
    type Row = { user_id?: string; role: string; suspended: boolean };
    const row = sessionId === null
      ? await callAsNobody<Row>(database, { procedure: "app.find_account", values: [userId] })
      : await callAsNobody<Row>(database, { procedure: "app.validate_session", values: [sessionId] });
    if (row === null || (row.user_id ?? userId) !== userId) {
      throw new DomainError("session_revoked", "This session has ended; log in again");
    }
    if (row.suspended) throw suspendedError();
    const role = Role.parse(row.role);
    return { kind: "session", userId, role, scopes: limitScopes(role), sessionId, keyId: null, owner: userId };
  }

  async #checkKey(hash: Uint8Array): Promise<Principal> {
    type Row = { key_id: string; user_id: string; role: string; scopes: string[] };
    const { database } = this.#options;
    const row = await callAsNobody<Row>(database, { procedure: "app.find_api_key", values: [hash] });
    if (row === null) {
      throw new DomainError("invalid_api_key", "This key is unknown, expired or revoked; make another at /api/keys");
    }
    const role = Role.parse(row.role);
    const scopes = limitScopes(role, row.scopes.map((scope) => Scope.parse(scope)));
    const { key_id: keyId, user_id: userId } = row;
    return { kind: "key", userId, role, scopes, sessionId: null, keyId, owner: userId };
  }

  /**
   * Looks again at the requests of `userId`, or at all of them, and ends those that may not go on. Each credential is
   * looked at once, however many requests it has under way.
   */
  async #recheck(userId: string | null): Promise<void> {
    const concerned = [...this.#watched].filter(({ principal }) => userId === null || principal.userId === userId);
    const groups = Map.groupBy(concerned, ({ principal }) => nameCredential(principal));
    await Promise.all([...groups.values()].map(async (group) => {
      const state = await this.#look(group[0]!.principal);
      for (const { principal, ending } of group) {
        const lost = findLoss(principal, state);
        if (lost !== null) ending.abort(lost);
      }
    }));
  }

  /** What a credential stands for now, why it does for nothing any more, or null when the database does not say. */
  async #look(principal: Principal): Promise<Principal | DomainError | null> {
    try {
      return await this.#checks.get(principal)!();
    } catch (error) {
      const failure = toDomainError(error);
      if (failure.code === "account_suspended" || failure.code === "session_revoked") return failure;
      if (failure.code === "invalid_api_key") return new DomainError("session_revoked", "This key was revoked");
      this.#options.log.warn("recheck_failed", { error });
      return null;
    }
  }

  #unwatch(watched: Watched): void {
    this.#watched.delete(watched);
    if (this.#watched.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** What principals have in common that were resolved by the same credential. */
function nameCredential({ kind, userId, sessionId, keyId }: Principal): string {
  return `${kind} ${sessionId ?? keyId ?? userId}`;
}

/** Why `principal` may not go on, or null. A database that does not answer takes nothing away. */
function findLoss(principal: Principal, state: Principal | DomainError | null): DomainError | null {
  if (state === null || state instanceof DomainError) return state;
  const isLess = principal.scopes.some((scope) => !state.scopes.includes(scope));
  return isLess ? new DomainError("session_revoked", "The rights of this account have changed; ask again") : null;
}

/** The account that a notification is about; null, which is all of them, when it does not say. */
function readUser(payload: string): string | null {
  try {
    const { user } = JSON.parse(payload);
    return typeof user === "string" ? user : null;
  } catch {
    return null;
  }
}

function suspendedError(): DomainError {
  return new DomainError("account_suspended", "This account is suspended; ask an administrator");
}
