import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { TLSSocket } from "node:tls";
import type { OperatorNote } from "./operator.ts";

/** What {@linkcode askOperator} asks. */
export interface OperatorQuestion {
  method: string;
  /** Path with its query. */
  path: string;
  /** Longest wait for the whole answer, in milliseconds. */
  timeoutMs: number;
}

/**
 * Asks a running Rookery as its operator. Where it speaks TLS the token is sent to nobody but who shows the very certificate
 * of the note: that was read from the folder of data, so neither its name nor who vouches for it matters.
 *
 * @throws {Error} when nothing answers there, with `code` `ECONNREFUSED` when nothing listens; when another certificate
 *   is shown; when it takes too long.
 */
export function askOperator(
  { url, cert, token }: OperatorNote,
  { method, path, timeoutMs }: OperatorQuestion,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { authorization: `Bearer ${token}`, "content-length": "0" };
  const options = { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) } as const;
  const address = new URL(path, url);
  const request = cert === null
    ? requestHttp(address, options)
    : requestHttps(address, { ...options, rejectUnauthorized: false });
  request.on("error", reject);
  request.on("response", (response) => {
    const parts: Uint8Array[] = [];
    response.on("data", (part: Uint8Array) => parts.push(part));
    response.on("error", reject);
    response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
  });
  if (cert === null) {
    request.end();
    return promise;
  }
  const { fingerprint256 } = new X509Certificate(cert);
  request.on("socket", (socket: TLSSocket) => {
    // Nothing is sent before the end of the request.
    socket.once("secureConnect", () => {
      if (socket.getPeerCertificate().fingerprint256 === fingerprint256) request.end();
      else request.destroy(new Error("it shows another certificate than the running Rookery's"));
    });
  });
  return promise;
}
