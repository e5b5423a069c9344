import { z } from "@hono/zod-openapi";
import {
  Account,
  AccountSession,
  Email,
  GivenPassword,
  LinkedIdentity,
  LogIn,
  NewPassword,
  OneTimeToken,
  ProviderName,
  Role,
  Scope,
  SessionTokens,
  SignUp,
  SignUpPolicy,
} from "../../lib/contracts/account.ts";

/** Says that it was done, where there is nothing else to say. */
export const Done = z.object({ status: z.literal("ok") }).openapi("Done");

/** Says that it was asked for, and nothing of what came of it. */
export const Accepted = z.object({ status: z.literal("accepted") }).openapi("Accepted");

/** What a page for logging in has to know. */
export const EntryPolicy = z.object({
  signUp: SignUpPolicy,
  hasAccounts: z.boolean().openapi({
    description: "Until there is one, the first one to sign up is the administrator",
  }),
  needsToken: z.boolean().openapi({ description: "Whether signing up needs a token: an invitation's or the start's" }),
  providers: z.array(ProviderName),
  mail: z.boolean().openapi({ description: "Whether a link to set a password can be sent" }),
}).openapi("EntryPolicy");

/** Whom Rookery takes the caller for. */
export const Me = z.object({
  kind: z.enum(["local", "session", "key"]),
  role: Role,
  scopes: z.array(Scope),
  account: Account.nullable().openapi({ description: "Null for who sits at the machine or holds ROOKERY_API_KEY" }),
}).openapi("Me");

// Contracts know nothing of OpenAPI: what is named in the document is made anew of their fields.
export const SignUpBody = z.strictObject(SignUp.shape).openapi("SignUp", {
  example: { email: "ada@example.org", password: "a thimble of rainwater", displayName: "Ada" },
});
export const LogInBody = z.strictObject(LogIn.shape).openapi("LogIn", {
  example: { email: "ada@example.org", password: "a thimble of rainwater" },
});
export const Tokens = z.object(SessionTokens.shape).openapi("SessionTokens");
export const SessionList = z.object({ sessions: z.array(AccountSession) }).openapi("Sessions");
export const IdentityList = z.object({ identities: z.array(LinkedIdentity) }).openapi("Identities");
export const AccountBody = z.object(Account.shape).openapi("Account");

/** What an account may change of itself. */
export const AccountChange = z.strictObject({
  displayName: z.string().transform((text) => text.trim()).pipe(z.string().min(1).max(100)),
}).openapi("AccountChange", { example: { displayName: "Ada" } });

export const PasswordChange = z.strictObject({ currentPassword: GivenPassword, newPassword: NewPassword })
  .openapi("PasswordChange", {
    example: { currentPassword: "a thimble of rainwater", newPassword: "lavender over the chimney" },
  });
export const ResetRequest = z.strictObject({ email: Email }).openapi("ResetRequest", {
  example: { email: "ada@example.org" },
});
export const Reset = z.strictObject({ token: OneTimeToken, password: NewPassword }).openapi("Reset", {
  example: { token: "Zm9yIG9uZSBhY2NvdW50LCBvbmNlLCBmb3IgYSB3ZWU", password: "a thimble of rainwater" },
});
export const Deletion = z.strictObject({ password: GivenPassword }).openapi("Deletion", {
  example: { password: "a thimble of rainwater" },
});

/** How a sign-in elsewhere begins. */
export const OAuthStart = z.strictObject({
  token: OneTimeToken.nullish().openapi({ description: "An invitation's, or the start's, where signing up needs one" }),
  returnTo: z.string().max(500).regex(/^\/(?![/\\])[^\s\\]*$/, { error: "expected a path such as /chat" }).default("/"),
}).openapi("OAuthStart", { example: { returnTo: "/" } });

/** Where the browser has to go for it. */
export const OAuthUrl = z.object({ url: z.url() }).openapi("OAuthUrl");

export const ProviderParams = z.object({ provider: ProviderName });
/** What another service's page posts, as OAuth names it; it is looked at by the rules of OAuth. */
export const OAuthForm = z.looseObject({
  state: z.string().optional(),
  code: z.string().optional(),
  error: z.string().optional(),
  user: z.string().optional(),
}).openapi("OAuthForm");

/** How many sessions ended. */
export const RevokedSessions = z.object({ revoked: z.int() }).openapi("RevokedSessions");

export const SessionParams = z.object({ id: z.uuid() });
