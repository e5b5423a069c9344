import type { Database } from "./database.ts";

/** Whether a database answers: `busy` is one that has not by now, `gone` one that cannot be reached. */
export type DatabaseState = "ok" | "busy" | "gone";

/** How long an answer may take until the database counts as busy, in milliseconds. */
const ANSWER_MS = 2_000;

/** How long an answer holds, in milliseconds: who asks more often asks nobody. */
const HOLDS_MS = 1_000;

/** What {@linkcode createPulse} may be told. */
export interface PulseOptions {
  /** Default 2,000. */
  answerMs?: number;
  /** Default 1,000. */
  holdsMs?: number;
}

/** Makes what tells how a database is. However many ask, one question is under way. */
export function createPulse(
  database: Database,
  { answerMs = ANSWER_MS, holdsMs = HOLDS_MS }: PulseOptions = {},
): () => Promise<DatabaseState> {
  let asking: Promise<DatabaseState> | null = null;
  let last: { state: DatabaseState; atMs: number } | null = null;

  async function ask(): Promise<DatabaseState> {
    try {
      await database.transaction({ sub: null, role: "anon" }, (session) => session.query("select 1"));
      return "ok";
    } catch {
      return "gone";
    }
  }

  return async () => {
    if (last !== null && performance.now() - last.atMs < holdsMs) return last.state;
    asking ??= ask().then((state) => {
      last = { state, atMs: performance.now() };
      asking = null;
      return state;
    });
    const { promise: late, resolve } = Promise.withResolvers<DatabaseState>();
    const timer = setTimeout(() => resolve("busy"), answerMs);
    try {
      return await Promise.race([asking, late]);
    } finally {
      clearTimeout(timer);
    }
  };
}
