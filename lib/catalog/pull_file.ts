import { fileURLToPath } from "node:url";
import type { ManifestFile } from "../contracts/manifest.ts";
import { DomainError } from "../errors.ts";
import { appendFile, explainWrite, hashFile, removeAll, sizeOf } from "./disk.ts";
import { type DownloadContext, downloadHttp } from "./http_download.ts";
import { PartFile } from "./part.ts";
import { downloadFromPypi, type PipOptions } from "./pip_download.ts";
import { parseSource, resolveHubUrl, type Source } from "./sources.ts";

/** The hub that `hf:` sources mean. */
export interface HubAccess {
  /** e.g. `https://huggingface.co`, without a slash at its end. */
  hfEndpoint: string;
  /** Sent to the endpoint's origin alone; null sends none. */
  hfToken: string | null;
}

/** All that fetching a file needs beside its manifest. Its meter knows what the model has in all. */
export type PullContext = DownloadContext & { hub: HubAccess; pip: PipOptions };

/** A run of bytes that comes from one source: a whole file, or a part of one. */
interface Piece {
  sizeBytes: number | null;
  sha256: string | null;
  sources: readonly string[];
}

/**
 * Fetches a file of a manifest to `partPath` and returns its SHA-256. What an interrupted pull left there is used.
 * Wrong bytes are discarded; every source is tried in order.
 *
 * @throws {DomainError} `pull_failed` with the reason of each source, `disk_full`.
 */
export async function pullFile(file: ManifestFile, { partPath, context }: {
  partPath: string;
  context: PullContext;
}): Promise<string> {
  if (file.parts !== undefined) return await assemble(file, { partPath, context });
  const piece = { sizeBytes: file.sizeBytes, sha256: file.sha256, sources: file.sources ?? [] };
  return await fetchPiece(piece, { part: new PartFile(partPath), context, what: file.name });
}

/** Fetches parts one by one and appends each to the file at `partPath`, whose length tells how many are there. */
async function assemble(
  file: ManifestFile,
  { partPath, context }: { partPath: string; context: PullContext },
): Promise<string> {
  const parts = file.parts!;
  const presentBytes = await sizeOf(partPath) ?? 0;
  let baseBytes = 0;
  for (const [index, piece] of parts.entries()) {
    const end = baseBytes + piece.sizeBytes;
    if (presentBytes < end) {
      if (await sizeOf(partPath) !== null) await Deno.truncate(partPath, baseBytes); // a part that was half appended
      const part = new PartFile(`${partPath}-${index + 1}`);
      const what = `part ${index + 1} of ${parts.length} of ${file.name}`;
      await fetchPiece(piece, { part, context: { ...context, baseBytes: context.baseBytes + baseBytes }, what });
      await appendFile(part.path, partPath, { signal: context.signal }).catch((error) => {
        throw explainWrite(error, file.name);
      });
      await part.discard();
    }
    baseBytes = end;
  }
  const whole = { sizeBytes: file.sizeBytes ?? baseBytes, sha256: file.sha256 };
  const { sha256, problem } = await inspect(partPath, whole, context.signal);
  if (problem === null) return sha256;
  await removeAll(partPath);
  throw new DomainError(
    "pull_failed",
    `Cannot pull ${file.name}: put together ${problem}; it was discarded, pull again`,
  );
}

interface PieceTarget {
  part: PartFile;
  context: PullContext;
  /** Name of the piece in messages. */
  what: string;
}

async function fetchPiece(piece: Piece, { part, context, what }: PieceTarget): Promise<string> {
  if (piece.sha256 !== null && await part.sizeBytes() === piece.sizeBytes) {
    const { sha256, problem } = await inspect(part.path, piece, context.signal);
    if (problem === null) return sha256;
  }
  const problems: string[] = [];
  for (const text of piece.sources) {
    try {
      return await fetchVerified(piece, { source: parseSource(text), part, context });
    } catch (error) {
      context.signal.throwIfAborted();
      const cause = explainWrite(error, what);
      if (cause instanceof DomainError && cause.code !== "pull_failed") throw cause;
      problems.push(`${text}: ${cause instanceof Error ? cause.message : String(cause)}`);
      context.notify(problems.at(-1)!);
    }
  }
  throw new DomainError("pull_failed", `Cannot pull ${what}: ${problems.join("; ")}`);
}

interface SourceTarget {
  source: Source;
  part: PartFile;
  context: PullContext;
}

async function fetchVerified(piece: Piece, target: SourceTarget): Promise<string> {
  const { part, context } = target;
  const resumable = target.source.kind === "hub" || target.source.kind === "http";
  // Bytes of an earlier attempt may be the wrong ones, so a failure with them is tried once more without.
  for (let resumed = resumable && await part.sizeBytes() > 0;; resumed = false) {
    const told = await fetchFrom(piece, target);
    const { sha256, problem } = await inspect(part.path, { ...piece, sha256: piece.sha256 ?? told }, context.signal);
    if (problem === null) {
      await part.discardRecord();
      return sha256;
    }
    await part.discard();
    if (!resumed) throw new DomainError("pull_failed", `${problem}; it was discarded`);
    context.notify(`${problem}; starting over`);
  }
}

/** Brings the piece from one source and returns the SHA-256 that the source names, or null. */
async function fetchFrom(piece: Piece, { source, part, context }: SourceTarget): Promise<string | null> {
  const { sizeBytes, sha256 } = piece;
  switch (source.kind) {
    case "hub": {
      const url = resolveHubUrl(source, context.hub.hfEndpoint);
      const page = `${context.hub.hfEndpoint}/${source.owner}/${source.repository}`;
      const tokenHint = `; accept the model's licence at ${page} and set HF_TOKEN`;
      return await downloadHttp({ url, token: context.hub.hfToken, tokenHint, part, sizeBytes, sha256 }, context);
    }
    case "http":
      return await downloadHttp({ url: source.url, token: null, tokenHint: "", part, sizeBytes, sha256 }, context);
    case "pypi": {
      await part.discard();
      // The same name each time, so that the next pull clears what a killed one left.
      const download = { source, workFolder: `${part.path}.pip`, targetPath: part.path, sizeBytes };
      await downloadFromPypi(download, { pip: context.pip, context });
      return null;
    }
    case "file": {
      await part.discard();
      const path = fileURLToPath(source.url);
      const size = await sizeOf(path);
      if (size === null) throw new DomainError("pull_failed", "there is no such file");
      await context.requireSpace(size);
      context.meter.restartAt(context.baseBytes);
      await appendFile(path, part.path, context);
      return null;
    }
  }
}

/** Compares a file with what it should be; `problem` is the second half of a sentence, or null. */
async function inspect(
  path: string,
  expected: { sizeBytes: number | null; sha256: string | null },
  signal: AbortSignal,
): Promise<{ sha256: string; problem: string | null }> {
  const size = await sizeOf(path);
  if (size === null) return { sha256: "", problem: "it is missing" };
  if (expected.sizeBytes !== null && size !== expected.sizeBytes) {
    return { sha256: "", problem: `it has ${size} bytes and should have ${expected.sizeBytes}` };
  }
  const sha256 = await hashFile(path, { signal });
  const intact = expected.sha256 === null || sha256 === expected.sha256;
  return { sha256, problem: intact ? null : `its SHA-256 is ${sha256} and should be ${expected.sha256}` };
}
