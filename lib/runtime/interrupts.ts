/** How long after a signal another counts as its echo, in milliseconds: a terminal and a task runner both send one. */
const ECHO_MS = 1_000;

/**
 * Turns signals into presses: one press of Ctrl-C may arrive several times at once, from the terminal and from the
 * runner in between. `now` is a clock in milliseconds that never goes back.
 */
export function ignoreEchoes(onPress: () => void, now: () => number = () => performance.now()): () => void {
  let pressedAt = -Infinity;
  return () => {
    if (now() - pressedAt < ECHO_MS) return;
    pressedAt = now();
    onPress();
  };
}

/** Listens to what this system can send to end a process: Ctrl-C, a polite kill, a terminal that closes. */
export function listenForInterrupts(onSignal: () => void): void {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK", "SIGHUP"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) Deno.addSignalListener(signal, onSignal);
}
