import { type ApiKey, type NewApiKey, Scope } from "../contracts/account.ts";
import type { Database } from "../database/database.ts";
import { callForRows, callForValue } from "./procedures.ts";
import { type Principal, requireSession, toClaims } from "./principal.ts";
import { hashToken, makeApiKey } from "./tokens.ts";

/** A row of `app.list_api_keys`. */
interface KeyRow {
  id: string;
  name: string;
  scopes: string[];
  hint: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
}

/**
 * Makes a key for programs. It is returned this one time: of it a hash is kept.
 *
 * @throws {DomainError} `forbidden` without a session, for a read-only account, or for a scope beyond its role.
 */
export async function createKey(
  database: Database,
  principal: Principal,
  { name, scopes, expiresAt = null }: NewApiKey,
): Promise<{ key: string; id: string; hint: string }> {
  requireSession(principal);
  const { key, hint } = makeApiKey();
  const id = await callForValue<string>(database, {
    claims: toClaims(principal),
    procedure: "app.create_api_key",
    values: [name, scopes, hashToken(key), hint, expiresAt],
  });
  return { key, id, hint };
}

/**
 * The keys of an account that are not revoked, the youngest first.
 *
 * @throws {DomainError} `forbidden` without a session.
 */
export async function listKeys(database: Database, principal: Principal): Promise<ApiKey[]> {
  requireSession(principal);
  const rows = await callForRows<KeyRow>(database, { claims: toClaims(principal), procedure: "app.list_api_keys" });
  return rows.filter(({ revoked_at }) => revoked_at === null).map((row) => ({
    id: row.id,
    name: row.name,
    scopes: row.scopes.map((scope) => Scope.parse(scope)),
    hint: row.hint,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  }));
}

/**
 * Revokes a key; what it has under way ends.
 *
 * @throws {DomainError} `not_found` when the account has no such key, `forbidden` without a session.
 */
export async function revokeKey(database: Database, principal: Principal, keyId: string): Promise<void> {
  requireSession(principal);
  await callForValue(database, { claims: toClaims(principal), procedure: "app.revoke_api_key", values: [keyId] });
}
