import { dirname } from "node:path";
import { DomainError } from "../errors.ts";

/**
 * Does `work` while no other process does work under the same lock file. The operating system frees the lock when a
 * process dies; the empty file stays, since removing it would let two holders in.
 *
 * @throws {DomainError} `model_busy` at once when another holds it; `busy` is the message.
 */
export async function withLock<Result>(
  path: string,
  { busy, work }: { busy: string; work: () => Promise<Result> },
): Promise<Result> {
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { create: true, write: true });
  if (!await file.tryLock(true)) throw new DomainError("model_busy", busy);
  try {
    return await work();
  } finally {
    await file.unlock();
  }
}
