/** One round: what each of two did, one right after the other. `other` is null when there was nobody beside. */
export interface Round<Measured> {
  own: Measured;
  other: Measured | null;
}

/** Measures one of two, in the round of that number; the first is 1. */
export type Turn<Measured> = (round: number) => Promise<Measured>;

/** Has two work in turns, one at a time, so that neither is always the first: A B, B A, A B, … */
export async function takeTurns<Measured>(
  count: number,
  { own, other }: { own: Turn<Measured>; other: Turn<Measured> | null },
): Promise<Round<Measured>[]> {
  const rounds: Round<Measured>[] = [];
  for (let round = 1; round <= count; round++) {
    const early = round % 2 === 0 && other !== null ? await other(round) : null;
    const measured = await own(round);
    const late = round % 2 === 1 && other !== null ? await other(round) : null;
    rounds.push({ own: measured, other: early ?? late });
  }
  return rounds;
}

/** The middle of `values`; of an even number, the mean of the two in the middle. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  if (low === undefined || high === undefined) throw new RangeError("There is no median of nothing");
  return (low + high) / 2;
}
