import type { Role, Scope } from "../contracts/account.ts";
import type { Claims } from "../database/database.ts";
import { DomainError } from "../errors.ts";

/**
 * Who sends a request, once their credential was looked at. `local` is who sits at this machine, or holds
 * ROOKERY_API_KEY (`key` without an account); `session` and `key` belong to an account; `anonymous` may use what is open.
 */
export interface Principal {
  kind: "anonymous" | "local" | "session" | "key";
  /** The account, or null where there is none. */
  userId: string | null;
  /** The account's role; who has no account but the machine or its key is `admin`, an anonymous one null. */
  role: Role | null;
  /** What this credential may be used for: never more than the role allows. */
  scopes: readonly Scope[];
  /** The session of a `session`, or null. */
  sessionId: string | null;
  /** The key of a `key`, or null. */
  keyId: string | null;
  /** Whose conversations and KV states the request works on: an account's id, a key's name, or `local`. */
  owner: string;
}

/** What a request brings along to be known by. */
export interface Credentials {
  /** The secret of `Authorization: Bearer`, or null. */
  bearer: string | null;
  /** The access token of the session's cookie, or null. */
  cookie: string | null;
  /** Whether the request comes from this very machine, and through no proxy. */
  isLocal: boolean;
}

/** While a request is under way: ends it when its session or key is revoked. */
export interface Access {
  /** Aborts, with a `session_revoked` or `account_suspended` {@linkcode DomainError}, when the principal lost its rights. */
  signal: AbortSignal;
  /** To be called when the answer's last byte has left. */
  end(): void;
}

/** The one resolver of every credential. */
export interface Principals {
  /**
   * Tells who sends a request, by what the database knows of them now.
   *
   * @throws {DomainError} `invalid_api_key` or `session_revoked` (401) and `account_suspended` when nobody may.
   */
  resolve(credentials: Credentials): Promise<Principal>;
  /** Watches over a request of `principal` that may take long. */
  watch(principal: Principal): Access;
}

/** What each role may do. Reading is all that a read-only account can, and it costs nobody a model's time. */
const ROLE_SCOPES: Record<Role, readonly Scope[]> = {
  admin: ["inference", "read", "write", "admin"],
  user: ["inference", "read", "write"],
  read_only: ["read"],
};

/** Of `scopes`, those that an account of this role may use; all of the role's own when none are given. */
export function limitScopes(role: Role, scopes: readonly Scope[] | null = null): readonly Scope[] {
  return scopes === null ? ROLE_SCOPES[role] : ROLE_SCOPES[role].filter((scope) => scopes.includes(scope));
}

const nobody = { userId: null, sessionId: null, keyId: null };

/** Who sits at this machine. */
export const LOCAL: Principal = {
  ...nobody,
  kind: "local",
  role: "admin",
  scopes: ROLE_SCOPES.admin,
  owner: "local",
};

/** Who showed nothing, where nothing has to be shown. */
export const ANONYMOUS: Principal = { ...nobody, kind: "anonymous", role: null, scopes: [], owner: "anonymous" };

/**
 * The claims under which the database works for `principal`; row level security decides by them. A key that may do less
 * than its account is less there, too.
 */
export function toClaims({ userId, scopes, sessionId, kind }: Principal): Claims {
  if (kind === "anonymous") return { sub: null, role: "anon" };
  if (userId === null) return { sub: null, role: "service_role", app_role: "admin" };
  const mayWrite = scopes.includes("write") ? "user" : "read_only";
  const session = sessionId === null ? {} : { session_id: sessionId };
  return { sub: userId, role: "authenticated", app_role: scopes.includes("admin") ? "admin" : mayWrite, ...session };
}

/**
 * Lets pass whose role and credential allow one of `scopes`.
 *
 * @throws {DomainError} `forbidden` that says what is missing.
 */
export function requireScope({ scopes, kind }: Principal, wanted: readonly Scope[]): void {
  if (scopes.some((scope) => wanted.includes(scope))) return;
  const needed = wanted.map((scope) => `"${scope}"`).join(" or ");
  throw new DomainError(
    "forbidden",
    kind === "key"
      ? `This key may not be used for that: it needs the scope ${needed}, in the hands of an account that may do it`
      : `This account may not do that: it needs the right to ${needed}; ask an administrator`,
  );
}

/**
 * Lets pass who is logged in: what an account does to itself is never left to a key or to whoever sits at the machine.
 *
 * @returns the account and the session.
 * @throws {DomainError} `forbidden` when there is no session.
 */
export function requireSession(principal: Principal): { userId: string; sessionId: string | null } {
  const { kind, userId, sessionId } = principal;
  if (kind !== "session" || userId === null) {
    throw new DomainError("forbidden", "Only who is logged in may do that: log in at /api/auth/login, not with a key");
  }
  return { userId, sessionId };
}
