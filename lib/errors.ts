import type { ErrorCode, ErrorReport } from "./contracts/error.ts";

/** What a {@linkcode DomainError} may carry beside its code and message. */
export interface DomainErrorOptions {
  /** The request field that was wrong. */
  param?: string;
  /** Numbers and names for the log and for callers that act on them; never message text of a user. */
  details?: Record<string, string | number | boolean | null>;
  /** What led to it; goes to the log, never to a client. */
  cause?: unknown;
}

/** A failure with a machine-readable code and a sentence for people. It knows nothing of HTTP. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly param: string | null;
  readonly details: Record<string, string | number | boolean | null>;

  constructor(readonly code: ErrorCode, message: string, options: DomainErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.param = options.param ?? null;
    this.details = options.details ?? {};
  }

  /** Rebuilds an error that crossed a process. */
  static fromReport(report: ErrorReport): DomainError {
    return new DomainError(report.code, report.message, report.param === null ? {} : { param: report.param });
  }
}

/** The part of any failure that may leave the process: an unknown one becomes a generic `internal_error`. */
export function toReport(error: unknown): ErrorReport {
  if (error instanceof DomainError) return { code: error.code, message: error.message, param: error.param };
  return { code: "internal_error", message: "Something went wrong inside Rookery; its log says more", param: null };
}
