import type { Context } from "hono";
import type { ProviderName } from "../../lib/contracts/account.ts";
import { beginOAuth, finishOAuth, type OAuthParts } from "../../lib/accounts/oauth_sign_in.ts";
import { OAUTH_STATE_SECONDS } from "../../lib/accounts/oauth_state.ts";
import { requireSession } from "../../lib/accounts/principal.ts";
import { DomainError } from "../../lib/errors.ts";
import { readCookie, removeCookie, writeCookie } from "../_shared/cookies.ts";
import type { App, FunctionEnv } from "../_shared/create_function.ts";
import { readBody } from "../_shared/limits.ts";
import * as routes from "./routes.ts";
import { describeClient, giveSession } from "./session_cookies.ts";

/** Most bytes of what another service's page posts. */
const FORM_BYTES_MAX = 65_536;

/** Adds signing in by other services. */
export function addElsewhere(app: App, accounts: OAuthParts): void {
  async function begin(
    c: Context<FunctionEnv>,
    provider: ProviderName,
    wish: { token: string | null; returnTo: string; link: { userId: string; sessionId: string | null } | null },
  ): Promise<{ url: string }> {
    const { origin } = c.get("visitor");
    const { url, sealed } = await beginOAuth(accounts, provider, { origin, ...wish });
    const crossSite = accounts.providers.get(provider)!.postsForm;
    writeCookie(c, "rookery_oauth", { value: sealed, maxAgeSeconds: OAUTH_STATE_SECONDS, crossSite });
    return { url };
  }

  async function finish(c: Context<FunctionEnv>, provider: ProviderName, answer: URLSearchParams): Promise<Response> {
    const sealed = readCookie(c, "rookery_oauth");
    removeCookie(c, "rookery_oauth");
    const { isLocal } = c.get("visitor");
    const given = { answer, sealed, client: describeClient(c), isLocal };
    const { session, returnTo } = await finishOAuth(accounts, provider, given);
    if (session !== null) giveSession(c, session);
    return c.redirect(returnTo, 303);
  }

  app.openapi(routes.beginOAuth, async (c) => {
    const { token = null, returnTo } = c.req.valid("json");
    return c.json(await begin(c, c.req.valid("param").provider, { token, returnTo, link: null }), 200);
  });

  app.openapi(routes.linkIdentity, async (c) => {
    const link = requireSession(c.get("principal"));
    const { returnTo } = c.req.valid("json");
    return c.json(await begin(c, c.req.valid("param").provider, { token: null, returnTo, link }), 200);
  });

  app.openapi(routes.finishByQuery, async (c) => {
    const { provider } = c.req.valid("param");
    requireManner(accounts, provider, { postsForm: false });
    return await finish(c, provider, new URL(c.req.url).searchParams);
  });

  // Described with its form, but read by hand: it is the one body here that is no JSON.
  app.openAPIRegistry.registerPath(routes.finishByForm);
  app.post(routes.finishByForm.getRoutingPath(), async (c) => {
    const { provider } = routes.finishByForm.request.params.parse(c.req.param());
    requireManner(accounts, provider, { postsForm: true });
    const body = await readBody(c.req.raw, { bytesMax: FORM_BYTES_MAX });
    return await finish(c, provider, new URLSearchParams(new TextDecoder().decode(body)));
  });
}

/** Each service answers in one way: taking both would open the second to whoever finds a use for it. */
function requireManner({ providers }: OAuthParts, name: ProviderName, { postsForm }: { postsForm: boolean }): void {
  const provider = providers.get(name);
  if (provider?.postsForm === postsForm) return;
  throw new DomainError("not_found", `${name} does not answer in this way here`);
}
