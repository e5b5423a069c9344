import type { ErrorCode, ErrorReport } from "../../lib/contracts/error.ts";
import { DomainError, toReport } from "../../lib/errors.ts";

/** What a code means in HTTP. */
interface ErrorMeaning {
  status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 429 | 499 | 500 | 502 | 503 | 504 | 507;
  /** OpenAI's coarse class of an error. */
  type: string;
  /** When to try again, in seconds; null when that would not help. */
  retryAfterSeconds: number | null;
}

const badRequest: ErrorMeaning = { status: 400, type: "invalid_request_error", retryAfterSeconds: null };
const notFound: ErrorMeaning = { status: 404, type: "not_found", retryAfterSeconds: null };
const refused: ErrorMeaning = { status: 403, type: "permission_error", retryAfterSeconds: null };
const unauthorized: ErrorMeaning = { status: 401, type: "authentication_error", retryAfterSeconds: null };
const serverError: ErrorMeaning = { status: 500, type: "server_error", retryAfterSeconds: null };

/**
 * The one place where codes become statuses. Copilot shows a 503 as a rate limit and of other 5xx the number alone, so
 * that 503 is kept for what waiting helps.
 */
const MEANINGS: Record<ErrorCode, ErrorMeaning> = {
  account_exists: { ...badRequest, status: 409 },
  account_suspended: refused,
  already_running: serverError,
  answer_invalid: serverError,
  conflict: { ...badRequest, status: 409 },
  context_length_exceeded: badRequest,
  data_incompatible: serverError,
  database_unavailable: { ...serverError, status: 503, retryAfterSeconds: 5 },
  disk_full: { ...serverError, status: 507 },
  engine_gone: { ...serverError, status: 502 },
  engine_unavailable: { ...serverError, status: 503, retryAfterSeconds: 5 },
  forbidden: refused,
  internal_error: serverError,
  invalid_api_key: unauthorized,
  invalid_config: serverError,
  invalid_credentials: unauthorized,
  invalid_json: badRequest,
  invalid_link: badRequest,
  invalid_model_file: serverError,
  invalid_request: badRequest,
  mail_failed: { ...serverError, status: 502 },
  method_not_allowed: { ...badRequest, status: 405 },
  model_busy: { ...badRequest, status: 409 },
  model_exists: { ...badRequest, status: 409 },
  model_not_found: notFound,
  not_enough_memory: { ...serverError, status: 507 },
  not_found: notFound,
  payload_too_large: { ...badRequest, status: 413 },
  port_busy: serverError,
  prefill_timeout: { ...serverError, status: 504 },
  pull_failed: { ...serverError, status: 502 },
  queue_full: { status: 429, type: "rate_limit_error", retryAfterSeconds: 5 },
  queue_timeout: { ...serverError, status: 503, retryAfterSeconds: 30 },
  rate_limited: { status: 429, type: "rate_limit_error", retryAfterSeconds: 60 },
  // Nobody reads it: the status is nginx's for a client that closed the connection, for the log.
  request_cancelled: { ...badRequest, status: 499 },
  request_timeout: { ...badRequest, status: 408 },
  session_expired: unauthorized,
  session_revoked: unauthorized,
  sign_in_failed: unauthorized,
  sign_up_closed: refused,
  unauthorized,
  unsupported_media_type: { ...badRequest, status: 415 },
};

/** How an error is written: as OpenAI does, or as Ollama does below `/api/`. */
export type ErrorDialect = "openai" | "ollama";

/** Rookery's own endpoints below `/api/`, where Ollama has none. Their clients act on codes. */
const OWN_PATH = /^\/api\/(admin|auth|conversations|keys)(\/|$)/;

/** The dialect that clients of `path` read. */
export function dialectOf(path: string): ErrorDialect {
  const isOllama = path === "/api" || path.startsWith("/api/");
  return isOllama && !OWN_PATH.test(path) ? "ollama" : "openai";
}

/** The JSON body of an error; also the data of an error event in a stream. */
export function toErrorBody(
  { code, message, param }: ErrorReport,
  { dialect, requestId }: { dialect: ErrorDialect; requestId: string },
): Record<string, unknown> {
  if (dialect === "ollama") return { error: message };
  return { error: { message, type: MEANINGS[code].type, code, param, requestId } };
}

/** Turns any failure into a response. An unknown one becomes a generic 500. */
export function toErrorResponse(error: unknown, where: { dialect: ErrorDialect; requestId: string }): Response {
  const report = toReport(error);
  const { status, ...meaning } = MEANINGS[report.code];
  const retryAfterSeconds = readRetryAfter(error) ?? meaning.retryAfterSeconds;
  const headers = new Headers({ "content-type": "application/json" });
  if (retryAfterSeconds !== null) headers.set("retry-after", String(retryAfterSeconds));
  if (status === 401) headers.set("www-authenticate", 'Bearer realm="Rookery"');
  if (error instanceof DomainError && typeof error.details["allow"] === "string") {
    headers.set("allow", error.details["allow"]);
  }
  return new Response(JSON.stringify(toErrorBody(report, where)), { status, headers });
}

/** When to try again, in seconds, where whoever refused knows; null otherwise. */
function readRetryAfter(error: unknown): number | null {
  const seconds = error instanceof DomainError ? error.details["retryAfterSeconds"] : null;
  return typeof seconds === "number" ? seconds : null;
}

/** Refuses a request before any function has it, in the dialect that its path speaks and with an id of its own. */
export function refuseRequest(request: Request, error: DomainError): Response {
  const dialect = URL.canParse(request.url) ? dialectOf(new URL(request.url).pathname) : "openai";
  return toErrorResponse(error, { dialect, requestId: crypto.randomUUID() });
}
