import { createHash, timingSafeEqual } from "node:crypto";

/**
 * The secret of an `Authorization: Bearer …` header (RFC 6750), or null: also for "Bearer" with nothing after it, which
 * Copilot sends when it has no key.
 */
export function readBearer(authorization: string | null): string | null {
  return /^Bearer\s+(\S+)\s*$/i.exec(authorization ?? "")?.[1] ?? null;
}

/**
 * Whether two secrets are the same. Their hashes are compared: those have one length, and the time that it takes says
 * nothing about how much of a secret was right.
 */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(hash(a), hash(b));
}

function hash(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
