import * as oauth from "oauth4webapi";
import type { ProviderName } from "../contracts/account.ts";
import { DomainError } from "../errors.ts";

/** How long another service may take for each answer, in milliseconds. */
const STEP_MS = 10_000;

/** Whom another service vouches for. */
export interface VouchedPerson {
  /** The service's own id of the person, which never changes. */
  subject: string;
  /** An address that the service has verified, also one that only relays, or null. */
  email: string | null;
  displayName: string | null;
}

/** What is made for one sign-in and must come back from it. */
export interface SignInSecrets {
  /** Ties the answer to the browser that asked. */
  state: string;
  /** Ties the ID token to it. */
  nonce: string;
  /** Ties the code to it (PKCE, RFC 7636). */
  verifier: string;
  /** Where the service sends the browser back to. */
  redirectUri: string;
}

/** Another service that vouches for people, by OAuth 2 with a code and PKCE. */
export interface OAuthProvider {
  readonly name: ProviderName;
  /** Whether the answer comes as a form that the service's page posts, instead of in the address. */
  readonly postsForm: boolean;
  /** The address that the browser is sent to. */
  begin(secrets: SignInSecrets): Promise<string>;
  /**
   * Checks what the browser brought back and asks the service who it is.
   *
   * @throws {DomainError} `sign_in_failed`.
   */
  finish(answer: URLSearchParams, secrets: SignInSecrets): Promise<VouchedPerson>;
}

/** How to reach a service. */
export interface OAuthParty {
  server: oauth.AuthorizationServer;
  client: oauth.Client;
}

/** Secrets for one sign-in. */
export function makeSignInSecrets(redirectUri: string): SignInSecrets {
  return {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    redirectUri,
  };
}

/** The address at which the service asks the person; `more` is what this service alone wants. */
export async function nameAuthorization(
  { server, client }: OAuthParty,
  { state, verifier, redirectUri }: SignInSecrets,
  more: Record<string, string>,
): Promise<string> {
  const url = new URL(server.authorization_endpoint!);
  const parameters = {
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUri,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * Exchanges the code of an answer for tokens, all checks of OAuth and OpenID Connect included.
 *
 * @throws {DomainError} `sign_in_failed`; its cause says which check.
 */
export async function exchangeCode(
  { server, client }: OAuthParty,
  { answer, secrets, secret, nonce }: {
    answer: URLSearchParams;
    secrets: SignInSecrets;
    /** What the client shows of itself. */
    secret: string;
    /** What the ID token must hold, or null where the service gives none. */
    nonce: string | null;
  },
): Promise<oauth.TokenEndpointResponse> {
  try {
    const checked = oauth.validateAuthResponse(server, client, answer, secrets.state);
    const { redirectUri, verifier } = secrets;
    const auth = oauth.ClientSecretPost(secret);
    const options = requestOptions(server);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      auth,
      checked,
      redirectUri,
      verifier,
      options,
    );
    const expected = nonce === null ? {} : { expectedNonce: nonce, requireIdToken: true };
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, expected);
    // TLS vouches for what comes from the service itself; its signature does so behind any proxy as well.
    if (nonce !== null) await oauth.validateApplicationLevelSignature(server, response, options);
    return tokens;
  } catch (cause) {
    throw explainFailure(cause);
  }
}

/** A deadline for every request; plain http is for services on this very machine, which tests start. */
function requestOptions({ token_endpoint }: oauth.AuthorizationServer) {
  const isPlain = new URL(token_endpoint!).protocol === "http:";
  return { signal: () => AbortSignal.timeout(STEP_MS), [oauth.allowInsecureRequests]: isPlain };
}

/**
 * Fetches JSON with an access token.
 *
 * @throws {DomainError} `sign_in_failed` when the service does not give it.
 */
export async function fetchWithToken(url: string, token: string, headers: Record<string, string>): Promise<unknown> {
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, accept: "application/json", ...headers },
      redirect: "error",
      signal: AbortSignal.timeout(STEP_MS),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`${new URL(url).pathname} answered ${response.status}`);
    }
    return await response.json();
  } catch (cause) {
    throw explainFailure(cause);
  }
}

/** What the service says itself is for the log: whoever sent the browser here can have written it. */
function explainFailure(cause: unknown): DomainError {
  const refused = cause instanceof oauth.AuthorizationResponseError && cause.error === "access_denied";
  const message = refused
    ? "The other service was not allowed to say who you are; nothing has changed"
    : "Cannot sign in: the other service did not vouch for you in the way that it has to; begin again";
  return new DomainError("sign_in_failed", message, { cause });
}
