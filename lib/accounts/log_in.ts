import { DomainError } from "../errors.ts";
import type { AccountParts } from "./parts.ts";
import { callAsNobody } from "./procedures.ts";
import { nameNetwork, RATES } from "./rate_limits.ts";
import { beginSession, type Client, type OpenSession } from "./sessions.ts";

/**
 * Logs in with an address and a password. Whether there is such an account, whether it has a password and whether the
 * password is wrong are one answer, after the same work.
 *
 * @throws {DomainError} `invalid_credentials`; `account_suspended` for who knows the password; `rate_limited`.
 */
export async function logIn(
  parts: AccountParts,
  { email, password }: { email: string; password: string },
  client: Client,
): Promise<OpenSession> {
  const network = nameNetwork(client.address);
  await parts.limits.take(RATES.logIn, network);
  const { userId, correct } = await checkPassword(parts, { email, password });
  if (!correct || userId === null) {
    // What was typed where an address belongs may be a password: of an unknown one nothing is kept.
    const values = ["sign_in_failed", userId, { address: client.address }];
    await callAsNobody(parts.database, { procedure: "app.record_event", values });
    throw new DomainError("invalid_credentials", "The address or the password is wrong");
  }
  const session = await beginSession(parts, userId, client);
  await parts.limits.giveBack(RATES.logIn, network);
  return session;
}

/**
 * The account that has this address, or null, and whether the password is its own. Every attempt counts against the
 * address that is tried, whether it has an account or not.
 *
 * @throws {DomainError} `rate_limited`.
 */
export async function checkPassword(
  { database, passwords, limits, log }: AccountParts,
  { email, password }: { email: string; password: string },
): Promise<{ userId: string | null; correct: boolean }> {
  await limits.take(RATES.logInAccount, email);
  type Row = { user_id: string; password_hash: string | null };
  const row = await callAsNobody<Row>(database, { procedure: "app.find_login", values: [email] });
  const { correct, renewed } = await passwords.verify(row?.password_hash ?? null, password);
  if (row === null || !correct) return { userId: row?.user_id ?? null, correct: false };
  await limits.giveBack(RATES.logInAccount, email);
  if (renewed !== null) {
    const values = [row.user_id, row.password_hash, renewed];
    await callAsNobody(database, { procedure: "app.renew_password_hash", values })
      .catch((error: unknown) => log.warn("password_hash_not_renewed", { error }));
  }
  return { userId: row.user_id, correct: true };
}
