import type { SignUp, SignUpPolicy } from "../contracts/account.ts";
import { SignUpPolicy as Policies } from "../contracts/account.ts";
import { DomainError } from "../errors.ts";
import { writeExistsLetter } from "./mail.ts";
import type { AccountParts } from "./parts.ts";
import { requireGoodPassword } from "./passwords.ts";
import { callAsNobody, callForValue } from "./procedures.ts";
import { nameNetwork, RATES } from "./rate_limits.ts";
import { hashToken, makeToken } from "./tokens.ts";

/** For how long the token of the first account is good, in milliseconds: until somebody starts Rookery again. */
const FIRST_TOKEN_MS = 365 * 24 * 60 * 60 * 1000;

/** Who may sign up. Until there is an account the first one may, whatever the policy says. */
export async function readSignUpPolicy(
  { database }: Pick<AccountParts, "database">,
): Promise<{ policy: SignUpPolicy; hasAccounts: boolean }> {
  type Row = { policy: string; has_accounts: boolean };
  const row = await callAsNobody<Row>(database, { procedure: "app.sign_up_policy" });
  return { policy: Policies.parse(row!.policy), hasAccounts: row!.has_accounts };
}

/** Where somebody signs up from. */
export interface SignUpPlace {
  address: string | null;
  /** Whether that is the very machine, where the first account needs no token. */
  isLocal: boolean;
}

/**
 * Makes an account. An address that has one already gets no second, and whoever asks is not told: the answer and the work
 * are the same, and where letters go out the address's owner gets one.
 *
 * @throws {DomainError} `invalid_request` for a weak password, `sign_up_closed`, `invalid_link` for a token that is good
 *   for nothing, `rate_limited`.
 */
export async function signUp(parts: AccountParts, request: SignUp, place: SignUpPlace): Promise<void> {
  const { email, password, displayName, token = null } = request;
  requireGoodPassword(password, { email, param: "password" });
  await parts.limits.take(RATES.signUp, nameNetwork(place.address));
  const hash = await parts.passwords.hash(password);
  const tokenHash = token === null ? null : hashToken(token);
  try {
    await callAsNobody(parts.database, {
      procedure: "app.create_user",
      values: [email, hash, displayName ?? null, tokenHash, !place.isLocal],
    });
  } catch (error) {
    if (!(error instanceof DomainError && error.code === "account_exists")) throw error;
    tellOwner(parts, email);
  }
}

/** In its own time: how long a letter takes would tell that there is an account. */
function tellOwner({ mail, log, limits }: AccountParts, email: string): void {
  if (mail === null) return;
  const { mailer, publicUrl } = mail;
  limits.take(RATES.mailAccount, email)
    .then(() => mailer.send(writeExistsLetter(email, new URL("/login", publicUrl).href)))
    .catch((error: unknown) => log.warn("letter_not_sent", { error }));
}

/**
 * Makes the token with which the first account is made from elsewhere than this machine, to be printed at the start; null
 * when there is an account. Older ones are void then.
 */
export async function makeFirstAccountToken(
  { database, now = Date.now }: { database: AccountParts["database"]; now?: () => number },
): Promise<string | null> {
  const token = makeToken();
  const made = await callForValue<boolean>(database, {
    claims: { sub: null, role: "service_role" },
    procedure: "app.create_first_admin_token",
    values: [hashToken(token), new Date(now() + FIRST_TOKEN_MS)],
  });
  return made ? token : null;
}
