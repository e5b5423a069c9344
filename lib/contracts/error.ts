/** Every failure that Rookery can name. A code says what happened; `functions/_shared` alone maps it to an HTTP status. */
export type ErrorCode =
  | "already_running"
  | "answer_invalid"
  | "context_length_exceeded"
  | "disk_full"
  | "engine_gone"
  | "engine_unavailable"
  | "forbidden"
  | "internal_error"
  | "invalid_api_key"
  | "invalid_config"
  | "invalid_json"
  | "invalid_model_file"
  | "invalid_request"
  | "method_not_allowed"
  | "model_busy"
  | "model_exists"
  | "model_not_found"
  | "not_enough_memory"
  | "not_found"
  | "payload_too_large"
  | "port_busy"
  | "prefill_timeout"
  | "pull_failed"
  | "queue_full"
  | "queue_timeout"
  | "request_cancelled"
  | "request_timeout"
  | "unsupported_media_type";

/** A failure as it crosses a process: no stack, no cause. `param` names the request field that was wrong, or is null. */
export interface ErrorReport {
  code: ErrorCode;
  message: string;
  param: string | null;
}
