/** How long after the first another signal counts as its echo, in milliseconds: a terminal and a task runner both send one. */
const ECHO_MS = 1_000;

/** What is done when the runtime is told to end. */
export interface Interrupts {
  /** Told to end for the first time. */
  onFirst(): void;
  /** Told again, by a person who does not want to wait. */
  onSecond(): void;
  /** Milliseconds on a clock that never goes back. */
  now?(): number;
}

/**
 * Counts the signals that tell a process to end. One press of Ctrl-C may arrive several times at once, from the
 * terminal and from the runner in between; only one that comes later is a second press.
 */
export function createInterruptCounter({ onFirst, onSecond, now = () => performance.now() }: Interrupts): () => void {
  let firstAt: number | null = null;
  return () => {
    if (firstAt === null) {
      firstAt = now();
      onFirst();
    } else if (now() - firstAt >= ECHO_MS) {
      onSecond();
    }
  };
}

/** Listens to what this system can send: Ctrl-C, a polite kill, a terminal that closes. */
export function listenForInterrupts(onSignal: () => void): void {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK", "SIGHUP"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
}
