import type { BatchEntry } from "./batch_decoder.ts";
import type { Run } from "./job.ts";
import type { Sequence } from "./sequence_store.ts";

/** One entry of a batch and the run that it belongs to. */
export interface Piece {
  run: Run;
  sequence: Sequence;
  entry: BatchEntry;
}

/** The next token of every running answer. */
export function planDecode(running: readonly Run[]): Piece[] {
  const pieces: Piece[] = [];
  for (const run of running) {
    const { sequence, sampler } = run;
    if (run.phase !== "decode" || sequence === null) continue;
    const position = sequence.tokens.length;
    const drawn = run.injected.length === 0 ? sampler : null;
    const entry = { sequence: sequence.index, position, tokens: [run.nextToken], sampler: drawn };
    pieces.push({ run, sequence, entry });
  }
  return pieces;
}

/**
 * Fills a batch with `tokensMax` tokens of prompts in turn; who got a share goes to the end of `running`, so that a long
 * prompt delays no short one much.
 */
export function planPrefill(running: Run[], tokensMax: number): Piece[] {
  const pieces: Piece[] = [];
  let room = tokensMax;
  for (const run of running.filter((run) => run.phase === "prefill")) {
    const { sequence, job } = run;
    if (room === 0 || sequence === null) break;
    const position = sequence.tokens.length;
    const tokens = job.promptTokens.slice(position, position + room);
    const isLast = position + tokens.length === job.promptTokens.length;
    const entry = { sequence: sequence.index, position, tokens, sampler: isLast ? run.sampler : null };
    pieces.push({ run, sequence, entry });
    room -= tokens.length;
    running.splice(running.indexOf(run), 1);
    running.push(run);
  }
  return pieces;
}

/** Tokens of a batch. */
export function countTokens(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { entry }) => sum + entry.tokens.length, 0);
}
