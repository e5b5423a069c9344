import { z } from "zod";
import { AccountSession, ApiKey, Role, SignUpPolicy } from "./account.ts";

/** A time as texts carry it, in UTC: RFC 3339. */
const Time = z.iso.datetime({ offset: true });

/** An account as administrators see it. */
export const ListedUser = z.object({
  id: z.uuid(),
  email: z.string().nullable(),
  displayName: z.string(),
  role: Role,
  suspendedAt: Time.nullable(),
  createdAt: Time,
  lastSignInAt: Time.nullable(),
  /** Sessions that have not ended, and keys that were not revoked. */
  sessions: z.int(),
  keys: z.int(),
});
export type ListedUser = z.infer<typeof ListedUser>;

/** What is to be different of an account; what is left out stays. */
export const UserChanges = z.strictObject({ role: Role.optional(), suspended: z.boolean().optional() });
export type UserChanges = z.infer<typeof UserChanges>;

/** A session of anybody's. */
export const ListedSession = AccountSession.omit({ current: true }).extend({
  userId: z.uuid(),
  email: z.string().nullable(),
});
export type ListedSession = z.infer<typeof ListedSession>;

/** A key of anybody's, never the key itself. */
export const ListedKey = ApiKey.extend({
  userId: z.uuid(),
  email: z.string().nullable(),
  revokedAt: Time.nullable(),
});
export type ListedKey = z.infer<typeof ListedKey>;

/** An invitation by its hash: its link was shown once and is not kept. */
export const InvitationId = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected the id of an invitation" });

/** An invitation that was made. */
export const Invitation = z.object({
  id: InvitationId,
  /** The only address that it is good for, or null for anybody's. */
  email: z.string().nullable(),
  role: Role,
  createdBy: z.uuid().nullable(),
  createdAt: Time,
  expiresAt: Time,
  usedAt: Time.nullable(),
});
export type Invitation = z.infer<typeof Invitation>;

/** Something that somebody did; the account may be gone by now. */
export const AuditEntry = z.object({
  id: z.int(),
  at: Time,
  actor: z.uuid().nullable(),
  action: z.string(),
  target: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** What administrators decide while Rookery runs. */
export const HouseSettings = z.object({ signUp: SignUpPolicy });
export type HouseSettings = z.infer<typeof HouseSettings>;
