import { createLlamaEngine } from "../inference/llama_engine.ts";
import { runWorker } from "./run_worker.ts";

await runWorker({ createEngine: createLlamaEngine });
