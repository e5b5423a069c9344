import { DomainError } from "../../lib/errors.ts";

/** Most bytes of a request's body. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** How long a whole body may take to arrive, in milliseconds. */
const BODY_TIMEOUT_MS = 60_000;

/** Bounds of {@linkcode readBody}. */
interface BodyLimits {
  bytesMax?: number;
  timeoutMs?: number;
}

/**
 * Reads a body, counting what arrives: the Content-Length is a claim.
 *
 * @throws {DomainError} `payload_too_large`, `request_timeout`, or `request_cancelled` when the client breaks off.
 */
export async function readBody(request: Request, limits: BodyLimits = {}): Promise<Uint8Array<ArrayBuffer>> {
  const { bytesMax = BODY_BYTES_MAX, timeoutMs = BODY_TIMEOUT_MS } = limits;
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLargeError(bytesMax);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    reader.cancel().catch(() => {});
  }, timeoutMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      bytes += read.value.length;
      if (bytes > bytesMax) throw tooLargeError(bytesMax);
      chunks.push(read.value);
    }
  } catch (error) {
    if (error instanceof DomainError) throw error;
    if (!timedOut) throw new DomainError("request_cancelled", "The body of the request broke off", { cause: error });
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
  if (timedOut) {
    throw new DomainError(
      "request_timeout",
      `The body of the request did not arrive within ${timeoutMs / 1000} seconds`,
    );
  }
  return join(chunks, bytes);
}

function join(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function tooLargeError(bytesMax: number): DomainError {
  const mebibytes = bytesMax / 1024 / 1024;
  return new DomainError("payload_too_large", `The body of the request is larger than ${mebibytes} MiB; send less`);
}
