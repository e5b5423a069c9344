/** Every failure that Rookery can name. A code says what happened; `functions/_shared` alone maps it to an HTTP status. */
export const ERROR_CODES = [
  "account_exists",
  "account_suspended",
  "already_running",
  "answer_invalid",
  "conflict",
  "context_length_exceeded",
  "data_incompatible",
  "database_unavailable",
  "disk_full",
  "engine_gone",
  "engine_unavailable",
  "forbidden",
  "internal_error",
  "invalid_api_key",
  "invalid_config",
  "invalid_credentials",
  "invalid_json",
  "invalid_link",
  "invalid_model_file",
  "invalid_request",
  "mail_failed",
  "method_not_allowed",
  "model_busy",
  "model_exists",
  "model_not_found",
  "not_enough_memory",
  "not_found",
  "payload_too_large",
  "port_busy",
  "prefill_timeout",
  "pull_failed",
  "queue_full",
  "queue_timeout",
  "rate_limited",
  "request_cancelled",
  "request_timeout",
  "session_expired",
  "session_revoked",
  "sign_in_failed",
  "sign_up_closed",
  "unauthorized",
  "unsupported_media_type",
] as const;

/** One of {@linkcode ERROR_CODES}. */
export type ErrorCode = typeof ERROR_CODES[number];

/** A failure as it crosses a process: no stack, no cause. `param` names the request field that was wrong, or is null. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  param: string | null;
}
