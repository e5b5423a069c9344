import { type Calibration, type WorkerNotice, WorkerSettings } from "../contracts/worker.ts";
import { DomainError, toReport } from "../errors.ts";
import { printTo } from "../terminal.ts";
import { createWorkerApp, type WorkerInference } from "./app.ts";
import { withDeadline } from "./deadline.ts";
import { readLines } from "./lines.ts";

/** How often a worker says that its event loop turns, in milliseconds. */
const HEARTBEAT_MS = 1_000;

/** How long models may take to stop: a chunk of a large one's prefill, and to store what is kept of conversations. */
const STOP_MS = 5_000;

/** Sequences that models have at most; beside the queue they bound how many answers are open. */
const SEQUENCES_MAX = 64;

/** What the models of a worker tell of. */
export interface WorkerEvents {
  /** Native code is loaded: nothing needs to be started as a process any more. */
  onBackend(): void;
  onCalibrated(model: string, calibration: Calibration): void;
  /** Native code does not come back from a batch. */
  onHung(): void;
  /** Something that native code says, for people. */
  onLog(line: string): void;
}

/** What a worker process is made of. */
export interface WorkerParts {
  /** Returns at once, and loads nothing before it is asked. */
  openModels(settings: WorkerSettings, events: WorkerEvents): WorkerInference;
}

/**
 * The whole life of a worker process: reads its settings from the first line of standard input, serves models on an
 * ephemeral loopback port, the default one loaded at once, tells the runtime {@linkcode WorkerNotice}s on standard output, and ends with the runtime,
 * whose end closes standard input. Never returns.
 */
export async function runWorker({ openModels }: WorkerParts): Promise<never> {
  keepStandardOutputForNotices();
  ignoreInterrupts();
  const input = readLines(Deno.stdin.readable);
  const settings = readSettings((await input.next()).value ?? "");
  const heart = setInterval(() => notify({ type: "heartbeat" }), HEARTBEAT_MS);
  const models = openModels(settings, {
    onBackend: () => Deno.permissions.revokeSync({ name: "run" }),
    onCalibrated: (model, calibration) => notify({ type: "calibrated", model, calibration }),
    onHung: () => {
      report("A model has not ended a batch for minutes");
      // A worker that can compute nothing any more is as good as dead: its runtime kills it and starts another.
      clearInterval(heart);
    },
    onLog: (line) => report(line),
  });
  serve(models, settings);
  loadDefault(models, settings);
  while (!(await input.next()).done);
  // Native code in the middle of a batch would crash in the exit of the process: it gets a moment to stop.
  await withDeadline(models[Symbol.asyncDispose](), STOP_MS);
  Deno.exit(0);
}

function serve(inference: WorkerInference, { token, queuedMax }: WorkerSettings): void {
  const answersMax = queuedMax + 2 * SEQUENCES_MAX;
  const app = createWorkerApp({ inference, token, answersMax, onFailure: (error) => report(error) });
  const onListen = ({ port }: Deno.NetAddr) => notify({ type: "listening", port });
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, app.fetch);
}

/** Without its default model a worker is of no use, and another start would not help. */
async function loadDefault(inference: WorkerInference, settings: WorkerSettings): Promise<void> {
  const { defaultModelId: model, models } = settings;
  // It was removed while an earlier worker ran; the others are still asked for.
  if (!models.some(({ id }) => id === model)) return;
  try {
    await inference.keep({ model, keepAliveMs: null });
    notify({ type: "ready", model: await inference.describe(model) });
  } catch (error) {
    endFatally(error);
  }
}

function readSettings(line: string): WorkerSettings {
  try {
    return WorkerSettings.parse(JSON.parse(line));
  } catch (cause) {
    endFatally(
      new DomainError(
        "invalid_config",
        "Cannot start a worker: it is started by the runtime, which sends its settings",
        {
          cause,
        },
      ),
    );
  }
}

function endFatally(error: unknown): never {
  // The runtime says what a coded error means; where it came from is all that is left to say here.
  if (!(error instanceof DomainError)) report(error);
  else if (error.cause !== undefined) report(error.cause);
  notify({ type: "fatal", error: toReport(error) });
  Deno.exit(1);
}

/** Writes one notice whole; a runtime that no longer reads is gone, and so is this process then. */
function notify(notice: WorkerNotice): void {
  let rest = new TextEncoder().encode(JSON.stringify(notice) + "\n");
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch {
    Deno.exit(0);
  }
}

/** Tells people, on standard error, what the other side is only told by a code. */
function report(what: unknown): void {
  const text = typeof what === "string" ? what : Deno.inspect(what);
  printTo(Deno.stderr, text.trimEnd() + "\n");
}

/** A library that prints must not break the lines of notices. */
function keepStandardOutputForNotices(): void {
  const { error } = console;
  Object.assign(console, { debug: error, dir: error, info: error, log: error });
}

/** A terminal's Ctrl-C reaches every process of its group, but the runtime decides when its worker ends. */
function ignoreInterrupts(): void {
  Deno.addSignalListener("SIGINT", () => {});
}
