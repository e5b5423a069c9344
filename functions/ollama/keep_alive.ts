import { DomainError } from "../../lib/errors.ts";

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  "μs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Numbers with units, as Go's `time.ParseDuration` reads them: `5m`, `1h30m`, `1.5h`. */
const DURATION = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/** A model that is to stay loaded for longer than this stays for ever: ten years in milliseconds. */
const LONGEST_MS = 10 * 365 * 24 * 3_600_000;

/**
 * Milliseconds for which a model is to stay loaded, by Ollama's `keep_alive`: a number of seconds or a duration, of
 * which a negative one means for ever (-1) and 0 not at all. Null, where nothing is said, leaves it to the settings.
 *
 * @throws {DomainError} `invalid_request` for a text that is no duration.
 */
export function toKeepAliveMs(given: number | string | null | undefined): number | null {
  if (given === undefined || given === null || given === "") return null;
  const ms = typeof given === "number" ? given * 1_000 : parseDuration(given.trim());
  if (ms === null) {
    const message = `Invalid value of "keep_alive": ${JSON.stringify(given.toString().slice(0, 64))} is no duration; ` +
      'send seconds as a number, or a text such as "5m" or "1h30m"; -1 keeps the model, 0 unloads it';
    throw new DomainError("invalid_request", message, { param: "keep_alive" });
  }
  return ms < 0 || ms > LONGEST_MS ? -1 : Math.round(ms);
}

/** Milliseconds, or null for what is no duration. Without a unit, 0 and negative numbers alone are clear. */
function parseDuration(text: string): number | null {
  const negative = text.startsWith("-");
  const size = text.replace(/^[+-]/, "");
  if (/^\d+$/.test(size) && (negative || Number(size) === 0)) return Number(size) === 0 ? 0 : -1;
  if (!DURATION.test(size)) return null;
  const ms = [...size.matchAll(PART)].reduce((total, [, number, unit]) => total + Number(number) * UNIT_MS[unit!]!, 0);
  return negative ? -ms : ms;
}
