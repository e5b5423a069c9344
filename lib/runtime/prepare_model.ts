import type { Catalog } from "../catalog/catalog.ts";
import { createProgressPrinter } from "../catalog/progress.ts";
import type { ModelFile } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";

/** Where a pull shows how far it is. */
export interface PullScreen {
  write(text: string): void;
  /** Whether `write` writes to a terminal, which can show a bar. */
  terminal: boolean;
}

/**
 * Finds the model to serve. The starter is fetched when it is not there; any other model was chosen by somebody, who
 * is told how to get it instead, because it may be large and has a licence to read.
 *
 * @throws {DomainError} what {@linkcode Catalog.find} and {@linkcode Catalog.pull} throw.
 */
export async function prepareModel(
  catalog: Catalog,
  { id, starterId, screen, signal }: { id: string; starterId: string; screen: PullScreen; signal: AbortSignal },
): Promise<ModelFile> {
  try {
    return await catalog.find(id);
  } catch (error) {
    const missing = error instanceof DomainError && error.code === "model_not_found";
    if (!missing || id !== starterId) throw error;
  }
  screen.write(`Fetching the starter model "${id}" (once)\n`);
  const printer = createProgressPrinter((text) => screen.write(text), { terminal: screen.terminal });
  try {
    return await catalog.pull(id, {
      signal,
      onProgress: (progress) => printer.show(progress),
      onNotice: (notice) => screen.write(`${notice}\n`),
    });
  } finally {
    printer.end();
  }
}
