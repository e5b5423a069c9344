/** How far a pull, an import or a verification is. */
export interface Progress {
  /** Name of the file or folder in the models folder. */
  file: string;
  /** SHA-256 in hex that the whole will have, as `ModelFile` counts it; null while it is not known. */
  sha256: string | null;
  receivedBytes: number;
  /** Null when nobody said. */
  totalBytes: number | null;
  /** Over the last seconds; 0 until something came. */
  bytesPerSecond: number;
  /** Null when the total or the rate is unknown. */
  secondsLeft: number | null;
}

/** Options of work that takes as long as a file is large. */
export interface LongOptions {
  /** Stops it. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Rates are measured over this long: short enough to follow a change, long enough not to flicker. */
const RATE_WINDOW_MS = 5_000;
/** Reports come no faster than eyes and terminals follow. */
const REPORT_INTERVAL_MS = 100;

/** Counts bytes and reports {@linkcode Progress}, at most ten times a second. */
export class ProgressMeter {
  readonly #file: string;
  readonly #report: (progress: Progress) => void;
  readonly #now: () => number;
  /** What the whole will hash to; null while it is not known. */
  sha256: string | null = null;
  #received = 0;
  #total: number | null = null;
  #reportedAt = -Infinity;
  #samples: { at: number; bytes: number }[] = [];

  constructor(
    file: string,
    options: { report?: ((progress: Progress) => void) | undefined; now?: () => number } = {},
  ) {
    this.#file = file;
    this.#report = options.report ?? (() => {});
    this.#now = options.now ?? (() => performance.now());
  }

  get receivedBytes(): number {
    return this.#received;
  }

  get totalBytes(): number | null {
    return this.#total;
  }

  set totalBytes(bytes: number | null) {
    this.#total = bytes;
  }

  /** Starts to count at `bytes`: what is there already says nothing about the rate. */
  restartAt(bytes: number): void {
    this.#received = bytes;
    this.#samples = [{ at: this.#now(), bytes }];
  }

  add(bytes: number): void {
    this.#received += bytes;
    const now = this.#now();
    if (now - this.#reportedAt < REPORT_INTERVAL_MS) return;
    this.#reportedAt = now;
    this.#samples.push({ at: now, bytes: this.#received });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > RATE_WINDOW_MS) this.#samples.shift();
    this.#report(this.#progress(now));
  }

  /** Reports the last state, whenever the one before was. */
  finish(): void {
    this.#report(this.#progress(this.#now()));
  }

  #progress(now: number): Progress {
    const first = this.#samples[0] ?? { at: now, bytes: 0 };
    const bytesPerSecond = now > first.at
      ? Math.max(0, (this.#received - first.bytes) / ((now - first.at) / 1_000))
      : 0;
    const left = this.#total === null ? null : Math.max(0, this.#total - this.#received);
    return {
      file: this.#file,
      sha256: this.sha256,
      receivedBytes: this.#received,
      totalBytes: this.#total,
      bytesPerSecond,
      secondsLeft: left === 0 ? 0 : left === null || bytesPerSecond === 0 ? null : left / bytesPerSecond,
    };
  }
}

/** A size for people, in powers of 1,000 as disks are sold: `98.4 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = bytes / 1_000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit++;
  }
  return `${value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`;
}

/** A time for people: `45 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3_600)} h ${String(Math.floor((whole % 3_600) / 60)).padStart(2, "0")} min`;
}

/** One line for a log or a pipe: `x.gguf 45 % (44.3 MB of 98.4 MB), 10.1 MB/s, 6 s left`. */
export function formatProgress(progress: Progress): string {
  return `${progress.file} ${formatShare(progress)}${formatPace(progress)}`;
}

/** The same with a bar, cut to `columns`, for a terminal that is to show it on one line. */
export function formatProgressBar(progress: Progress, columns: number): string {
  const text = formatProgress(progress);
  const barColumns = Math.min(30, columns - text.length - 4);
  if (progress.totalBytes === null || progress.totalBytes === 0 || barColumns < 8) return text.slice(0, columns - 1);
  const share = Math.min(1, progress.receivedBytes / progress.totalBytes);
  const filled = Math.floor(share * barColumns);
  return `[${"#".repeat(filled)}${"-".repeat(barColumns - filled)}] ${text}`;
}

function formatShare({ receivedBytes, totalBytes }: Progress): string {
  if (totalBytes === null || totalBytes === 0) return formatBytes(receivedBytes);
  const percent = Math.floor(Math.min(1, receivedBytes / totalBytes) * 100);
  return `${percent} % (${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)})`;
}

function formatPace({ bytesPerSecond, secondsLeft, receivedBytes, totalBytes }: Progress): string {
  if (bytesPerSecond === 0 || receivedBytes === totalBytes) return "";
  const left = secondsLeft === null ? "" : `, ${formatSeconds(secondsLeft)} left`;
  return `, ${formatBytes(Math.round(bytesPerSecond))}/s${left}`;
}

/** Prints progress: see {@linkcode createProgressPrinter}. */
export interface ProgressPrinter {
  show(progress: Progress): void;
  /** Ends the line of the bar, so that other text may follow. */
  end(): void;
}

/**
 * Prints progress through `write`: one line that is drawn anew on a terminal of `columns`, else a plain line whenever
 * another tenth has come.
 */
export function createProgressPrinter(
  write: (text: string) => void,
  { terminal, columns = () => 80 }: { terminal: boolean; columns?: () => number },
): ProgressPrinter {
  let shown = "";
  let step = "";
  const show = (progress: Progress): void => {
    if (terminal) {
      const line = formatProgressBar(progress, columns());
      write(`\r${line.padEnd(shown.length)}`);
      shown = line;
      return;
    }
    // Without a total, every doubling counts as a step.
    const tenth = progress.totalBytes
      ? Math.floor((progress.receivedBytes / progress.totalBytes) * 10)
      : Math.floor(Math.log2(progress.receivedBytes + 1));
    if (step === `${progress.file} ${tenth}`) return;
    step = `${progress.file} ${tenth}`;
    write(`${formatProgress(progress)}\n`);
  };
  const end = (): void => {
    if (terminal && shown !== "") write("\n");
    shown = "";
  };
  return { show, end };
}
