import type { Calibration, ThreadPlan } from "../contracts/worker.ts";

/** Tokens of the batches that are measured: one stream, a few streams, a prompt. */
const CALIBRATED_BATCH_TOKENS: Readonly<Record<keyof ThreadPlan, number>> = {
  decodeOne: 1,
  decodeMany: 4,
  prefill: 32,
};

/** A thread count must win by this much over a smaller one: the other processes of the machine want cores too. */
const GAIN_MIN = 1.05;

/** Measured with so little of the cores that it asked for, a batch had to share them with other programs. */
const BUSY_SHARE_MIN = 0.85;

/** Candidates take turns so often and the median counts: what else the machine does just now must not decide alone. */
const PASSES = 3;

/** How fast a batch went, and how many cores the process had on the average meanwhile. */
export interface BatchSpeed {
  batchMs: number;
  busyCores: number;
}

/**
 * A large model takes seconds for a batch: who is slower by this much than the fastest in the first pass is not measured
 * again. Short batches are cheap to measure, and a disturbance is more of them.
 */
const LOST_BY = 2.5;
const SLOW_MS = 100;

/** Thread counts worth trying on a machine, smallest first: powers of two, all cores, and one core less than all. */
export function threadCandidates(cores: number): number[] {
  const candidates = new Set<number>([Math.max(1, cores - 1), cores]);
  for (let threads = 1; threads < cores; threads *= 2) candidates.add(threads);
  return [...candidates].sort((a, b) => a - b);
}

/**
 * Finds the best thread count for each kind of batch by measuring the model that is loaded. No rule of thumb serves:
 * a tiny model decodes three times slower with two spinning threads than with one, a real one half as fast again.
 *
 * @param measure Runs batches of `tokens` tokens with `threads` threads.
 */
export async function calibrate(
  cores: number,
  measure: (tokens: number, threads: number) => Promise<BatchSpeed>,
): Promise<Calibration> {
  let busyShare = 0;
  const best = async (tokens: number) => {
    let candidates = threadCandidates(cores).map((threads) => ({ threads, passes: [] as number[] }));
    for (let pass = 0; pass < PASSES; pass++) {
      const fastestMs = Math.min(...candidates.map(({ passes }) => passes[0] ?? Infinity));
      candidates = candidates.filter(({ passes }) => (passes[0] ?? 0) <= Math.max(SLOW_MS, fastestMs * LOST_BY));
      for (const { threads, passes } of candidates) {
        const { batchMs, busyCores } = await measure(tokens, threads);
        passes.push(batchMs);
        // All cores at work on a prompt: only then is it plain to see when somebody else has one.
        if (tokens === CALIBRATED_BATCH_TOKENS.prefill && threads === cores) {
          busyShare = Math.max(busyShare, busyCores / cores);
        }
      }
    }
    let [bestThreads, bestMs] = [1, Infinity];
    for (const { threads, passes } of candidates) {
      const ms = passes.sort((a, b) => a - b)[PASSES >> 1]!;
      if (ms * GAIN_MIN < bestMs) [bestThreads, bestMs] = [threads, ms];
    }
    return bestThreads;
  };
  const threads = {
    decodeOne: await best(CALIBRATED_BATCH_TOKENS.decodeOne),
    decodeMany: await best(CALIBRATED_BATCH_TOKENS.decodeMany),
    prefill: await best(CALIBRATED_BATCH_TOKENS.prefill),
  };
  return { threads, undisturbed: busyShare >= BUSY_SHARE_MIN };
}

/** Threads for a batch of so many tokens. */
export function threadsFor(plan: ThreadPlan, batchTokens: number): number {
  if (batchTokens >= 16) return plan.prefill;
  return batchTokens > 1 ? plan.decodeMany : plan.decodeOne;
}
