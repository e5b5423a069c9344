import { literal } from "./rules.ts";

/** Digits that a double always keeps apart. */
const DIGITS_MAX = 15;

/** What bounds a number; null where nothing does. */
export interface NumberBounds {
  min: number | null;
  max: number | null;
  /** The bound itself is left out. */
  minExclusive: boolean;
  maxExclusive: boolean;
  /** Most digits behind the point; null means as many as a double keeps. */
  fractionDigitsMax: number | null;
}

/** A bound of a decimal number without its sign: `integer.fraction`. */
interface Decimal {
  integer: bigint;
  /** Digits behind the point, the last of them not 0. */
  fraction: string;
  exclusive: boolean;
}

/** The grammar of whole numbers within bounds, exactly; null when there is none. */
export function integerRule({ min, max, minExclusive, maxExclusive }: NumberBounds): string | null {
  if (min === null && max === null) return `"-"? ("0" | [1-9] [0-9]{0,${DIGITS_MAX - 1}})`;
  const limit = 10n ** BigInt(DIGITS_MAX) - 1n;
  let low = min === null ? null : wholeBound(min, minExclusive, 1);
  let high = max === null ? null : wholeBound(max, maxExclusive, -1);
  // Nobody needs what lies far beyond, and doubles lose digits there.
  if (high === null || (high > limit && (low ?? 0n) <= limit)) high = low !== null && low > limit ? low * 10n : limit;
  if (low === null || (low < -limit && high >= -limit)) low = high < -limit ? high * 10n : -limit;
  if (low > high) return null;
  const alternatives: string[] = [];
  if (low < 0n) {
    const [nearest, farthest] = [high < 0n ? -high : 1n, -low];
    alternatives.push(`"-" (${wholeRange(nearest, farthest)})`);
  }
  if (high >= 0n) alternatives.push(wholeRange(low > 0n ? low : 0n, high));
  return alternatives.join(" | ");
}

/** The whole number next to a bound on its inner side. */
function wholeBound(bound: number, exclusive: boolean, inward: 1 | -1): bigint {
  const whole = inward > 0 ? Math.ceil(bound) : Math.floor(bound);
  if (!exclusive || whole !== bound) return BigInt(whole);
  // Beyond 2^53 doubles are further apart than 1.
  const step = Number.isSafeInteger(whole) ? 1 : 2 ** Math.max(0, Math.floor(Math.log2(Math.abs(whole))) - 51);
  return BigInt(whole) + BigInt(inward) * BigInt(step);
}

/** Alternatives for the whole numbers from `low` to `high`, both 0 or more and within. */
function wholeRange(low: bigint, high: bigint): string {
  const alternatives: string[] = [];
  const [first, last] = [String(low).length, String(high).length];
  for (let length = first; length <= last; length++) {
    const from = length === first ? String(low) : `1${"0".repeat(length - 1)}`;
    const to = length === last ? String(high) : "9".repeat(length);
    // Lengths of which every number is within are one alternative.
    let longest = length;
    if (length > first && isWhole(from, to)) {
      while (longest + 1 < last || (longest + 1 === last && /^9+$/.test(String(high)))) longest++;
    }
    if (longest > length) {
      alternatives.push(`[1-9] [0-9]{${length - 1},${longest - 1}}`);
      length = longest;
    } else alternatives.push(...digitRange(from, to));
  }
  return alternatives.join(" | ");
}

/** Whether a range is that of all numbers of its length. */
function isWhole(from: string, to: string): boolean {
  return /^10*$/.test(from) && /^9+$/.test(to);
}

/** Alternatives for digit strings of one length from `low` to `high`. */
function digitRange(low: string, high: string): string[] {
  if (low === high) return [literal(low)];
  const rest = low.length - 1;
  const [first, last] = [Number(low[0]), Number(high[0])];
  if (first === last) return [`${literal(low[0]!)} ${group(digitRange(low.slice(1), high.slice(1)))}`];
  const alternatives: string[] = [];
  const startsWhole = /^0*$/.test(low.slice(1));
  const endsWhole = /^9*$/.test(high.slice(1));
  if (!startsWhole) alternatives.push(`${digit(first, first)} ${group(digitRange(low.slice(1), "9".repeat(rest)))}`);
  const [from, to] = [startsWhole ? first : first + 1, endsWhole ? last : last - 1];
  if (from <= to) alternatives.push(digit(from, to) + (rest > 0 ? ` [0-9]{${rest}}` : ""));
  if (!endsWhole) alternatives.push(`${digit(last, last)} ${group(digitRange("0".repeat(rest), high.slice(1)))}`);
  return alternatives;
}

