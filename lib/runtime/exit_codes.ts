import type { ErrorCode } from "../contracts/error.ts";
import { DomainError } from "../errors.ts";

/** What the exit code of the runtime tells whoever started it. The README has this table too. */
export const EXIT_CODES = {
  /** Ended because it was told to. */
  ended: 0,
  /** Something that Rookery did not foresee. */
  unknown: 1,
  /** A setting is wrong. */
  config: 2,
  portBusy: 3,
  /** Another Rookery uses the same data. */
  secondInstance: 4,
  diskFull: 5,
  memory: 6,
  /** The model is not there, is damaged, or cannot be loaded. */
  model: 7,
  /** The database cannot be opened or reached, or was written by a newer Rookery. */
  database: 8,
  /** Interrupted twice: ended without waiting, as a shell counts a SIGINT. */
  interrupted: 130,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  already_running: EXIT_CODES.secondInstance,
  data_incompatible: EXIT_CODES.database,
  database_unavailable: EXIT_CODES.database,
  disk_full: EXIT_CODES.diskFull,
  engine_unavailable: EXIT_CODES.model,
  invalid_config: EXIT_CODES.config,
  invalid_model_file: EXIT_CODES.model,
  model_busy: EXIT_CODES.model,
  model_not_found: EXIT_CODES.model,
  not_enough_memory: EXIT_CODES.memory,
  port_busy: EXIT_CODES.portBusy,
  pull_failed: EXIT_CODES.model,
  request_cancelled: EXIT_CODES.ended,
};

/** The exit code for what kept Rookery from starting. */
export function chooseExitCode(error: unknown): number {
  return error instanceof DomainError ? BY_CODE[error.code] ?? EXIT_CODES.unknown : EXIT_CODES.unknown;
}
