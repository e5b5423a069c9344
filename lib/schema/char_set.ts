/** A set of code points: ranges `[low, high]`, both within, in rising order and with gaps between them. */
export type CharSet = readonly (readonly [low: number, high: number])[];

/** The largest code point. */
export const CODE_POINT_MAX = 0x10ffff;

/** Every code point. */
export const ANY_CHAR: CharSet = [[0, CODE_POINT_MAX]];

/** The union of ranges in any order. */
export function unite(ranges: Iterable<readonly [number, number]>): CharSet {
  const united: [number, number][] = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = united.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else united.push([low, high]);
  }
  return united;
}

/** All code points that a set does not hold. */
export function invert(set: CharSet): CharSet {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= CODE_POINT_MAX) gaps.push([next, CODE_POINT_MAX]);
  return gaps;
}

/** The code points that both sets hold. */
export function intersect(a: CharSet, b: CharSet): CharSet {
  return invert(unite([...invert(a), ...invert(b)]));
}

/** Whether a set holds a code point. */
export function contains(set: CharSet, codePoint: number): boolean {
  let [from, to] = [0, set.length - 1];
  while (from <= to) {
    const middle = (from + to) >> 1;
    const [low, high] = set[middle]!;
    if (codePoint < low) to = middle - 1;
    else if (codePoint > high) from = middle + 1;
    else return true;
  }
  return false;
}
