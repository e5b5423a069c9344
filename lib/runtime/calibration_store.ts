import { z } from "zod";
import type { ModelFile } from "../contracts/model.ts";
import { ThreadPlan } from "../contracts/worker.ts";
import { replaceFile } from "./data_folder.ts";

const Store = z.record(z.string(), ThreadPlan);
type Store = z.infer<typeof Store>;

/** Most models that are remembered; the oldest are forgotten. */
const CALIBRATIONS_MAX = 64;

/** What the best number of threads depends on. */
export interface CalibrationSubject {
  model: Pick<ModelFile, "id" | "sha256" | "sizeBytes">;
  /** Version of node-llama-cpp, and so of llama.cpp. */
  engineVersion: string;
  /** Name of the processor, as the system tells it. */
  cpu: string;
  cores: number;
}

/** Names a measurement: another model, engine, processor or number of cores is another name. */
export function nameCalibration({ model, engineVersion, cpu, cores }: CalibrationSubject): string {
  return [model.sha256 ?? `${model.id}:${model.sizeBytes}`, engineVersion, cpu, cores].join(" | ");
}

/** Threads that were measured before, or null. A file that is missing or damaged counts as empty: it is a cache. */
export async function readCalibration(path: string, name: string): Promise<ThreadPlan | null> {
  return (await readStore(path))[name] ?? null;
}

/**
 * Remembers threads that were measured.
 *
 * @throws {Error} what the file system says; the next start then measures again.
 */
export async function storeCalibration(path: string, entry: { name: string; threads: ThreadPlan }): Promise<void> {
  const { [entry.name]: _old, ...others } = await readStore(path);
  const kept = Object.entries(others).slice(-(CALIBRATIONS_MAX - 1));
  const store: Store = Object.fromEntries([...kept, [entry.name, entry.threads]]);
  replaceFile(path, JSON.stringify(store, null, 2) + "\n");
}

async function readStore(path: string): Promise<Store> {
  try {
    return Store.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch {
    return {};
  }
}
