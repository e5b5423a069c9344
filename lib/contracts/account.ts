import { z } from "zod";

/** What an account may do: everything, hold conversations, or read what is shared with it. */
export const Role = z.enum(["admin", "user", "read_only"]);
export type Role = z.infer<typeof Role>;

/**
 * What a key may be used for: asking models, reading what its account reads, writing what its account writes, and what
 * only administrators may. A scope never gives more than the account's role does.
 */
export const Scope = z.enum(["inference", "read", "write", "admin"]);
export type Scope = z.infer<typeof Scope>;

/** Who may make an account: everyone, who has an invitation, or nobody. The first account is made in any case. */
export const SignUpPolicy = z.enum(["open", "invitation", "closed"]);
export type SignUpPolicy = z.infer<typeof SignUpPolicy>;

/** Other services that vouch for a person. */
export const ProviderName = z.enum(["github", "apple"]);
export type ProviderName = z.infer<typeof ProviderName>;

/** Longest address that RFC 5321 lets a mail server accept. */
const EMAIL_CHARACTERS_MAX = 254;

/** Fewest and most characters of a password: NIST SP 800-63B asks for eight, and hashing has to end. */
const PASSWORD_CHARACTERS = { min: 8, max: 128 } as const;

/** An address as accounts are told apart by: without space around it and in lower case. */
export const Email = z.string().max(EMAIL_CHARACTERS_MAX).transform((text) => text.trim().toLowerCase())
  .pipe(z.email({ error: "expected an address such as ada@example.org" }));

/** A password that is chosen. Unicode counts as it is written: nobody's letters are more than one character. */
export const NewPassword = z.string().refine((text) => {
  const characters = [...text.normalize("NFC")].length;
  return characters >= PASSWORD_CHARACTERS.min && characters <= PASSWORD_CHARACTERS.max;
}, { error: `expected ${PASSWORD_CHARACTERS.min} to ${PASSWORD_CHARACTERS.max} characters` });

/** Beyond this many UTF-16 units nothing that is sent can be a password of somebody. */
const GIVEN_PASSWORD_UNITS_MAX = 4 * PASSWORD_CHARACTERS.max;

/** A password that is given to be compared; one that could not have been chosen is merely wrong. */
export const GivenPassword = z.string().max(GIVEN_PASSWORD_UNITS_MAX);

/** What a person wants to be called, or a key. */
const Name = z.string().transform((text) => text.trim()).pipe(z.string().min(1).max(100));

/** A secret of one use, as links carry it. */
export const OneTimeToken = z.string().regex(/^[A-Za-z0-9_-]{43}$/, {
  error: "expected the token that the link holds",
});

/** A time as texts carry it, in UTC: RFC 3339. */
const Time = z.iso.datetime({ offset: true });

/** An account as it sees itself. */
export const Account = z.object({
  id: z.uuid(),
  email: z.string().nullable(),
  displayName: z.string(),
  role: Role,
  createdAt: Time,
});
export type Account = z.infer<typeof Account>;

/** A request for an account. */
export const SignUp = z.strictObject({
  email: Email,
  password: NewPassword,
  displayName: Name.optional(),
  /** That of an invitation, or the one that is printed at the start for the first account. */
  token: OneTimeToken.nullish(),
});
export type SignUp = z.infer<typeof SignUp>;

/** Email and password, to log in. */
export const LogIn = z.strictObject({
  email: z.string().max(EMAIL_CHARACTERS_MAX).transform((text) => text.trim().toLowerCase()),
  password: GivenPassword,
});

/** What a session's holder gets: the token goes into `Authorization: Bearer`, or is in a cookie already. */
export const SessionTokens = z.object({
  accessToken: z.string(),
  tokenType: z.literal("Bearer"),
  expiresInSeconds: z.int(),
  account: Account,
});
export type SessionTokens = z.infer<typeof SessionTokens>;

/** One place where an account is logged in. */
export const AccountSession = z.object({
  id: z.uuid(),
  current: z.boolean(),
  createdAt: Time,
  lastUsedAt: Time,
  expiresAt: Time,
  userAgent: z.string().nullable(),
  address: z.string().nullable(),
});
export type AccountSession = z.infer<typeof AccountSession>;

/** An API key as lists show it: never the key itself. */
export const ApiKey = z.object({
  id: z.uuid(),
  name: z.string(),
  scopes: z.array(Scope),
  /** The last characters of the key, to tell keys apart by. */
  hint: z.string(),
  createdAt: Time,
  expiresAt: Time.nullable(),
  lastUsedAt: Time.nullable(),
});
export type ApiKey = z.infer<typeof ApiKey>;

/** A request for a key. */
export const NewApiKey = z.strictObject({
  name: Name,
  scopes: z.array(Scope).min(1).max(Scope.options.length).transform((scopes) => [...new Set(scopes)]),
  expiresAt: Time.nullish(),
});
export type NewApiKey = z.infer<typeof NewApiKey>;

/** What a link to another service said of a person, as an account's own list shows it. */
export const LinkedIdentity = z.object({
  provider: ProviderName,
  email: z.string().nullable(),
  createdAt: Time,
});
export type LinkedIdentity = z.infer<typeof LinkedIdentity>;
