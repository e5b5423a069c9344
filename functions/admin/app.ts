import type { AccountParts } from "../../lib/accounts/parts.ts";
import type { ModelLibrary, Pulls } from "../../lib/catalog/pulls.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { addAccounts } from "./accounts.ts";
import { addDatabase, addJobs } from "./database.ts";
import { addModels } from "./models.ts";

/** What administration stands on. */
export interface AdminOptions {
  accounts: AccountParts;
  inference: Inference;
  library: ModelLibrary;
  /** Pulls under way, by whomever. */
  pulls: Pulls;
  databaseKind: "embedded" | "server";
  /** Folder of backups. */
  backupsDir: string;
  edge: EdgeOptions;
}

/**
 * `/api/admin`: accounts and what they may, models, work under way, and the database. Of models and work whoever sits at
 * the machine may know and decide, as with `/api/pull`; accounts are for administrators who have one themselves.
 */
export function createApp(options: AdminOptions): App {
  const { accounts, inference, library, pulls, databaseKind, backupsDir, edge } = options;
  const { database } = accounts;
  const app = createFunction("admin", edge, { scopes: ["admin"] });
  addAccounts(app, accounts);
  addModels(app, { inference, library, pulls });
  addJobs(app, { database, inference, pulls });
  addDatabase(app, { database, databaseKind, backupsDir });
  return app;
}
