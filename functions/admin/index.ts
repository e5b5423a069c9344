import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openCatalog } from "../../lib/catalog/catalog.ts";
import { Pulls } from "../../lib/catalog/pulls.ts";
import { readSettings } from "../../lib/env.ts";
import { nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { createWorkerClient } from "../../lib/worker/client.ts";
import { openStandaloneAccounts } from "../_shared/standalone_accounts.ts";
import { WorkerFinder } from "../_shared/worker_finder.ts";
import { createApp } from "./app.ts";

const env = Deno.env.toObject();
const { accounts, edge } = await openStandaloneAccounts(env);
const { dataDir, hfEndpoint, hfToken } = readSettings(env);
const { worker: path, models: modelsDir, backups: backupsDir } = nameDataFolder(resolve(dataDir));
const inference = new WorkerFinder({ path, connect: createWorkerClient });
const library = openCatalog({
  manifestsDir: fileURLToPath(new URL("../../models", import.meta.url)),
  modelsDir,
  env: { hfEndpoint, hfToken },
});
const parts = { accounts, inference, library, pulls: new Pulls(library), backupsDir };
const { fetch } = createApp({ ...parts, databaseKind: "server", edge });

export default { fetch };
