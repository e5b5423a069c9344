import assert from "node:assert/strict";
import { createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { AccessTokens } from "./access_tokens.ts";

const SECRET = "7f0pNw-3kQzLr9sXvB1dYt6mHcEuGa2J";
const USER = "0b1f3a52-8c1d-4e0e-9a55-3f2c7d5b9e10";
const SESSION = "5d2f6a0e-1f7b-4c58-8f0f-9be4a6a3c111";
const ADA = { id: USER, email: "ada@example.org", role: "user" } as const;

/** The claims of a user's token as Supabase Auth writes them. */
const GOTRUE: JWTPayload = {
  aal: "aal1",
  amr: [{ method: "password", timestamp: 1_760_000_000 }],
  app_metadata: { provider: "email", providers: ["email"] },
  aud: "authenticated",
  email: "ada@example.org",
  is_anonymous: false,
  iss: "https://db.example.org/auth/v1",
  phone: "",
  role: "authenticated",
  session_id: SESSION,
  sub: USER,
  user_metadata: { email_verified: true },
};

async function sign(claims: JWTPayload, options: { key?: CryptoKey | Uint8Array; alg?: string; kid?: string } = {}) {
  const { key = new TextEncoder().encode(SECRET), alg = "HS256", kid } = options;
  const header = { alg, typ: "JWT", ...(kid === undefined ? {} : { kid }) };
  return await new SignJWT(claims).setProtectedHeader(header).setIssuedAt().setExpirationTime("1h").sign(key);
}

Deno.test("A token carries what Supabase's services ask of a user's, and is read again", async () => {
  const tokens = new AccessTokens({ secret: SECRET });
  const token = await tokens.sign(ADA, SESSION);
  const { exp, iat, ...claims } = decodeJwt(token);
  assert.deepEqual(claims, {
    iss: "rookery",
    aud: "authenticated",
    role: "authenticated",
    sub: USER,
    email: "ada@example.org",
    session_id: SESSION,
    app_metadata: { role: "user" },
  });
  assert.equal(exp! - iat!, 600);
  assert.deepEqual(await tokens.verify(token), { userId: USER, sessionId: SESSION });
});

Deno.test("A token that has run out says so; any other that does not fit is merely unknown", async () => {
  let nowMs = Date.now();
  const tokens = new AccessTokens({ secret: SECRET, now: () => nowMs });
  const token = await tokens.sign(ADA, SESSION);
  nowMs += 611_000;
  await assert.rejects(tokens.verify(token), { code: "session_expired" });
  nowMs -= 611_000;
  const [header, payload, signature] = token.split(".");
  const forged = btoa(JSON.stringify({ ...decodeJwt(token), sub: SESSION })).replaceAll("=", "");
  const unsigned = btoa(JSON.stringify({ alg: "none" })).replaceAll("=", "");
  const others = [
    `${header}.${forged}.${signature}`,
    `${unsigned}.${payload}.`,
    `${header}.${payload}`,
    `${token}x`,
    "eyJ.eyJ.x",
    "",
    "x".repeat(5_000),
    await sign({ ...decodeJwt(token) }, { key: new TextEncoder().encode(`${SECRET}x`) }),
    await sign({ ...decodeJwt(token), aud: "elsewhere" }),
    await sign({ ...decodeJwt(token), role: "service_role" }),
    await sign({ ...decodeJwt(token), sub: "not-a-uuid" }),
    await sign({ ...decodeJwt(token), session_id: null }),
  ];
  for (const other of others) await assert.rejects(tokens.verify(other), { code: "unauthorized" }, other);
});

Deno.test("Supabase Auth's tokens count where its secret is shared, those for services and for nobody do not", async () => {
  const shared = new AccessTokens({ secret: SECRET, foreign: { sharesSecret: true, findKey: null } });
  const alone = new AccessTokens({ secret: SECRET });
  assert.deepEqual(await shared.verify(await sign(GOTRUE)), { userId: USER, sessionId: null });
  await assert.rejects(alone.verify(await sign(GOTRUE)), { code: "unauthorized" });
  const keys: JWTPayload[] = [
    { iss: "supabase", ref: "abc", role: "anon" },
    { iss: "supabase", ref: "abc", role: "service_role" },
    { ...GOTRUE, role: "service_role" },
    { ...GOTRUE, is_anonymous: true },
  ];
  for (const key of keys) await assert.rejects(shared.verify(await sign(key)), { code: "unauthorized" });
});

Deno.test("Supabase Auth's tokens are verified by its public keys, which sign nothing in Rookery's name", async () => {
  const pair = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...await exportJWK(pair.publicKey), kid: "k1", alg: "ES256" };
  const foreign = { sharesSecret: false, findKey: createLocalJWKSet({ keys: [jwk] }) };
  const tokens = new AccessTokens({ secret: SECRET, foreign });
  const by = (key: CryptoKey, claims = GOTRUE) => sign(claims, { key, alg: "ES256", kid: "k1" });
  assert.deepEqual(await tokens.verify(await by(pair.privateKey)), { userId: USER, sessionId: null });
  const other = await generateKeyPair("ES256");
  await assert.rejects(tokens.verify(await by(other.privateKey)), { code: "unauthorized" });
  await assert.rejects(tokens.verify(await by(pair.privateKey, { ...GOTRUE, iss: "rookery" })), {
    code: "unauthorized",
  });
  const confused = new TextEncoder().encode(JSON.stringify(jwk));
  await assert.rejects(tokens.verify(await sign(GOTRUE, { key: confused, kid: "k1" })), { code: "unauthorized" });
  await assert.rejects(new AccessTokens({ secret: SECRET }).verify(await by(pair.privateKey)), {
    code: "unauthorized",
  });
});

Deno.test("Keys that cannot be fetched are not the token's fault", async () => {
  const pair = await generateKeyPair("ES256");
  const foreign = { sharesSecret: false, findKey: () => Promise.reject(new TypeError("connection refused")) };
  const tokens = new AccessTokens({ secret: SECRET, foreign });
  const token = await sign(GOTRUE, { key: pair.privateKey, alg: "ES256", kid: "k1" });
  await assert.rejects(tokens.verify(token), { code: "sign_in_failed" });
});
