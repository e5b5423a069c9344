import { z } from "@hono/zod-openapi";
import { Email, Role, SignUpPolicy } from "../../lib/contracts/account.ts";
import * as contract from "../../lib/contracts/administration.ts";
import { PAGE_ITEMS } from "../../lib/contracts/conversation.ts";
import { ModelKind } from "../../lib/contracts/model.ts";
import { isBackupName } from "../../lib/database/stored_backups.ts";

/** Says that it was done, where there is nothing else to say. */
export const Done = z.object({ status: z.literal("ok") }).openapi("Done");

const cursor = z.string().max(200).optional().openapi({ description: "`nextCursor` of the page before" });
const limit = z.coerce.number().int().min(1).max(PAGE_ITEMS.max).default(PAGE_ITEMS.default);
const userId = z.uuid().optional().openapi({ description: "Only those of this account" });

/** Queries of lists. */
export const PageQuery = z.object({ cursor, limit });
export const UsersQuery = PageQuery.extend({
  search: z.string().max(254).optional().openapi({ description: "A part of the address or the name" }),
});
export const OwnedQuery = PageQuery.extend({ userId });
export const AuditQuery = PageQuery.extend({
  actor: z.uuid().optional().openapi({ description: "Only what this account did" }),
  action: z.string().max(60).optional().openapi({ description: "Only this, such as `sign_in_failed`" }),
});

const id = z.uuid().openapi({ param: { in: "path" } });

/** Paths of things that have an id. */
export const IdPath = z.object({ id });
export const InvitationPath = z.object({ id: contract.InvitationId.openapi({ param: { in: "path" } }) });
export const ModelPath = z.object({ id: z.string().min(1).max(256).openapi({ example: "smollm2-135m" }) });

/** A page of a list. */
function pageOf<Item extends z.ZodType>(item: Item, name: string) {
  return z.object({
    data: z.array(item),
    nextCursor: z.string().nullable().openapi({
      description: "Send it as `cursor` for the next page; null ends the list",
    }),
  }).openapi(name);
}

export const Users = pageOf(contract.ListedUser.openapi("ListedUser"), "ListedUsers");
export const Sessions = pageOf(contract.ListedSession.openapi("ListedSession"), "ListedSessions");
export const Keys = pageOf(contract.ListedKey.openapi("ListedKey"), "ListedKeys");
export const Invitations = pageOf(contract.Invitation.openapi("Invitation"), "Invitations");
export const Audit = pageOf(contract.AuditEntry.openapi("AuditEntry"), "AuditLog");

export const UserChanges = contract.UserChanges.openapi("UserChanges", {
  example: { role: "read_only", suspended: false },
});
export const HouseSettings = contract.HouseSettings.openapi("HouseSettings");
export const HouseSettingsChanges = z.strictObject({ signUp: SignUpPolicy.optional() }).openapi(
  "HouseSettingsChanges",
  { example: { signUp: "invitation" } },
);

export const InvitationBody = z.strictObject({
  role: Role.default("user"),
  email: Email.nullish().openapi({
    description: "The only address that it is good for; it gets a letter where they go out",
  }),
}).openapi("NewInvitation", { example: { role: "user", email: "bob@example.org" } });

/** A link that its maker passes on; it is not kept and not shown again. */
export const Link = z.object({ url: z.url(), expiresAt: z.iso.datetime({ offset: true }), sent: z.boolean() })
  .openapi("OneTimeLink");

/** How many sessions ended. */
export const EndedSessions = z.object({ revoked: z.int() }).openapi("EndedSessions");

const Residence = z.object({
  state: z.enum(["loading", "ready"]),
  active: z.int().openapi({ description: "Answers being computed" }),
  queued: z.int().openapi({ description: "Requests that wait" }),
  memoryBytes: z.int(),
  expiresAtMs: z.int().nullable().openapi({ description: "When it is unloaded if nobody asks it; null: never" }),
}).openapi("LoadedModel");

/** A model that is here, that could be, or that is on another server. */
export const AdminModel = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(["installed", "broken", "available", "remote"]),
  problem: z.string().nullable().openapi({ description: "Why a file that is there cannot be used" }),
  kind: ModelKind.nullable().openapi({ description: "Null while it is not here" }),
  sizeBytes: z.int().nullable(),
  partialBytes: z.int().openapi({ description: "What an unfinished pull has left" }),
  licence: z.string().nullable(),
  pulling: z.boolean(),
  loaded: Residence.nullable().openapi({ description: "Null while it is not in memory" }),
}).openapi("AdministeredModel");
export type AdminModel = z.infer<typeof AdminModel>;

export const Models = pageOf(AdminModel, "AdministeredModels");

export const PullBody = z.strictObject({
  model: z.string().min(1).max(300).openapi({
    description: "The id of a manifest, or hf.co/owner/repository with a quantization such as :Q8_0 or without",
    example: "smollm2-135m",
  }),
}).openapi("ModelPull");

export const LoadBody = z.strictObject({
  keepAliveMs: z.int().min(-1).max(1e12).nullish().openapi({
    description: "How long it stays after its last answer; -1 for ever; null as the settings say",
  }),
}).openapi("ModelLoad", { example: { keepAliveMs: 600_000 } });

/** How busy everything is. */
export const Queue = z.object({
  engine: z.object({
    state: z.enum(["loading", "ready", "gone"]),
    active: z.int(),
    queued: z.int(),
    queuedMax: z.int(),
    rssBytes: z.int(),
    memoryBytesMax: z.int(),
  }),
  answersInProgress: z.int().openapi({ description: "Answers of conversations, by all runtimes on the same database" }),
  pulls: z.array(z.string()).openapi({ description: "Models that are being pulled" }),
}).openapi("Jobs");

const Time = z.iso.datetime({ offset: true });

/** What the database is and how it is doing. */
export const DatabaseDescription = z.object({
  kind: z.enum(["embedded", "server"]),
  postgres: z.string().openapi({ example: "18.6" }),
  version: z.string().nullable().openapi({ description: "The last migration" }),
  sizeBytes: z.int(),
  walBytes: z.int().nullable().openapi({ description: "The write-ahead log; null where the server does not tell" }),
  lastVacuumAt: Time.nullable().openapi({ description: "Of any table, by whomever" }),
  lastAnalyzeAt: Time.nullable(),
}).openapi("Database");

/** A backup in the folder of data. */
const Backup = z.object({ name: z.string(), bytes: z.int(), createdAt: Time }).openapi("Backup");
export const Backups = pageOf(Backup, "Backups");

/** A backup that was made. */
export const MadeBackup = Backup.extend({
  path: z.string().openapi({ description: "On the machine that Rookery runs on" }),
  version: z.string().openapi({ description: "The last migration of the data" }),
  tables: z.int(),
  rows: z.int(),
}).openapi("MadeBackup");

export const BackupPath = z.object({
  name: z.string().refine(isBackupName, { error: "expected the name of a backup" })
    .openapi({ param: { in: "path" }, example: "rookery-20261124T120000Z.backup" }),
});
