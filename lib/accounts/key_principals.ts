import { createHash } from "node:crypto";
import { isSameSecret } from "../bearer.ts";
import { DomainError } from "../errors.ts";
import { type Access, type Credentials, LOCAL, type Principal, type Principals } from "./principal.ts";

/** Hexadecimal digits of a key's hash that name its owner: 48 bits tell keys apart and give none away. */
const OWNER_DIGITS = 12;

/** Watches over nothing: what has no account cannot be revoked. */
const UNREVOKED: Access = { signal: new AbortController().signal, end() {} };

/** Who holds ROOKERY_API_KEY: the operator, under an owner of its own that does not give the key away. */
export function createKeyPrincipal(apiKey: string): Principal {
  const digits = createHash("sha256").update(apiKey).digest("hex").slice(0, OWNER_DIGITS);
  const owner = `key-${digits}`;
  return { ...LOCAL, kind: "key", keyId: owner, owner };
}

/**
 * Resolves credentials where there are no accounts. Without a key everyone is `local`, whatever they send: clients that
 * insist on a key invent one. With a key its holder alone may come in.
 */
export function createKeyPrincipals(apiKey: string | null): Principals {
  const principal = apiKey === null ? LOCAL : createKeyPrincipal(apiKey);
  function resolve({ bearer }: Credentials): Principal {
    if (apiKey === null) return principal;
    if (bearer === null) {
      throw new DomainError("invalid_api_key", "A key is needed: send it as Authorization: Bearer <ROOKERY_API_KEY>");
    }
    if (!isSameSecret(bearer, apiKey)) {
      throw new DomainError("invalid_api_key", "The key is wrong: send the one that ROOKERY_API_KEY holds");
    }
    return principal;
  }
  return { resolve: (credentials) => Promise.try(resolve, credentials), watch: () => UNREVOKED };
}
