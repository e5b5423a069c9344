import { DomainError } from "../errors.ts";
import { checkPassword } from "./log_in.ts";
import { writeResetLetter } from "./mail.ts";
import type { AccountParts } from "./parts.ts";
import { requireGoodPassword } from "./passwords.ts";
import { callAsNobody, callForValue } from "./procedures.ts";
import { type Principal, requireSession, toClaims } from "./principal.ts";
import { nameNetwork, RATES } from "./rate_limits.ts";
import { readAccount } from "./sessions.ts";
import { hashToken, makeToken } from "./tokens.ts";

/** How long a link to set a password is good, in milliseconds. */
export const RESET_MS = 60 * 60 * 1000;

/**
 * Sends a letter with a link to set a password, if the address has an account; whoever asks is not told.
 *
 * @throws {DomainError} `not_found` where no letters go out; `rate_limited`.
 */
export async function requestReset(
  { database, limits, mail, log, now }: AccountParts,
  email: string,
  address: string | null,
): Promise<void> {
  if (mail === null) {
    throw new DomainError(
      "not_found",
      "No letters go out from here: ask an administrator for a link to set a password",
    );
  }
  await limits.take(RATES.mail, nameNetwork(address));
  await limits.take(RATES.mailAccount, email);
  const token = makeToken();
  const row = await callAsNobody<{ request_reset: boolean }>(database, {
    procedure: "app.request_reset",
    values: [email, hashToken(token), new Date(now() + RESET_MS)],
  });
  if (row?.request_reset !== true) return;
  // In its own time: how long it takes would tell that there is an account.
  mail.mailer.send(writeResetLetter(email, nameResetUrl(mail.publicUrl, token)))
    .catch((error: unknown) => log.warn("letter_not_sent", { error }));
}

/** The page to set a password on. What stands behind `#` is sent to no server and into no log. */
export function nameResetUrl(origin: string, token: string): string {
  return new URL(`/reset-password#token=${token}`, origin).href;
}

/**
 * Sets a password by a link, and ends every session of the account.
 *
 * @throws {DomainError} `invalid_link`, `invalid_request` for a weak password, `account_suspended`, `rate_limited`.
 */
export async function resetPassword(
  { database, passwords, limits }: AccountParts,
  { token, password }: { token: string; password: string },
  address: string | null,
): Promise<void> {
  requireGoodPassword(password, { email: null, param: "password" });
  await limits.take(RATES.link, nameNetwork(address));
  const hash = await passwords.hash(password);
  await callAsNobody(database, { procedure: "app.use_reset_token", values: [hashToken(token), hash] });
}

/**
 * Changes the password of who is logged in, and ends the account's other sessions. An account that came from elsewhere
 * has none yet, and sets its first by a link.
 *
 * @throws {DomainError} `invalid_credentials` when the present one is wrong, `invalid_request` for a weak new one,
 *   `rate_limited`.
 */
export async function changePassword(
  parts: AccountParts,
  principal: Principal,
  { current, next }: { current: string; next: string },
): Promise<void> {
  const email = await confirmPassword(parts, principal, current);
  requireGoodPassword(next, { email, param: "newPassword" });
  const hash = await parts.passwords.hash(next);
  await callForValue(parts.database, {
    claims: toClaims(principal),
    procedure: "app.change_password",
    values: [hash],
  });
}

/**
 * Deletes the account of who is logged in, with everything that is its own.
 *
 * @throws {DomainError} `invalid_credentials`, `rate_limited`, and what the database refuses, such as to be without an
 *   administrator.
 */
export async function deleteAccount(parts: AccountParts, principal: Principal, password: string): Promise<void> {
  await confirmPassword(parts, principal, password);
  await callForValue(parts.database, { claims: toClaims(principal), procedure: "app.delete_account" });
}

/** A session that somebody left open is not enough for what cannot be undone. */
async function confirmPassword(parts: AccountParts, principal: Principal, password: string): Promise<string> {
  const { userId } = requireSession(principal);
  const { email } = await readAccount(parts.database, toClaims(principal));
  const checked = email === null ? null : await checkPassword(parts, { email, password });
  if (email === null || checked?.correct !== true || checked.userId !== userId) {
    throw new DomainError(
      "invalid_credentials",
      "The present password is wrong; who has none sets one by a link first",
    );
  }
  return email;
}