function digit(from: number, to: number): string {
  return from === to ? `"${from}"` : `[${from}-${to}]`;
}

function group(alternatives: string[]): string {
  return alternatives.length === 1 ? alternatives[0]! : `(${alternatives.join(" | ")})`;
}

/** The grammar of numbers within bounds; null when there is none. */
export function numberRule(bounds: NumberBounds): string | null {
  const { min, max, minExclusive, maxExclusive, fractionDigitsMax } = bounds;
  if (min === null && max === null && fractionDigitsMax === null) {
    return `"-"? ("0" | [1-9] [0-9]{0,${DIGITS_MAX - 1}}) ("." [0-9]{1,${DIGITS_MAX}})? ([eE] [-+]? [0-9]{1,2})?`;
  }
  if (min !== null && max !== null && (min > max || (min === max && (minExclusive || maxExclusive)))) return null;
  const digitsMax = Math.min(fractionDigitsMax ?? DIGITS_MAX, fractionDigits(bounds));
  const alternatives: string[] = [];
  if (min === null || min < 0) {
    // Below 0 the bounds change places.
    const near = max === null || max > 0 ? null : toDecimal(-max, maxExclusive, { digitsMax, up: true });
    const far = min === null ? null : toDecimal(-min, minExclusive, { digitsMax, up: false });
    alternatives.push(...decimalRange(near, far, digitsMax).map((body) => `"-" ${body}`));
  }
  if (max === null || max >= 0) {
    const near = min === null || min < 0 ? null : toDecimal(min, minExclusive, { digitsMax, up: true });
    const far = max === null ? null : toDecimal(max, maxExclusive, { digitsMax, up: false });
    alternatives.push(...decimalRange(near, far, digitsMax));
  }
  return alternatives.length === 0 ? onlyBound(bounds) : alternatives.join(" | ");
}

/** Where so few digits write no number within bounds: one of the bounds as it is, or null. */
function onlyBound({ min, max, minExclusive, maxExclusive, fractionDigitsMax }: NumberBounds): string | null {
  if (fractionDigitsMax !== null) return null;
  const within = (min !== null && !minExclusive) ? min : (max !== null && !maxExclusive) ? max : null;
  return within === null ? null : literal(JSON.stringify(within));
}

/** Digits behind the point with which doubles near the bounds are still told apart. */
function fractionDigits({ min, max }: NumberBounds): number {
  const largest = Math.max(1, Math.abs(min ?? 0), Math.abs(max ?? 0));
  return Math.max(0, DIGITS_MAX - Math.floor(Math.log10(largest)) - 1);
}

/** A bound, 0 or more, with at most `digitsMax` digits behind the point: rounded up or down, always inward. */
function toDecimal(bound: number, exclusive: boolean, { digitsMax, up }: { digitsMax: number; up: boolean }): Decimal {
  const { digits, exponent } = parseDecimal(bound);
  const scaled = exponent >= 0 ? digits * 10n ** BigInt(exponent) : digits;
  const places = Math.max(0, -exponent);
  const drop = 10n ** BigInt(Math.max(0, places - digitsMax));
  const rest = scaled % drop;
  const kept = scaled / drop + (rest > 0n && up ? 1n : 0n);
  const scale = 10n ** BigInt(Math.min(places, digitsMax));
  const fraction = scale === 1n ? "" : String(kept % scale).padStart(Math.min(places, digitsMax), "0");
  return { integer: kept / scale, fraction: fraction.replace(/0+$/, ""), exclusive: exclusive && rest === 0n };
}

/** A number as people write it: `digits × 10^exponent`, with the fewest digits that mean this double. */
export function parseDecimal(value: number): { digits: bigint; exponent: number } {
  const [, sign, integer, fraction = "", power = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:e([-+]?\d+))?$/.exec(String(value))!;
  return {
    digits: BigInt(`${integer}${fraction}`) * (sign === "-" ? -1n : 1n),
    exponent: Number(power) - fraction.length,
  };
}

