import type { Context } from "hono";
import { basename } from "node:path";
import { noteBackup, requireAdministratorAccount } from "../../lib/accounts/administration.ts";
import type { Pulls } from "../../lib/catalog/pulls.ts";
import { toPage } from "../../lib/conversations/page_cursor.ts";
import { backUpInto } from "../../lib/database/backup_folder.ts";
import { type Database, toDomainError } from "../../lib/database/database.ts";
import { describeDatabase } from "../../lib/database/description.ts";
import { listBackups, openBackup, removeBackup } from "../../lib/database/stored_backups.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { OPERATOR } from "../../lib/runtime/operator.ts";
import type { App, FunctionEnv } from "../_shared/create_function.ts";
import * as routes from "./routes.ts";

/** What the database is looked after with. */
export interface DatabaseParts {
  database: Database;
  databaseKind: "embedded" | "server";
  /** Folder of backups. */
  backupsDir: string;
}

/** Adds what administrators, and the operator's command lines, see and do of the database. */
export function addDatabase(app: App, { database, databaseKind, backupsDir }: DatabaseParts): void {
  app.openapi(routes.describeDatabase, async (c) => {
    await enter(c, database, null);
    return c.json({ kind: databaseKind, ...await asDomain(() => describeDatabase(database)) }, 200);
  });

  app.openapi(routes.listBackups, async (c) => {
    await enter(c, database, null);
    const { cursor = null, limit } = c.req.valid("query");
    const older = (await listBackups(backupsDir)).filter(({ name }) => cursor === null || name < cursor);
    return c.json(toPage(older.slice(0, limit + 1), { limit, keyOf: ({ name }) => [name] }), 200);
  });

  app.openapi(routes.writeBackup, async (c) => {
    await enter(c, database, "all data");
    const backup = await asDomain(() => backUpInto(database, backupsDir));
    return c.json({ name: basename(backup.path), ...backup }, 201);
  });

  app.openapi(routes.readBackup, async (c) => {
    const { name } = c.req.valid("param");
    await enter(c, database, name);
    const { bytes, readable } = await openBackup(backupsDir, name);
    return c.body(readable, 200, {
      "content-type": "application/gzip",
      "content-length": String(bytes),
      "content-disposition": `attachment; filename="${name}"`,
      "cache-control": "no-store, no-transform",
    });
  });

  app.openapi(routes.deleteBackup, async (c) => {
    await enter(c, database, null);
    await removeBackup(backupsDir, c.req.valid("param").name);
    return c.json({ status: "ok" as const }, 200);
  });
}

/** Adds what tells of work under way. */
export function addJobs(
  app: App,
  { database, inference, pulls }: { database: Database; inference: Inference; pulls: Pulls },
): void {
  app.openapi(routes.getJobs, async (c) => {
    const [{ models: _, ...engine }, [row]] = await Promise.all([
      inference.status(),
      asDomain(() =>
        database.asOwner((session) => {
          return session.query<{ answers: number }>("select count(*) as answers from app.answers");
        })
      ),
    ]);
    return c.json({ engine, answersInProgress: row!.answers, pulls: pulls.names }, 200);
  });
}

/**
 * Lets in the operator, who may read the files anyway, and administrators, whose exports of data are noted. Who merely
 * sits at the machine or holds its key may not: backups hold everybody's words.
 */
async function enter(c: Context<FunctionEnv>, database: Database, exported: string | null): Promise<void> {
  const principal = c.get("principal");
  if (principal === OPERATOR) return;
  const administrator = requireAdministratorAccount(database, principal);
  if (exported !== null) await noteBackup(administrator, exported);
}

async function asDomain<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toDomainError(error);
  }
}
