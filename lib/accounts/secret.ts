import { dirname } from "node:path";
import { DomainError } from "../errors.ts";
import { makeToken } from "./tokens.ts";

/** Fewest characters of a secret: HS256 asks for a key of 256 bits (RFC 7518, section 3.2). */
const SECRET_CHARACTERS_MIN = 32;

/** Fewer different characters than these were typed by somebody, or are one key held down. */
const DIFFERENT_CHARACTERS_MIN = 10;

/** Secrets that documentation and examples show, and that anybody can sign with. */
const KNOWN_SECRETS = [
  "super-secret-jwt-token-with-at-least-32-characters-long",
  "your-super-secret-jwt-token-with-at-least-32-characters-long",
  "your-super-secret-jwt-token-with-at-least-32-characters",
];

/** Permissions of a file that others than its owner have. */
const OTHERS = 0o077;

/**
 * Refuses a secret that others may know or guess; `name` says where it comes from.
 *
 * @throws {DomainError} `invalid_config` that does not repeat it.
 */
export function requireStrongSecret(secret: string, name: string): void {
  const reason = findWeakness(secret);
  if (reason === null) return;
  const advice = "make one with: openssl rand -base64 32";
  throw new DomainError("invalid_config", `Cannot sign with what ${name} holds: ${reason}; ${advice}`, { param: name });
}

function findWeakness(secret: string): string | null {
  if (KNOWN_SECRETS.includes(secret)) return "it is a published example that anybody can sign with";
  if (secret.length < SECRET_CHARACTERS_MIN) return `it has fewer than ${SECRET_CHARACTERS_MIN} characters`;
  if (new Set(secret).size < DIFFERENT_CHARACTERS_MIN) return "it repeats a few characters";
  return null;
}

/**
 * The secret in the file `path`, made at the first call, readable by its owner alone.
 *
 * @throws {DomainError} `invalid_config` when it is weak, or when others may read it.
 */
export async function loadSecret(path: string): Promise<string> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await Deno.writeTextFile(path, makeToken(), { createNew: true, mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const { mode } = await Deno.stat(path);
  if (mode !== null && (mode & OTHERS) !== 0) {
    const message = `Others may read the secret in ${path}: run chmod 600 on it, or remove it, which ends all sessions`;
    throw new DomainError("invalid_config", message);
  }
  const secret = (await Deno.readTextFile(path)).trim();
  requireStrongSecret(secret, path);
  return secret;
}
