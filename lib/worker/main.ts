import { openModels } from "./open_models.ts";
import { runWorker } from "./run_worker.ts";

await runWorker({ openModels });
