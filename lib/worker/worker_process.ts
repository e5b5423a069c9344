import type { ModelDescription } from "../contracts/model.ts";
import type { Calibration, WorkerAddress, WorkerNotice, WorkerSettings } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { withDeadline } from "./deadline.ts";
import { readLines } from "./lines.ts";
import { drawToken } from "./token.ts";

/** How a worker is started. Nothing of the runtime's environment reaches it but `env`. */
export interface WorkerCommand {
  path: string;
  args: string[];
  env: Record<string, string>;
}

/** What a {@linkcode WorkerProcess} needs. */
export interface WorkerProcessOptions {
  command: WorkerCommand;
  settings: Omit<WorkerSettings, "token">;
  /** Milliseconds without a heartbeat after which the process counts as hung and is killed. */
  heartbeatLimitMs: number;
  /** The same before its first sign of life: it has its modules to load. */
  firstSignLimitMs: number;
  log: Logger;
  /** It takes requests, though its default model may still be loading. */
  onListening(address: WorkerAddress): void;
  onReady(model: ModelDescription): void;
  onCalibrated(model: string, calibration: Calibration): void;
}

/** How a worker ended. */
export interface WorkerExit {
  /** For people: `code 1`, `signal SIGKILL`, or that it hung and was killed. */
  how: string;
  /** Set when the worker said that another start would not help. */
  fatal: DomainError | null;
}

/** How many looks the watch takes within the limit; a limit of 10 s is met within 11. */
const WATCH_STEPS = 10;

/** How long the output of a dead process is read on, in milliseconds: a process that it left behind may hold it open. */
const LAST_OUTPUT_MS = 1_000;

/** One worker process: started, listened to, and killed when its event loop stops. */
export class WorkerProcess {
  readonly exited: Promise<WorkerExit>;
  readonly #options: WorkerProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #token = drawToken();
  #fatal: DomainError | null = null;
  #hung = false;
  #ended = false;
  #looksLeft: number;

  constructor(options: WorkerProcessOptions) {
    this.#options = options;
    const { path, args, env } = options.command;
    const pipes = { stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    this.#child = new Deno.Command(path, { args, env, clearEnv: true, ...pipes }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#looksLeft = this.#countLooks(options.firstSignLimitMs);
    this.exited = this.#run();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether the process is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Ends the worker's input, which tells it to end at once. */
  async endInput(): Promise<void> {
    // The pipe may be broken already, or full because the worker hangs: the caller has a deadline.
    await this.#input.close().catch(() => {});
  }

  /** Sends a signal to this child alone; does nothing when it has ended. */
  kill(signal: Deno.Signal): void {
    if (this.#ended) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It ended in this moment.
    }
  }

  async #run(): Promise<WorkerExit> {
    const watch = setInterval(() => this.#look(), this.#options.heartbeatLimitMs / WATCH_STEPS);
    const output = this.#readOutput();
    const settings: WorkerSettings = { ...this.#options.settings, token: this.#token };
    this.#input.write(new TextEncoder().encode(JSON.stringify(settings) + "\n")).catch(() => {});
    const { code, signal } = await this.#child.status;
    this.#ended = true;
    clearInterval(watch);
    await withDeadline(output, LAST_OUTPUT_MS);
    await withDeadline(this.endInput(), LAST_OUTPUT_MS);
    const died = signal === null ? `code ${code}` : `signal ${signal}`;
    const limitMs = this.#options.heartbeatLimitMs;
    return { how: this.#hung ? `no heartbeat for ${limitMs} ms, killed` : died, fatal: this.#fatal };
  }

  /**
   * Counts looks without a sign of life rather than time: when this process itself was stopped, or the machine slept,
   * its worker is not to blame.
   */
  #look(): void {
    this.#looksLeft--;
    if (this.#looksLeft > 0) return;
    this.#hung = true;
    this.kill("SIGKILL");
  }

  #countLooks(limitMs: number): number {
    return Math.ceil(limitMs / (this.#options.heartbeatLimitMs / WATCH_STEPS));
  }

  async #readOutput(): Promise<void> {
    for await (const line of readLines(this.#child.stdout)) {
      const notice = parseNotice(line);
      if (notice === null) this.#options.log.warn("worker_printed", { pid: this.pid, characters: line.length });
      else this.#take(notice);
    }
  }

  #take(notice: WorkerNotice): void {
    this.#looksLeft = WATCH_STEPS;
    if (notice.type === "listening") {
      this.#options.onListening({ url: `http://127.0.0.1:${notice.port}`, token: this.#token });
    }
    if (notice.type === "calibrated") this.#options.onCalibrated(notice.model, notice.calibration);
    if (notice.type === "ready") this.#options.onReady(notice.model);
    if (notice.type === "fatal") this.#fatal = DomainError.fromReport(notice.error);
  }
}

function parseNotice(line: string): WorkerNotice | null {
  try {
    const notice = JSON.parse(line) as WorkerNotice;
    return typeof notice.type === "string" ? notice : null;
  } catch {
    return null;
  }
}
