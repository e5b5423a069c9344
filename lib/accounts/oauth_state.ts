import { createHash } from "node:crypto";
import { EncryptJWT, jwtDecrypt } from "jose";
import { z } from "zod";
import { ProviderName } from "../contracts/account.ts";
import { DomainError } from "../errors.ts";

/** How long somebody may take at the other service, in seconds. */
export const OAUTH_STATE_SECONDS = 600;

const OAuthState = z.object({
  provider: ProviderName,
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.string(),
  /** The token with which an account may be made, or null. */
  token: z.string().nullable(),
  /** The path to go to afterwards. */
  returnTo: z.string(),
  /** The session that the identity is to be linked to, or null to log in. */
  link: z.object({ userId: z.string(), sessionId: z.string().nullable() }).nullable(),
});

/** What has to come back with the browser from a sign-in elsewhere. */
export type OAuthState = z.infer<typeof OAuthState>;

/** Seals what waits in a cookie for a sign-in elsewhere: nobody can read, change or make it, and any runtime opens it. */
export class OAuthStates {
  readonly #key: Uint8Array;

  /** @param secret the one that access tokens are signed with; of it a key of its own is made. */
  constructor(secret: string) {
    this.#key = new Uint8Array(createHash("sha256").update(`rookery oauth state\n${secret}`).digest());
  }

  async seal(state: OAuthState): Promise<string> {
    return await new EncryptJWT({ oauth: state }).setProtectedHeader({ alg: "dir", enc: "A256GCM" })
      .setExpirationTime(`${OAUTH_STATE_SECONDS} seconds`).encrypt(this.#key);
  }

  /** @throws {DomainError} `sign_in_failed` when it is too old, is for another provider, or none of these. */
  async open(sealed: string | null, provider: ProviderName): Promise<OAuthState> {
    try {
      const { payload } = await jwtDecrypt(sealed ?? "", this.#key);
      const state = OAuthState.parse(payload["oauth"]);
      if (state.provider === provider) return state;
      throw new Error("The state is another provider's");
    } catch (cause) {
      const message = "This sign-in was not begun in this browser, or took too long; begin again";
      throw new DomainError("sign_in_failed", message, { cause });
    }
  }
}
