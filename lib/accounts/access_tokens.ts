import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
  SignJWT,
} from "jose";
import type { Account } from "../contracts/account.ts";
import { DomainError } from "../errors.ts";

/** How long an access token is good for, in seconds. What it may do is asked of the database each time in any case. */
export const ACCESS_TOKEN_SECONDS = 600;

/** Who issued a token: this is Rookery's own name for itself. */
const OWN_ISSUER = "rookery";

/** What Supabase's services ask of a user's token, as `aud` and as `role`. */
const AUDIENCE = "authenticated";

/** Clocks of two machines may differ by this much, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 10;

/** Algorithms of asymmetric keys that Supabase Auth signs with. */
const PUBLIC_KEY_ALGORITHMS = ["ES256", "RS256", "EdDSA"];

/** Longest token that is looked at, in characters: a cookie holds no more. */
const TOKEN_CHARACTERS_MAX = 4_096;

/** Another issuer whose users are Rookery's too: Supabase Auth, by the secret that it shares or by its public keys. */
export interface ForeignIssuer {
  /** Whether tokens that are signed with the very secret of Rookery's own are its, too. */
  sharesSecret: boolean;
  /** Finds its public keys, or null when there are none. */
  findKey: JWTVerifyGetKey | null;
}

/** What {@linkcode AccessTokens} are made of. */
export interface AccessTokensOptions {
  /** What HS256 is keyed with: at least 32 characters. */
  secret: string;
  /** Default: nobody else's tokens count. */
  foreign?: ForeignIssuer;
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number;
}

/** What a token proves by itself; whether it still holds is the database's to say. */
export interface TokenProof {
  userId: string;
  /** The session of a token that Rookery issued; null for another issuer's, whose sessions are not here. */
  sessionId: string | null;
}

/** Fetches public keys as they are needed, at most every 30 seconds; `url` is the operator's. */
export function findKeysAt(url: string): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(url), { timeoutDuration: 5_000, cooldownDuration: 30_000 });
}

/**
 * Signs and verifies the short-lived tokens of sessions: JSON Web Tokens (RFC 7519) with the claims by which Supabase's
 * PostgREST, Storage and Realtime know a user.
 *
 * https://supabase.com/docs/guides/auth/jwt-fields
 */
export class AccessTokens {
  readonly #key: Uint8Array;
  readonly #foreign: ForeignIssuer;
  readonly #now: () => number;

  constructor({ secret, foreign = { sharesSecret: false, findKey: null }, now = Date.now }: AccessTokensOptions) {
    this.#key = new TextEncoder().encode(secret);
    this.#foreign = foreign;
    this.#now = now;
  }

  /** A token of {@linkcode ACCESS_TOKEN_SECONDS} for a session of `account`. */
  async sign(account: Pick<Account, "id" | "email" | "role">, sessionId: string): Promise<string> {
    const issuedAt = Math.floor(this.#now() / 1000);
    const claims = {
      role: AUDIENCE,
      email: account.email ?? "",
      session_id: sessionId,
      app_metadata: { role: account.role },
    };
    return await new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuer(OWN_ISSUER).setAudience(AUDIENCE).setSubject(account.id)
      .setIssuedAt(issuedAt).setExpirationTime(issuedAt + ACCESS_TOKEN_SECONDS)
      .sign(this.#key);
  }

  /**
   * Reads a token that somebody sends.
   *
   * @throws {DomainError} `session_expired` when it was good once, `unauthorized` when it was not, and
   *   `sign_in_failed` when the keys of the other issuer cannot be had.
   */
  async verify(token: string): Promise<TokenProof> {
    if (token.length > TOKEN_CHARACTERS_MAX) throw unknownTokenError();
    try {
      return this.#read(await this.#check(token));
    } catch (error) {
      if (error instanceof DomainError) throw error;
      if (error instanceof errors.JWTExpired) {
        throw new DomainError("session_expired", "The access token has expired; get another at /api/auth/refresh");
      }
      if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
        const message = "The keys that Supabase's tokens are signed with cannot be fetched; try again";
        throw new DomainError("sign_in_failed", message, { cause: error });
      }
      throw unknownTokenError(error);
    }
  }

  async #check(token: string): Promise<JWTPayload> {
    const options = {
      audience: AUDIENCE,
      requiredClaims: ["sub", "exp", "iat"],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(this.#now()),
    };
    const { findKey } = this.#foreign;
    // The key decides which algorithms count, never the token: a public key is no secret to key HS256 with.
    const isSymmetric = readAlgorithm(token) === "HS256";
    if (isSymmetric) return (await jwtVerify(token, this.#key, { ...options, algorithms: ["HS256"] })).payload;
    if (findKey === null) throw unknownTokenError();
    const { payload } = await jwtVerify(token, findKey, { ...options, algorithms: PUBLIC_KEY_ALGORITHMS });
    if (payload.iss === OWN_ISSUER) throw unknownTokenError();
    return payload;
  }

  /** Supabase's keys for services and for nobody are signed with the same secret: their `role` is another one. */
  #read(payload: JWTPayload): TokenProof {
    const { sub, iss, role, session_id, is_anonymous } = payload;
    if (role !== AUDIENCE || is_anonymous === true || !isUuid(sub)) throw unknownTokenError();
    if (iss === OWN_ISSUER) {
      if (!isUuid(session_id)) throw unknownTokenError();
      return { userId: sub, sessionId: session_id };
    }
    const isForeign = this.#foreign.sharesSecret || this.#foreign.findKey !== null;
    if (!isForeign) throw unknownTokenError();
    return { userId: sub, sessionId: null };
  }
}

/** What three parts between dots promise; nothing of it is believed. */
export function looksLikeJwt(text: string): boolean {
  return /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(text);
}

function readAlgorithm(token: string): unknown {
  try {
    return decodeProtectedHeader(token).alg;
  } catch (error) {
    throw unknownTokenError(error);
  }
}

function isUuid(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value);
}

function unknownTokenError(cause?: unknown): DomainError {
  return new DomainError("unauthorized", "The access token is not one of this Rookery; log in again", { cause });
}
