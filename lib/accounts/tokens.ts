import { createHash } from "node:crypto";

/** Random bytes of every secret that is made here: nobody guesses 256 bits. */
const SECRET_BYTES = 32;

/** What API keys begin with, so that people and scanners of leaked secrets know one. */
export const API_KEY_PREFIX = "rk_";

/** Last characters of a key that lists show; 24 of its 256 bits. */
const HINT_CHARACTERS = 4;

/** A new secret for a cookie or a link: 43 characters that need no escaping anywhere. */
export function makeToken(): string {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A new API key, and what lists show of it. */
export function makeApiKey(): { key: string; hint: string } {
  const key = `${API_KEY_PREFIX}${makeToken()}`;
  return { key, hint: key.slice(-HINT_CHARACTERS) };
}

/** What the database keeps of a secret: its SHA-256. What is random by itself needs neither salt nor a slow hash. */
export function hashToken(token: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(token).digest());
}
