import { DomainError } from "../errors.ts";

/**
 * Opens where log lines go: a file that is appended to, or standard error.
 *
 * @throws {DomainError} `invalid_config` when the file cannot be opened.
 */
export function openLogFile(path: string | null): (line: string) => void {
  const encoder = new TextEncoder();
  const file = path === null ? Deno.stderr : open(path);
  return (line) => {
    let rest = encoder.encode(line);
    while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
  };
}

function open(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  } catch (cause) {
    throw new DomainError(
      "invalid_config",
      `Cannot write to ROOKERY_LOG_FILE ${path}: ${explain(cause)}; set it to a file that you may write to`,
      { cause },
    );
  }
}

/** Deno's own words speak of its permission flags, which nobody sets by hand here. */
function explain(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "its folder does not exist";
  return cause instanceof Deno.errors.IsADirectory ? "it is a folder" : "it may not be written to";
}
