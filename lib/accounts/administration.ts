/** What administrators see and do of all accounts. The procedures of the database look at who asks. */
import { Role, Scope, SignUpPolicy } from "../contracts/account.ts";
import type {
  AuditEntry,
  HouseSettings,
  Invitation,
  ListedKey,
  ListedSession,
  ListedUser,
  UserChanges,
} from "../contracts/administration.ts";
import type { Page } from "../contracts/conversation.ts";
import { CURSOR_PARTS, type PageRequest, readCursor, toPage } from "../conversations/page_cursor.ts";
import { type Claims, type Database, toDomainError, type Value } from "../database/database.ts";
import { DomainError } from "../errors.ts";
import { callForRows, callForValue } from "./procedures.ts";
import { type Principal, toClaims } from "./principal.ts";

/** An administrator, and where accounts are kept. */
export interface Administrator {
  readonly database: Database;
  readonly claims: Claims;
}

/**
 * Takes an administrator for one. Who merely sits at the machine, or holds its key, is none: accounts are people's.
 *
 * @throws {DomainError} `forbidden` for anybody but an account with the scope `admin`.
 */
export function requireAdministratorAccount(database: Database, principal: Principal): Administrator {
  if (principal.userId !== null && principal.scopes.includes("admin")) {
    return { database, claims: toClaims(principal) };
  }
  throw new DomainError("forbidden", "Only the account of an administrator may do that: log in at /api/auth/login");
}

/** Accounts in the order of their making; `search` looks for a part of the address or the name. */
export async function listUsers(
  administrator: Administrator,
  { cursor, limit, search }: PageRequest & { search: string | null },
): Promise<Page<ListedUser>> {
  type Row = Record<"id" | "display_name" | "role" | "created_at", string> & {
    email: string | null;
    suspended_at: string | null;
    last_sign_in_at: string | null;
    sessions: number;
    keys: number;
  };
  const [afterId = null] = readCursor(cursor, [CURSOR_PARTS.id]) ?? [];
  const rows = await call<Row>(administrator, "app.list_users", [search, afterId, limit + 1]);
  const { data, nextCursor } = toPage(rows, { limit, keyOf: ({ id }) => [id] });
  const users = data.map((row) => ({
    id: row.id,
    email: row.email,
    displayName: row.display_name,
    role: Role.parse(row.role),
    suspendedAt: row.suspended_at,
    createdAt: row.created_at,
    lastSignInAt: row.last_sign_in_at,
    sessions: row.sessions,
    keys: row.keys,
  }));
  return { data: users, nextCursor };
}

/**
 * Gives an account another role, suspends it or takes that back, all or nothing. What it has under way ends.
 *
 * @throws {DomainError} `not_found`; `conflict` for the only administrator.
 */
export async function changeUser(
  { database, claims }: Administrator,
  userId: string,
  { role, suspended }: UserChanges,
): Promise<void> {
  try {
    await database.transaction(claims, async (session) => {
      if (role !== undefined) await session.query("select app.set_role($1, $2)", [userId, role]);
      if (suspended === true) await session.query("select app.suspend($1)", [userId]);
      if (suspended === false) await session.query("select app.unsuspend($1)", [userId]);
    });
  } catch (error) {
    throw toDomainError(error);
  }
}

/**
 * Erases an account with everything that is its own.
 *
 * @throws {DomainError} `not_found`; `conflict` for the only administrator.
 */
export async function deleteUser(administrator: Administrator, userId: string): Promise<void> {
  await call(administrator, "app.delete_user", [userId]);
}

/** Ends all sessions of an account, of one's own all but the one at hand; returns how many those were. */
export async function endSessionsOf({ database, claims }: Administrator, userId: string): Promise<number> {
  return await callForValue<number>(database, { claims, procedure: "app.revoke_other_sessions", values: [userId] });
}

/** Sessions that have not ended, of one account or of all, the youngest first. */
export async function listAllSessions(
  administrator: Administrator,
  { cursor, limit, userId }: PageRequest & { userId: string | null },
): Promise<Page<ListedSession>> {
  type Row = Record<"id" | "user_id" | "created_at" | "last_used_at" | "expires_at", string> & {
    email: string | null;
    user_agent: string | null;
    address: string | null;
  };
  const [at = null, id = null] = readCursor(cursor, [CURSOR_PARTS.time, CURSOR_PARTS.id]) ?? [];
  const rows = await call<Row>(administrator, "app.list_all_sessions", [userId, at, id, limit + 1]);
  const { data, nextCursor } = toPage(rows, { limit, keyOf: (row) => [row.created_at, row.id] });
  const sessions = data.map((row) => ({
    id: row.id,
    userId: row.user_id,
    email: row.email,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    userAgent: row.user_agent,
    address: row.address,
  }));
  return { data: sessions, nextCursor };
}

