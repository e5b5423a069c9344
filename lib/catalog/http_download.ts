import { DomainError } from "../errors.ts";
import { explainWrite, writeAll } from "./disk.ts";
import type { PartFile, PartRecord } from "./part.ts";
import type { ProgressMeter } from "./progress.ts";
import { fetchFollowing, type LinkedFile } from "./redirects.ts";

/** How long a download waits and how often it tries again. */
export interface RetryPolicy {
  /** Without a byte for this long, a connection counts as dead. */
  stallTimeoutMs: number;
  /** Waits before each new attempt; their number is how many attempts may follow without progress. */
  retryDelaysMs: readonly number[];
}

/** What a download needs from around it. */
export interface DownloadContext {
  fetch: typeof fetch;
  policy: RetryPolicy;
  signal: AbortSignal;
  meter: ProgressMeter;
  /** Bytes of the whole file that lie before the one that is fetched now. */
  baseBytes: number;
  /** Throws `disk_full` when so many bytes more do not fit. */
  requireSpace(neededBytes: number): Promise<void>;
  /** Tells people what went wrong and what is done about it. */
  notify(message: string): void;
}

/** One file at one address, and what is known of it from elsewhere. */
export interface HttpDownload {
  url: string;
  /** Token for the origin of `url` alone. */
  token: string | null;
  /** Where to go when the token is missing; completes an answer of 401 or 403. */
  tokenHint: string;
  part: PartFile;
  /** What the manifest says; null when it does not. */
  sizeBytes: number | null;
  sha256: string | null;
}

/** An attempt that may go better the next time. */
class PassingError extends Error {
  constructor(message: string, readonly retryAfterMs: number | null = null) {
    super(message);
  }
}

/** Attempts count as progress from here on, so that a server cannot keep us for ever byte by byte. */
const PROGRESS_BYTES_MIN = 1024 * 1024;
const RETRY_AFTER_MS_MAX = 60_000;

/**
 * Downloads into `download.part`, going on with what is there when it is surely the same file (RFC 9110: Range with
 * If-Range). Returns the SHA-256 that the hub names, or null; the caller compares it with the bytes.
 *
 * @throws {DomainError} `pull_failed` when this address does not give the file (its message is the second half of a
 *   sentence), `disk_full`.
 */
export async function downloadHttp(download: HttpDownload, context: DownloadContext): Promise<string | null> {
  const { signal, policy } = context;
  let best = await download.part.sizeBytes();
  let failures = 0;
  for (;;) {
    try {
      return await attempt(download, context);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PassingError)) throw error;
      const size = await download.part.sizeBytes();
      if (size >= best + PROGRESS_BYTES_MIN) failures = 0;
      best = Math.max(best, size);
      const delayMs = policy.retryDelaysMs[failures++];
      if (delayMs === undefined) throw new DomainError("pull_failed", error.message, { cause: error });
      context.notify(`${new URL(download.url).host}: ${error.message}; trying again`);
      await sleep(error.retryAfterMs ?? delayMs, signal);
    }
  }
}

async function attempt(download: HttpDownload, context: DownloadContext): Promise<string | null> {
  const { part } = download;
  const start = await findStart(download);
  if (start.offset > 0 && start.offset === start.record?.totalBytes) return start.record.sha256;
  using stall = new StallGuard(context);
  const { response, linked } = await request(download, { start, context, stall });
  try {
    refuseStatus(response, download);
    const offset = response.status === 206 ? start.offset : 0;
    const seen = describeResponse(response, { url: download.url, linked, offset });
    refuseOtherFile(seen, download);
    if (offset > 0 && isOtherFile(seen, start.record)) throw new Changed();
    await context.requireSpace((seen.totalBytes ?? download.sizeBytes ?? 0) - offset);
    if (offset === 0) await part.discard();
    const known: PartRecord = { ...seen, sha256: download.sha256 ?? seen.sha256 };
    await part.writeRecord(known);
    await store(response, { part, offset, totalBytes: seen.totalBytes ?? download.sizeBytes, context, stall });
    return seen.sha256;
  } catch (error) {
    if (!(error instanceof Changed)) throw error;
    await part.discard();
    throw new PassingError("the file has changed since the last attempt", 0);
  } finally {
    stall.end();
    await response.body?.cancel().catch(() => {});
  }
}

/** The part on disk is not the beginning of what the server has now. */
class Changed extends Error {}

/** Where to go on: only where the bytes that are there are known to be the beginning of the same file. */
interface Start {
  offset: number;
  record: PartRecord | null;
  ifRange: string | null;
}

async function findStart(download: HttpDownload): Promise<Start> {
  const offset = await download.part.sizeBytes();
  const record = await download.part.readRecord();
  const nothing = { offset: 0, record: null, ifRange: null };
  const total = record?.totalBytes ?? download.sizeBytes;
  if (offset === 0 || record === null || (total !== null && offset > total)) return nothing;
  const sameUrl = record.url === download.url;
  // A known checksum tells what the whole will be, wherever it comes from. Without one, only the same address can.
  const sameFile = download.sha256 !== null
    ? record.sha256 === download.sha256
    : sameUrl && (record.validator !== null || record.sha256 !== null);
  return sameFile ? { offset, record, ifRange: sameUrl ? record.validator : null } : nothing;
}

