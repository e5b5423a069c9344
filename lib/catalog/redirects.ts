import { DomainError } from "../errors.ts";

/** What a hub says of a file before it sends the reader to where the bytes are. */
export interface LinkedFile {
  sha256: string | null;
  sizeBytes: number | null;
}

const REDIRECTS_MAX = 10;

/** A request whose token, if any, is for one origin alone. */
export interface AddressedRequest {
  url: string;
  headers: Record<string, string>;
  /** Bearer token of the origin that `url` is at; null when there is none. */
  token: string | null;
  signal: AbortSignal;
}

/**
 * Fetches and follows redirects itself, for two reasons: the token must not leave its origin, and a hub tells checksum
 * and size in the headers of its redirect (`x-linked-etag`, `x-linked-size`; they are believed from that origin only).
 *
 * @throws {DomainError} `pull_failed` for a redirect that leads nowhere safe; whatever `fetch` throws.
 */
export async function fetchFollowing(
  request: AddressedRequest,
  fetcher: typeof fetch,
): Promise<{ response: Response; linked: LinkedFile }> {
  let url = new URL(request.url);
  const home = url.origin;
  let atHome = true;
  let linked: LinkedFile = { sha256: null, sizeBytes: null };
  for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
    const headers = new Headers(request.headers);
    if (atHome && request.token !== null) headers.set("authorization", `Bearer ${request.token}`);
    const response = await fetcher(url, { headers, redirect: "manual", signal: request.signal });
    if (atHome) linked = readLinked(response.headers, linked);
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || location === null) return { response, linked };
    await response.body?.cancel();
    url = resolveRedirect(location, url);
    atHome &&= url.origin === home;
  }
  throw new DomainError("pull_failed", `it redirects more than ${REDIRECTS_MAX} times`);
}

function resolveRedirect(location: string, from: URL): URL {
  const url = URL.parse(location, from);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new DomainError("pull_failed", "it redirects to something that is no web address");
  }
  if (from.protocol === "https:" && url.protocol === "http:") {
    throw new DomainError("pull_failed", `it redirects from https to http (${url.host}), which anyone could change`);
  }
  return url;
}

function readLinked(headers: Headers, before: LinkedFile): LinkedFile {
  const sha256 = /^(?:W\/)?"?([0-9a-f]{64})"?$/.exec(headers.get("x-linked-etag") ?? "")?.[1] ?? null;
  const size = headers.get("x-linked-size");
  const sizeBytes = size !== null && /^\d{1,15}$/.test(size) ? Number(size) : null;
  return { sha256: sha256 ?? before.sha256, sizeBytes: sizeBytes ?? before.sizeBytes };
}
