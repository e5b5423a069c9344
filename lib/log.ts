/** How important a line is; a logger leaves out what is less important than its own level. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * Writes one line a call. `event` is a fixed name in snake_case, what varies goes into `fields`. What people wrote or a
 * model said never goes into either.
 */
export interface Logger {
  debug(event: string, fields?: Record<string, unknown>): void;
  info(event: string, fields?: Record<string, unknown>): void;
  warn(event: string, fields?: Record<string, unknown>): void;
  error(event: string, fields?: Record<string, unknown>): void;
}

/** What a {@linkcode Logger} is made of. */
export interface LoggerOptions {
  level: LogLevel;
  /** Takes one line that ends in a line feed. */
  write(line: string): void;
  /** The time of a line, in milliseconds since 1970. Default `Date.now`. */
  now?(): number;
}

const RANKS: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * Creates a logger whose lines are JSON objects: `time` (ISO 8601, UTC), `level`, `event`, then the fields. An error
 * among the fields is written with its name, message, code, stack and causes. No call ever throws: logging is not worth
 * a request.
 */
export function createLogger({ level, write, now = Date.now }: LoggerOptions): Logger {
  function createMethod(own: LogLevel): (event: string, fields?: Record<string, unknown>) => void {
    if (RANKS[own] < RANKS[level]) return () => {};
    return (event, fields = {}) => {
      const head = { time: new Date(now()).toISOString(), level: own, event };
      try {
        write(renderLine(head, fields));
      } catch {
        // A full disk or a closed pipe: there is nowhere left to say so.
      }
    };
  }
  return {
    debug: createMethod("debug"),
    info: createMethod("info"),
    warn: createMethod("warn"),
    error: createMethod("error"),
  };
}

/** A logger that writes nothing, for tests. */
export const silentLogger: Logger = createLogger({ level: "error", write: () => {} });

function renderLine(head: Record<string, unknown>, fields: Record<string, unknown>): string {
  try {
    return JSON.stringify({ ...head, ...fields }, replaceValue) + "\n";
  } catch {
    return JSON.stringify({ ...head, fields: "cannot be written as JSON" }) + "\n";
  }
}

function replaceValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (!(value instanceof Error)) return value;
  const code = "code" in value ? value.code : undefined;
  return { name: value.name, message: value.message, code, stack: value.stack, cause: value.cause };
}