async function request(
  download: HttpDownload,
  { start, context, stall }: { start: Start; context: DownloadContext; stall: StallGuard },
): Promise<{ response: Response; linked: LinkedFile }> {
  // Bytes are counted and hashed as they are: no compression on the way.
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "rookery" };
  if (start.offset > 0) headers["range"] = `bytes=${start.offset}-`;
  if (start.offset > 0 && start.ifRange !== null) headers["if-range"] = start.ifRange;
  const { url, token } = download;
  try {
    return await fetchFollowing({ url, headers, token, signal: stall.signal }, context.fetch);
  } catch (error) {
    throw asPassing(error, "no connection");
  }
}

function refuseStatus(response: Response, download: HttpDownload): void {
  const { status } = response;
  if (status === 200 || status === 206) return;
  if (status === 416) throw new Changed();
  if (status === 401 || status === 403) {
    throw new DomainError("pull_failed", `it answers ${status}: access denied${download.tokenHint}`);
  }
  if (status === 404 || status === 410) throw new DomainError("pull_failed", `it answers ${status}: no such file`);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new PassingError(`it answers ${status}`, readRetryAfterMs(response));
  }
  throw new DomainError("pull_failed", `it answers ${status}`);
}

function readRetryAfterMs(response: Response): number | null {
  const seconds = response.headers.get("retry-after");
  return seconds !== null && /^\d+$/.test(seconds) ? Math.min(Number(seconds) * 1_000, RETRY_AFTER_MS_MAX) : null;
}

/** What a response says of the whole file. */
function describeResponse(
  response: Response,
  { url, linked, offset }: { url: string; linked: LinkedFile; offset: number },
): PartRecord {
  const { headers } = response;
  const etag = headers.get("etag");
  const validator = etag !== null && etag.startsWith('"') ? etag : headers.get("last-modified");
  let totalBytes = linked.sizeBytes;
  if (response.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    if (range === null || Number(range[1]) !== offset || offset === 0) throw new Changed();
    if (range[2] !== "*") totalBytes = Number(range[2]);
  } else if (headers.has("content-length")) {
    totalBytes = Number(headers.get("content-length"));
  }
  return { url, validator, totalBytes, sha256: linked.sha256 };
}

/** @throws {DomainError} `pull_failed` before any byte is fetched when it cannot be the file of the manifest. */
function refuseOtherFile(seen: PartRecord, download: HttpDownload): void {
  if (download.sizeBytes !== null && seen.totalBytes !== null && seen.totalBytes !== download.sizeBytes) {
    throw new DomainError("pull_failed", `it has ${seen.totalBytes} bytes and should have ${download.sizeBytes}`);
  }
  if (download.sha256 !== null && seen.sha256 !== null && seen.sha256 !== download.sha256) {
    throw new DomainError("pull_failed", `its SHA-256 is ${seen.sha256} and should be ${download.sha256}`);
  }
}

/** Whether the rest that comes belongs to another file than the part; some servers honour Range and not If-Range. */
function isOtherFile(seen: PartRecord, record: PartRecord | null): boolean {
  if (record === null) return true;
  const differ = (a: unknown, b: unknown): boolean => a !== null && b !== null && a !== b;
  return differ(seen.totalBytes, record.totalBytes) || differ(seen.sha256, record.sha256) ||
    (seen.url === record.url && differ(seen.validator, record.validator));
}

interface Storing {
  part: PartFile;
  offset: number;
  totalBytes: number | null;
  context: DownloadContext;
  stall: StallGuard;
}

async function store(response: Response, { part, offset, totalBytes, context, stall }: Storing): Promise<void> {
  const { meter } = context;
  meter.restartAt(context.baseBytes + offset);
  meter.totalBytes ??= totalBytes === null ? null : context.baseBytes + totalBytes;
  using file = await Deno.open(part.path, { create: true, append: true });
  let size = offset;
  try {
    for await (const bytes of response.body ?? []) {
      stall.reset();
      size += bytes.length;
      if (totalBytes !== null && size > totalBytes) break;
      await writeAll(file, bytes);
      meter.add(bytes.length);
    }
    await file.syncData();
  } catch (error) {
    throw asPassing(explainWrite(error, "the download"), "the connection broke");
  }
  if (totalBytes === null || size === totalBytes) return;
  if (size < totalBytes) throw new PassingError(`the connection ended after ${size} of ${totalBytes} bytes`);
  await part.discard();
  throw new DomainError("pull_failed", `it sends more than the ${totalBytes} bytes that it should have`);
}

/** Network failures may pass; our own refusals and a full disk do not. */
function asPassing(error: unknown, what: string): unknown {
  if (error instanceof DomainError || error instanceof PassingError) return error;
  if (error instanceof Stalled) return new PassingError(error.message);
  return new PassingError(`${what} (${error instanceof Error ? error.message : String(error)})`);
}

class Stalled extends Error {}

/** Aborts a request when nothing came for a while, or when the caller's signal says so. */
class StallGuard implements Disposable {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly signal: AbortSignal;

  constructor({ signal, policy }: DownloadContext) {
    this.#timeoutMs = policy.stallTimeoutMs;
    this.signal = AbortSignal.any([signal, this.#controller.signal]);
    this.reset();
  }

  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Stalled(`nothing came for ${this.#timeoutMs / 1_000} seconds`));
    }, this.#timeoutMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
