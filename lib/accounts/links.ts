import type { Role } from "../contracts/account.ts";
import { writeInvitation } from "./mail.ts";
import type { AccountParts } from "./parts.ts";
import { nameResetUrl, RESET_MS } from "./password_changes.ts";
import { callForValue } from "./procedures.ts";
import { type Principal, toClaims } from "./principal.ts";
import { hashToken, makeToken } from "./tokens.ts";

/** How long an invitation is good, in milliseconds: a week. */
const INVITATION_MS = 7 * 24 * 60 * 60 * 1000;

/** A link to pass on, which is kept nowhere. */
export interface OneTimeLink {
  url: string;
  /** RFC 3339, in UTC. */
  expiresAt: string;
  /** Whether it was sent by mail. */
  sent: boolean;
}

/**
 * Makes a link with which an account sets a password, for an administrator to pass on.
 *
 * @throws {DomainError} `forbidden` for anybody else, `not_found` where there is no such account.
 */
export async function makeResetLink(
  { database, now }: AccountParts,
  principal: Principal,
  { userId, origin }: { userId: string; origin: string },
): Promise<OneTimeLink> {
  const token = makeToken();
  const expiresAt = new Date(now() + RESET_MS);
  await callForValue(database, {
    claims: toClaims(principal),
    procedure: "app.create_reset_token",
    values: [userId, hashToken(token), expiresAt],
  });
  return { url: nameResetUrl(origin, token), expiresAt: expiresAt.toISOString(), sent: false };
}

/**
 * Makes an invitation for one account. One that names an address is good for that alone, and goes there where letters go
 * out.
 *
 * @throws {DomainError} `forbidden` for anybody but an administrator, `mail_failed`.
 */
export async function makeInvitation(
  { database, mail, now }: AccountParts,
  principal: Principal,
  { role, email, origin }: { role: Role; email: string | null; origin: string },
): Promise<OneTimeLink> {
  const token = makeToken();
  const expiresAt = new Date(now() + INVITATION_MS);
  await callForValue(database, {
    claims: toClaims(principal),
    procedure: "app.create_invitation",
    values: [hashToken(token), role, expiresAt, email],
  });
  const url = new URL(`/signup#token=${token}`, origin).href;
  if (mail !== null && email !== null) await mail.mailer.send(writeInvitation(email, url));
  return { url, expiresAt: expiresAt.toISOString(), sent: mail !== null && email !== null };
}
