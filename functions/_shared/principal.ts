import { createHash } from "node:crypto";
import { isSameSecret, readBearer } from "../../lib/bearer.ts";
import { DomainError } from "../../lib/errors.ts";

/** Hexadecimal digits of a key's hash that name its owner: 48 bits tell keys apart and give none away. */
const OWNER_DIGITS = 12;

const LOCAL_OWNER = "local";
const KEY_OWNER_PREFIX = "key-";

/** Tells who sends a request, by its `Authorization` header or null; throws `invalid_api_key` when nobody may. */
export type Authenticate = (authorization: string | null) => string;

/**
 * Creates the one resolver of credentials. Without a key everyone is `local`, whatever they send: clients that insist on
 * a key invent one. With a key its holder is `key-` and the beginning of the key's SHA-256.
 */
export function createAuthenticate(apiKey: string | null): Authenticate {
  if (apiKey === null) return () => LOCAL_OWNER;
  const owner = `${KEY_OWNER_PREFIX}${createHash("sha256").update(apiKey).digest("hex").slice(0, OWNER_DIGITS)}`;
  return (authorization) => {
    const given = readBearer(authorization);
    if (given === null) {
      throw new DomainError("invalid_api_key", "A key is needed: send it as Authorization: Bearer <ROOKERY_API_KEY>");
    }
    if (!isSameSecret(given, apiKey)) {
      throw new DomainError("invalid_api_key", "The key is wrong: send the one that ROOKERY_API_KEY holds");
    }
    return owner;
  };
}

/**
 * Lets pass who may change what models there are. Until accounts have roles that is everyone whom {@linkcode Authenticate}
 * knows: who sits at this machine, and who holds its key.
 *
 * @throws {DomainError} `forbidden` for any other owner.
 */
export function requireAdministrator(owner: string): void {
  if (owner === LOCAL_OWNER || owner.startsWith(KEY_OWNER_PREFIX)) return;
  throw new DomainError("forbidden", "Only an administrator may change what models there are");
}
