import { importPKCS8, SignJWT } from "jose";
import { getValidatedIdTokenClaims } from "oauth4webapi";
import { exchangeCode, nameAuthorization, type OAuthParty, type OAuthProvider } from "./oauth.ts";

/** Where Apple answers; tests have one of their own. */
export interface ApplePlaces {
  issuer: string;
  authorize: string;
  token: string;
  keys: string;
}

const APPLE: ApplePlaces = {
  issuer: "https://appleid.apple.com",
  authorize: "https://appleid.apple.com/auth/authorize",
  token: "https://appleid.apple.com/auth/token",
  keys: "https://appleid.apple.com/auth/keys",
};

/** How long the secret that is signed for one exchange is good, in seconds. */
const SECRET_SECONDS = 300;

/** Longest name that an account takes, in characters. */
const NAME_CHARACTERS_MAX = 100;

/** What an Apple developer account gives. */
export interface AppleKeys {
  /** The Services ID. */
  clientId: string;
  teamId: string;
  keyId: string;
  /** The `.p8` file's text, PKCS #8. */
  privateKey: string;
}

/**
 * Signs in with Apple, which speaks OpenID Connect with manners of its own: the client's secret is a token that it signs
 * for itself, the answer is posted as a form, and the name comes beside it, the first time alone. An address may be one
 * that only relays; it is kept as it is.
 *
 * https://developer.apple.com/documentation/signinwithapplerestapi
 */
export function createAppleProvider(
  { places = APPLE, now = Date.now, ...keys }: AppleKeys & { places?: ApplePlaces; now?: () => number },
): OAuthProvider {
  const party: OAuthParty = {
    server: {
      issuer: places.issuer,
      authorization_endpoint: places.authorize,
      token_endpoint: places.token,
      jwks_uri: places.keys,
      id_token_signing_alg_values_supported: ["RS256"],
    },
    client: { client_id: keys.clientId, id_token_signed_response_alg: "RS256" },
  };
  return {
    name: "apple",
    postsForm: true,
    begin: (secrets) =>
      nameAuthorization(party, secrets, {
        scope: "openid name email",
        response_mode: "form_post",
        nonce: secrets.nonce,
      }),
    async finish(answer, secrets) {
      const secret = await signSecret(keys, { audience: places.issuer, now });
      const tokens = await exchangeCode(party, { answer, secrets, secret, nonce: secrets.nonce });
      const { sub, email, email_verified } = getValidatedIdTokenClaims(tokens)!;
      // Apple writes truth as a text or as a boolean.
      const verified = email_verified === true || String(email_verified) === "true";
      return {
        subject: sub,
        email: verified && typeof email === "string" ? email.toLowerCase() : null,
        displayName: readName(answer.get("user")),
      };
    },
  };
}

async function signSecret(
  { clientId, teamId, keyId, privateKey }: AppleKeys,
  { audience, now }: { audience: string; now: () => number },
): Promise<string> {
  const issuedAt = Math.floor(now() / 1000);
  return await new SignJWT().setProtectedHeader({ alg: "ES256", kid: keyId })
    .setIssuer(teamId).setSubject(clientId).setAudience(audience)
    .setIssuedAt(issuedAt).setExpirationTime(issuedAt + SECRET_SECONDS)
    .sign(await importPKCS8(privateKey, "ES256"));
}

/** The name beside the answer. Nobody has signed it, so that it is a wish and no more. */
function readName(user: string | null): string | null {
  try {
    const { firstName, lastName } = JSON.parse(user ?? "{}").name ?? {};
    const name = [firstName, lastName].filter((part) => typeof part === "string").join(" ").trim();
    return name === "" ? null : name.slice(0, NAME_CHARACTERS_MAX);
  } catch {
    return null;
  }
}
