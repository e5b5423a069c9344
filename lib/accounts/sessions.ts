import type { Account, AccountSession, SessionTokens } from "../contracts/account.ts";
import { Role } from "../contracts/account.ts";
import { type Claims, type Database, toDomainError } from "../database/database.ts";
import type { ErrorCode } from "../contracts/error.ts";
import { DomainError } from "../errors.ts";
import { ACCESS_TOKEN_SECONDS } from "./access_tokens.ts";
import type { AccountParts } from "./parts.ts";
import { callAsNobody, callForRows, callForValue } from "./procedures.ts";
import { type Principal, requireSession, toClaims } from "./principal.ts";
import { hashToken, makeToken } from "./tokens.ts";

/** How long somebody stays logged in without coming back, in seconds: 30 days. */
export const SESSION_SECONDS = 30 * 24 * 60 * 60;

/** What is known of the program that logs in, for the list of sessions. */
export interface Client {
  address: string | null;
  userAgent: string | null;
}

/** A session as its holder gets it. */
export interface OpenSession {
  tokens: SessionTokens;
  /** Goes into a cookie that no script can read, and is good for one use. */
  refreshToken: string;
}

/** An account of `public.profiles`. */
interface ProfileRow {
  id: string;
  email: string | null;
  display_name: string;
  role: string;
  created_at: string;
}

/**
 * Begins a session of an account whose credential was checked.
 *
 * @throws {DomainError} `account_suspended`.
 */
export async function beginSession(parts: AccountParts, userId: string, client: Client): Promise<OpenSession> {
  const refreshToken = makeToken();
  const row = await callAsNobody<{ begin_session: string }>(parts.database, {
    procedure: "app.begin_session",
    values: [userId, hashToken(refreshToken), nameEnd(parts), client.userAgent, client.address],
  });
  return { tokens: await makeTokens(parts, { userId, sessionId: row!.begin_session }), refreshToken };
}

/** What the procedure says instead of raising, since it has to keep what it did. */
const REFUSALS: Partial<Record<ErrorCode, string>> = {
  account_suspended: "This account is suspended; ask an administrator",
  conflict: "This session was refreshed a moment ago, by another tab: try again with the cookie that it set",
  session_expired: "This session has ended by itself; log in again",
  session_revoked: "This session has ended; log in again",
  unauthorized: "There is no such session; log in again",
};

/**
 * Exchanges a refresh token. A token that comes back when it was used before ends the whole session: it was stolen, from
 * whoever comes first or second (RFC 9700, section 4.14.2).
 *
 * @throws {DomainError} `unauthorized`, `session_expired`, `session_revoked`, `account_suspended`, or `conflict` when
 *   another tab did so a moment ago; `rate_limited`.
 */
export async function refreshSession(parts: AccountParts, refreshToken: string): Promise<OpenSession> {
  const renewed = makeToken();
  const row = await callAsNobody<{ failure: ErrorCode | null; session_id: string; user_id: string }>(parts.database, {
    procedure: "app.refresh_session",
    values: [hashToken(refreshToken), hashToken(renewed), nameEnd(parts)],
  });
  const failure = row?.failure ?? null;
  if (row === null || failure !== null) {
    const code = failure ?? "unauthorized";
    throw new DomainError(code, REFUSALS[code] ?? "This session cannot go on; log in again");
  }
  const session = { userId: row.user_id, sessionId: row.session_id };
  return { tokens: await makeTokens(parts, session), refreshToken: renewed };
}

/**
 * Logs out who shows a refresh token, also one that was exchanged already. A token that is good for nothing has no session
 * to end.
 */
export async function endSession({ database }: AccountParts, refreshToken: string): Promise<void> {
  await callAsNobody(database, { procedure: "app.end_session", values: [hashToken(refreshToken)] });
}

/** Logs out: ends the session of `principal`, if that is one. */
export async function signOut({ database }: AccountParts, principal: Principal): Promise<void> {
  await callForValue(database, { claims: toClaims(principal), procedure: "app.sign_out" });
}

/** @throws {DomainError} `forbidden` without a session. */
export async function listSessions({ database }: AccountParts, principal: Principal): Promise<AccountSession[]> {
  requireSession(principal);
  type Row = Record<"id" | "created_at" | "last_used_at" | "expires_at", string> & {
    user_agent: string | null;
    address: string | null;
    is_current: boolean;
  };
  const rows = await callForRows<Row>(database, { claims: toClaims(principal), procedure: "app.list_sessions" });
  return rows.map((row) => ({
    id: row.id,
    current: row.is_current,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    userAgent: row.user_agent,
    address: row.address,
  }));
}

/** @throws {DomainError} `not_found` when the account has no such session, `forbidden` without one. */
export async function revokeSession(
  { database }: AccountParts,
  principal: Principal,
  sessionId: string,
): Promise<void> {
  requireSession(principal);
  await callForValue(database, { claims: toClaims(principal), procedure: "app.revoke_session", values: [sessionId] });
}

/**
 * Ends all sessions of an account but the one at hand; returns how many those were.
 *
 * @throws {DomainError} `forbidden` without a session.
 */
export async function revokeOtherSessions({ database }: AccountParts, principal: Principal): Promise<number> {
  requireSession(principal);
  return await callForValue<number>(database, {
    claims: toClaims(principal),
    procedure: "app.revoke_other_sessions",
  });
}

/**
 * The account behind `claims`, as it sees itself.
 *
 * @throws {DomainError} `session_revoked` when there is none, or none that may come in.
 */
export async function readAccount(database: Database, claims: Claims): Promise<Account> {
  const text = "select id, email, display_name, role, created_at from public.profiles where id = $1";
  try {
    const [row] = await database.transaction(claims, (session) => session.query<ProfileRow>(text, [claims.sub]));
    if (row !== undefined) return toAccount(row);
  } catch (error) {
    throw toDomainError(error);
  }
  throw new DomainError("session_revoked", "This session has ended; log in again");
}

/**
 * Changes what an account wants to be called.
 *
 * @throws {DomainError} `forbidden` without a session, and for an account that may only read.
 */
export async function changeDisplayName(
  { database }: AccountParts,
  principal: Principal,
  name: string,
): Promise<Account> {
  const { userId } = requireSession(principal);
  const text = `update public.profiles set display_name = $2 where id = $1
    returning id, email, display_name, role, created_at`;
  try {
    const values = [userId, name];
    const [row] = await database.transaction(
      toClaims(principal),
      (session) => session.query<ProfileRow>(text, values),
    );
    if (row !== undefined) return toAccount(row);
  } catch (error) {
    throw toDomainError(error);
  }
  throw new DomainError("forbidden", "An account that may only read changes nothing");
}

async function makeTokens(
  { database, tokens }: AccountParts,
  { userId, sessionId }: { userId: string; sessionId: string },
): Promise<SessionTokens> {
  const account = await readAccount(database, { sub: userId, role: "authenticated", session_id: sessionId });
  const accessToken = await tokens.sign(account, sessionId);
  return { accessToken, tokenType: "Bearer", expiresInSeconds: ACCESS_TOKEN_SECONDS, account };
}

function toAccount(row: ProfileRow): Account {
  return {
    id: row.id,
    email: row.email,
    displayName: row.display_name,
    role: Role.parse(row.role),
    createdAt: row.created_at,
  };
}

function nameEnd({ now }: AccountParts): Date {
  return new Date(now() + SESSION_SECONDS * 1000);
}
