import { formatBytes } from "../catalog/progress.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";

/** What a served model needs beside its weights at the very least: two processes and the smallest context. */
const BESIDE_WEIGHTS_BYTES = 384 * 1024 * 1024;

/** Reads a text file, or says null when it is not there. */
export type ReadText = (path: string) => Promise<string | null>;

/**
 * Memory that may still be taken, in bytes: what the system calls available, or less where a container's limit (cgroup
 * v2) says so. A container's page cache can be given back, so it counts as free.
 */
export async function measureFreeMemory(read: ReadText): Promise<number> {
  const { available } = Deno.systemMemoryInfo();
  const [limit, current, stat] = await Promise.all(
    ["memory.max", "memory.current", "memory.stat"].map((name) => read(`/sys/fs/cgroup/${name}`)),
  );
  if (limit === null || current === null || !/^\d+\s*$/.test(limit ?? "")) return available;
  const cacheBytes = Number(/^inactive_file (\d+)$/m.exec(stat ?? "")?.[1] ?? 0);
  return Math.max(0, Math.min(available, Number(limit) - Number(current) + cacheBytes));
}

/**
 * Makes sure that a model can be in memory at all; how much context fits beside it, the engine decides.
 *
 * @throws {DomainError} `not_enough_memory` with both numbers.
 */
export function requireMemory(model: Pick<ModelFile, "id" | "sizeBytes">, freeBytes: number): void {
  const neededBytes = model.sizeBytes + BESIDE_WEIGHTS_BYTES;
  if (neededBytes <= freeBytes) return;
  throw new DomainError(
    "not_enough_memory",
    `Cannot load model "${model.id}": it needs at least ${formatBytes(neededBytes)} of memory and ` +
      `${formatBytes(freeBytes)} are free; close other programs, or set ROOKERY_MODEL to a smaller model`,
    { details: { neededBytes, freeBytes } },
  );
}