/** Alternatives for decimal numbers, 0 or more, from `low` to `high`; null is 0 and no bound. */
function decimalRange(low: Decimal | null, high: Decimal | null, digitsMax: number): string[] {
  const from = low ?? { integer: 0n, fraction: "", exclusive: false };
  const fractionAny = digitsMax === 0 ? "" : ` ("." [0-9]{1,${digitsMax}})?`;
  if (high !== null && (from.integer > high.integer)) return [];
  if (high !== null && from.integer === high.integer) {
    const fractions = fractionRange(from, high, digitsMax);
    return fractions.length === 0 ? [] : [`"${from.integer}" ${group(fractions)}`];
  }
  const alternatives: string[] = [];
  const isFromWhole = from.fraction === "" && !from.exclusive;
  if (!isFromWhole) {
    const fractions = fractionRange(from, null, digitsMax);
    if (fractions.length > 0) alternatives.push(`"${from.integer}" ${group(fractions)}`);
  }
  const first = isFromWhole ? from.integer : from.integer + 1n;
  const farthest = 10n ** BigInt(Math.max(DIGITS_MAX, String(first).length + 1)) - 1n;
  const last = high === null ? farthest : high.integer - 1n;
  if (first <= last) alternatives.push(`(${wholeRange(first, last)})${fractionAny}`);
  if (high !== null) {
    const fractions = fractionRange({ integer: high.integer, fraction: "", exclusive: false }, high, digitsMax);
    if (fractions.length > 0) alternatives.push(`"${high.integer}" ${group(fractions)}`);
  }
  return alternatives;
}

/** Alternatives for what follows the integer part (`.` and digits, or nothing) from `low` to `high`; null is no bound. */
function fractionRange(low: Decimal, high: Decimal | null, digitsMax: number): string[] {
  const alternatives: string[] = [];
  const isZeroWithin = low.fraction === "" && !low.exclusive && !(high?.fraction === "" && high.exclusive);
  if (isZeroWithin) alternatives.push('""');
  if (digitsMax > 0) {
    const tail = { low: low.fraction, lowExclusive: low.exclusive, high: high?.fraction ?? null };
    const digits = tailRange({ ...tail, highExclusive: high?.exclusive ?? false }, digitsMax).filter((body) =>
      body !== ""
    );
    if (digits.length > 0) alternatives.push(`"." ${group(digits)}`);
  }
  return alternatives;
}

interface Tail {
  low: string;
  lowExclusive: boolean;
  high: string | null;
  highExclusive: boolean;
}

/** Alternatives for the remaining digits of a fraction, at most `count`; an empty one says that it may end here. */
function tailRange({ low, lowExclusive, high, highExclusive }: Tail, count: number): string[] {
  const isLowOpen = low === "" && !lowExclusive;
  if (isLowOpen && high === null) return count === 0 ? [""] : ["", `[0-9]{1,${count}}`];
  const alternatives: string[] = [];
  const ends = isLowOpen && !(high === "" && highExclusive);
  if (ends) alternatives.push("");
  if (count === 0 || (high === "" && highExclusive)) return alternatives;
  if (high === "") {
    // Nothing but zeros may follow, and only when nothing has to be added.
    if (isLowOpen) alternatives.push(`"0"{1,${count}}`);
    return alternatives;
  }
  const bottom = Number(low[0] ?? "0");
  const top = high === null ? 9 : Number(high[0]);
  const [lowRest, highRest] = [low.slice(1), high === null ? null : high.slice(1)];
  const edge = (at: number, tail: Tail) => {
    const rests = tailRange(tail, count - 1);
    const bodies = rests.map((body) => body === "" ? '""' : body);
    if (bodies.length > 0) alternatives.push(`"${at}" ${group(bodies)}`);
  };
  if (bottom === top) {
    edge(bottom, { low: lowRest, lowExclusive, high: highRest, highExclusive });
    return alternatives;
  }
  const isBottomOpen = lowRest === "" && !lowExclusive;
  const isTopOpen = highRest === null;
  if (!isBottomOpen) edge(bottom, { low: lowRest, lowExclusive, high: null, highExclusive: false });
  const [from, to] = [isBottomOpen ? bottom : bottom + 1, isTopOpen ? top : top - 1];
  if (from <= to) alternatives.push(digit(from, to) + (count > 1 ? ` [0-9]{0,${count - 1}}` : ""));
  if (!isTopOpen) edge(top, { low: "", lowExclusive: false, high: highRest, highExclusive });
  return alternatives;
}

/** Most numbers that are listed one by one. */
const LISTED_MAX = 1_000;

/** The multiples of `factor` from `min` to `max`, written with its decimal places; null when there are too many. */
export function listMultiples(factor: number, { min, max }: { min: number; max: number }): number[] | null {
  const { digits, exponent } = parseDecimal(factor);
  const [first, last] = [Math.ceil(min / factor) - 1, Math.floor(max / factor) + 1];
  if (!(last - first <= LISTED_MAX) || !Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return null;
  return Array.from({ length: last - first + 1 }, (_, at) => Number(`${digits * BigInt(first + at)}e${exponent}`))
    .filter((value) => min <= value && value <= max);
}
