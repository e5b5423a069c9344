import { z } from "zod";
import { DomainError } from "../errors.ts";
import { exchangeCode, fetchWithToken, nameAuthorization, type OAuthParty, type OAuthProvider } from "./oauth.ts";

/** Where GitHub answers; tests have one of their own. */
export interface GithubPlaces {
  issuer: string;
  authorize: string;
  token: string;
  api: string;
}

/** GitHub publishes no metadata. The issuer is the `iss` that it sends with its answers (RFC 9207). */
const GITHUB: GithubPlaces = {
  issuer: "https://github.com/login/oauth",
  authorize: "https://github.com/login/oauth/authorize",
  token: "https://github.com/login/oauth/access_token",
  api: "https://api.github.com",
};

/** Its API refuses who does not say who they are, and versions itself by the day. */
const HEADERS = {
  accept: "application/vnd.github+json",
  "user-agent": "rookery",
  "x-github-api-version": "2022-11-28",
};

const User = z.object({ id: z.int(), login: z.string(), name: z.string().nullish() });
const Emails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }));

/**
 * Signs in with GitHub, which speaks OAuth 2 without OpenID: who it is tells its API.
 *
 * https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
 */
export function createGithubProvider(
  { clientId, clientSecret, places = GITHUB }: { clientId: string; clientSecret: string; places?: GithubPlaces },
): OAuthProvider {
  const party: OAuthParty = {
    server: { issuer: places.issuer, authorization_endpoint: places.authorize, token_endpoint: places.token },
    client: { client_id: clientId },
  };
  return {
    name: "github",
    postsForm: false,
    begin: (secrets) => nameAuthorization(party, secrets, { scope: "read:user user:email" }),
    async finish(answer, secrets) {
      const { access_token } = await exchangeCode(party, { answer, secrets, secret: clientSecret, nonce: null });
      const [user, emails] = await Promise.all([
        fetchWithToken(`${places.api}/user`, access_token, HEADERS),
        fetchWithToken(`${places.api}/user/emails`, access_token, HEADERS),
      ]);
      const { id, login, name } = readAnswer(User, user);
      const primary = readAnswer(Emails, emails).find((email) => email.primary && email.verified);
      return { subject: String(id), email: primary?.email.toLowerCase() ?? null, displayName: name ?? login };
    },
  };
}

function readAnswer<Answer>(schema: z.ZodType<Answer>, value: unknown): Answer {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const message = "GitHub's answer was not understood; try again, or log in with a password";
  throw new DomainError("sign_in_failed", message, { cause: result.error });
}