/** @throws {DomainError} `not_found`. */
export async function revokeAnySession(administrator: Administrator, sessionId: string): Promise<void> {
  await call(administrator, "app.revoke_session", [sessionId]);
}

/** Keys of one account or of all, the youngest first. */
export async function listAllKeys(
  administrator: Administrator,
  { cursor, limit, userId }: PageRequest & { userId: string | null },
): Promise<Page<ListedKey>> {
  type Row = Record<"id" | "user_id" | "name" | "hint" | "created_at", string> & {
    email: string | null;
    scopes: string[];
    expires_at: string | null;
    last_used_at: string | null;
    revoked_at: string | null;
  };
  const [beforeId = null] = readCursor(cursor, [CURSOR_PARTS.id]) ?? [];
  const rows = await call<Row>(administrator, "app.list_all_api_keys", [userId, beforeId, limit + 1]);
  const { data, nextCursor } = toPage(rows, { limit, keyOf: ({ id }) => [id] });
  const keys = data.map((row) => ({
    id: row.id,
    userId: row.user_id,
    email: row.email,
    name: row.name,
    scopes: row.scopes.map((scope) => Scope.parse(scope)),
    hint: row.hint,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    revokedAt: row.revoked_at,
  }));
  return { data: keys, nextCursor };
}

/** @throws {DomainError} `not_found`. */
export async function revokeAnyKey(administrator: Administrator, keyId: string): Promise<void> {
  await call(administrator, "app.revoke_api_key", [keyId]);
}

/** A SHA-256 in hexadecimal. */
const HASH = /^[0-9a-f]{64}$/;

/** Invitations, used or not, the youngest first. */
export async function listInvitations(
  administrator: Administrator,
  { cursor, limit }: PageRequest,
): Promise<Page<Invitation>> {
  type Row = Record<"role" | "created_at" | "expires_at", string> & {
    hash: Uint8Array;
    email: string | null;
    created_by: string | null;
    used_at: string | null;
  };
  const [at = null, hash = null] = readCursor(cursor, [CURSOR_PARTS.time, HASH]) ?? [];
  const values = [at, hash === null ? null : Uint8Array.fromHex(hash), limit + 1];
  const rows = await call<Row>(administrator, "app.list_invitations", values);
  const { data, nextCursor } = toPage(rows, { limit, keyOf: (row) => [row.created_at, row.hash.toHex()] });
  const invitations = data.map((row) => ({
    id: row.hash.toHex(),
    email: row.email,
    role: Role.parse(row.role),
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  }));
  return { data: invitations, nextCursor };
}

/** @throws {DomainError} `not_found`, also for one that was used. */
export async function revokeInvitation(administrator: Administrator, id: string): Promise<void> {
  await call(administrator, "app.revoke_invitation", [Uint8Array.fromHex(id)]);
}

/** What {@linkcode readAudit} looks for; null looks for anything. */
export interface AuditFilter {
  actor: string | null;
  action: string | null;
}

/** The audit log, the latest first. */
export async function readAudit(
  administrator: Administrator,
  { cursor, limit, actor, action }: PageRequest & AuditFilter,
): Promise<Page<AuditEntry>> {
  const [beforeId = null] = readCursor(cursor, [CURSOR_PARTS.number]) ?? [];
  const rows = await call<AuditEntry>(administrator, "app.read_audit", [beforeId, limit + 1, actor, action]);
  return toPage(rows, { limit, keyOf: ({ id }) => [id] });
}

/** What administrators have decided. */
export async function readHouseSettings(administrator: Administrator): Promise<HouseSettings> {
  type Row = { name: string; value: unknown };
  const rows = await call<Row>(administrator, "app.list_settings", []);
  // Without a row nobody may, as the procedures have it.
  const signUp = rows.find(({ name }) => name === "sign_up")?.value ?? "closed";
  return { signUp: SignUpPolicy.parse(signUp) };
}

/** Decides who may sign up. */
export async function setSignUpPolicy(administrator: Administrator, policy: SignUpPolicy): Promise<void> {
  await call(administrator, "app.set_setting", ["sign_up", policy]);
}

/**
 * Notes that all data left the database in a backup; the operator, who has no account, needs no note.
 *
 * @throws {DomainError} `forbidden` for an account that is not, or no more, an administrator's.
 */
export async function noteBackup({ database, claims }: Administrator, name: string): Promise<void> {
  try {
    await database.transaction(claims, async (session) => {
      const [row] = await session.query<{ is_admin: boolean }>("select app.is_admin() as is_admin");
      if (row?.is_admin !== true) throw new DomainError("forbidden", "Only an administrator may back up all data");
      await session.query("select app.record_event('export', $1, $2)", [name, { what: "backup" }]);
    });
  } catch (error) {
    throw toDomainError(error);
  }
}

async function call<Row extends object>(
  { database, claims }: Administrator,
  procedure: `app.${string}`,
  values: readonly Value[],
): Promise<Row[]> {
  return await callForRows<Row>(database, { claims, procedure, values });
}
