import { formatBytes } from "../catalog/progress.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";

/** What a served model needs beside its weights at the very least: two processes and the smallest context. */
const BESIDE_WEIGHTS_BYTES = 384 * 1024 * 1024;

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
