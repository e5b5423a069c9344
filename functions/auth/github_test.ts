import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createGithubProvider, type GithubPlaces } from "../../lib/accounts/github_provider.ts";
import { type Browser, openTestHouse, readRefusal, type TestHouse } from "../../tests/fixtures/accounts.ts";
import { readJson } from "../../tests/fixtures/http.ts";

/** What the fake GitHub knows of a code that it gave out. */
interface Grant {
  challenge: string;
  redirectUri: string;
  user: { id: number; login: string; name: string | null };
  emails: { email: string; primary: boolean; verified: boolean }[];
}

const ADA: Pick<Grant, "user" | "emails"> = {
  user: { id: 583231, login: "ada", name: null },
  emails: [
    { email: "other@example.org", primary: false, verified: true },
    { email: "Ada@Example.org", primary: true, verified: true },
  ],
};

/**
 * GitHub as far as a sign-in meets it: errors come with status 200, codes are good once, its API refuses who names no
 * program, and answers name an issuer that nothing publishes.
 */
function startGithub(): AsyncDisposable & { places: GithubPlaces; grants: Map<string, Grant> } {
  const grants = new Map<string, Grant>();
  const tokens = new Map<string, Grant>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/login/oauth/access_token") {
      const form = new URLSearchParams(await request.text());
      const grant = grants.get(form.get("code") ?? "");
      grants.delete(form.get("code") ?? "");
      const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
      const isRight = grant?.challenge === challenge && grant.redirectUri === form.get("redirect_uri") &&
        form.get("client_id") === "Iv1.test" && form.get("client_secret") === "shh";
      if (!isRight) return Response.json({ error: "bad_verification_code", error_description: "incorrect or expired" });
      const token = `gho_${crypto.randomUUID()}`;
      tokens.set(token, grant);
      return Response.json({ access_token: token, token_type: "bearer", scope: "read:user,user:email" });
    }
    const grant = tokens.get(request.headers.get("authorization")?.replace("Bearer ", "") ?? "");
    if (!request.headers.has("user-agent") || grant === undefined) return new Response("Forbidden", { status: 403 });
    return Response.json(pathname === "/user" ? grant.user : grant.emails);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const places = {
    issuer: "https://github.com/login/oauth",
    authorize: `${url}/login/oauth/authorize`,
    token: `${url}/login/oauth/access_token`,
    api: url,
  };
  return { places, grants, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Consents at GitHub, and returns what its redirect brings back. */
function consent(url: string, github: ReturnType<typeof startGithub>, person: Pick<Grant, "user" | "emails">) {
  const asked = new URL(url).searchParams;
  const code = crypto.randomUUID();
  const grant = { challenge: asked.get("code_challenge")!, redirectUri: asked.get("redirect_uri")!, ...person };
  github.grants.set(code, grant);
  return new URLSearchParams({ code, state: asked.get("state")!, iss: "https://github.com/login/oauth" });
}

async function openHouse(github: ReturnType<typeof startGithub>): Promise<TestHouse> {
  const provider = createGithubProvider({ clientId: "Iv1.test", clientSecret: "shh", places: github.places });
  return await openTestHouse({ providers: [provider] });
}

async function begin(browser: Browser, body: object = {}): Promise<string> {
  return (await readJson(await browser.post("/api/auth/oauth/github", body))).url;
}

const finish = (browser: Browser, answer: URLSearchParams) => browser.get(`/api/auth/oauth/github/callback?${answer}`);

Deno.test("Signing in with GitHub takes the id for who it is, and the address that is primary and verified", async () => {
  await using github = startGithub();
  await using house = await openHouse(github);
  const ada = house.visit();
  assert.deepEqual((await readJson(await ada.get("/api/auth/policy"))).providers, ["github"]);
  const url = await begin(ada);
  assert.equal(new URL(url).searchParams.get("scope"), "read:user user:email");
  assert.equal(new URL(url).searchParams.get("redirect_uri"), "http://localhost:8000/api/auth/oauth/github/callback");
  const response = await finish(ada, consent(url, github, ADA));
  assert.equal(response.status, 303, await response.clone().text());
  assert.equal(response.headers.get("location"), "/");
  const { account } = await readJson(await ada.get("/api/auth/me"));
  assert.partialDeepStrictEqual(account, { email: "ada@example.org", displayName: "ada", role: "admin" });

  const renamed = { user: { id: 583231, login: "countess", name: "Ada" }, emails: [] };
  const again = house.visit();
  await finish(again, consent(await begin(again), github, renamed));
  assert.equal((await readJson(await again.get("/api/auth/me"))).account.id, account.id);
});

Deno.test("GitHub's errors with status 200, another issuer and another verifier sign nobody in", async () => {
  await using github = startGithub();
  await using house = await openHouse(github);
  const browser = house.visit();
  const state = (url: string) => new URL(url).searchParams.get("state")!;
  const wrongCode = new URLSearchParams({ code: "invented", state: state(await begin(browser)) });
  assert.deepEqual(await readRefusal(await finish(browser, wrongCode)), [401, "sign_in_failed"]);
  const wrongIssuer = consent(await begin(browser), github, ADA);
  wrongIssuer.set("iss", "https://evil.example");
  assert.deepEqual(await readRefusal(await finish(browser, wrongIssuer)), [401, "sign_in_failed"]);
  const stolen = consent(await begin(house.visit()), github, ADA);
  stolen.set("state", state(await begin(browser)));
  assert.deepEqual(await readRefusal(await finish(browser, stolen)), [401, "sign_in_failed"], "PKCE");
  const denied = new URLSearchParams({ error: "access_denied", state: state(await begin(browser)) });
  const { error } = await readJson(await finish(browser, denied));
  assert.match(error.message, /was not allowed/);
  assert.deepEqual(browser.cookies.size, 0);
});

Deno.test("Signing up by another service obeys the policy, and an invitation goes with it", async () => {
  await using github = startGithub();
  await using house = await openHouse(github);
  const admin = house.visit();
  await admin.join("admin@example.org");
  const ada = house.visit();
  const closed = await finish(ada, consent(await begin(ada), github, ADA));
  assert.deepEqual(await readRefusal(closed), [403, "sign_up_closed"]);
  const { url } = await readJson(await admin.post("/api/admin/invitations", { role: "read_only" }));
  const token = new URL(url).hash.replace("#token=", "");
  assert.equal((await finish(ada, consent(await begin(ada, { token }), github, ADA))).status, 303);
  assert.equal((await readJson(await ada.get("/api/auth/me"))).role, "read_only");
});

Deno.test("Nobody is sent to another site after signing in, and unknown services are not there", async () => {
  await using github = startGithub();
  await using house = await openHouse(github);
  const browser = house.visit();
  for (const returnTo of ["https://evil.example", "//evil.example", "/\\evil.example", "chat", "/a b", ""]) {
    const response = await browser.post("/api/auth/oauth/github", { returnTo });
    assert.deepEqual(await readRefusal(response), [400, "invalid_request"], returnTo);
  }
  assert.deepEqual(await readRefusal(await browser.post("/api/auth/oauth/apple", {})), [404, "not_found"]);
  assert.deepEqual(await readRefusal(await browser.post("/api/auth/oauth/elsewhere", {})), [400, "invalid_request"]);
});
