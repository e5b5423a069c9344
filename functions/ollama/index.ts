import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { openCatalog } from "../../lib/catalog/catalog.ts";
import { readSettings } from "../../lib/env.ts";
import { nameDataFolder } from "../../lib/runtime/data_folder.ts";
import { createWorkerClient } from "../../lib/worker/client.ts";
import { createStandalone } from "../_shared/standalone.ts";
import { createApp } from "./app.ts";

const env = Deno.env.toObject();
const { dataDir, hfEndpoint, hfToken } = readSettings(env);

const library = openCatalog({
  manifestsDir: fileURLToPath(new URL("../../models", import.meta.url)),
  modelsDir: nameDataFolder(resolve(dataDir)).models,
  env: { hfEndpoint, hfToken },
});

export default createStandalone((parts) => createApp({ ...parts, library }), { env, connect: createWorkerClient });
