import type { Measurement } from "./measure.ts";

/** One round: what each server did, one right after the other. `other` is null when Rookery ran alone. */
export interface Round {
  rookery: Partial<Measurement>;
  other: Partial<Measurement> | null;
}

interface Row {
  label: string;
  key: keyof Measurement;
  unit: string;
  divisor: number;
  digits: number;
}

const SPEED = { unit: "tok/s", divisor: 1, digits: 1 } as const;
const WAIT = { unit: "ms", divisor: 1, digits: 0 } as const;

const ROWS: Row[] = [
  { label: "decode, 1 stream", key: "decodeOne", ...SPEED },
  { label: "decode, 2 streams", key: "decodeTwo", ...SPEED },
  { label: "decode, 4 streams", key: "decodeFour", ...SPEED },
  { label: "16 answers at once, in all", key: "decodeSixteen", ...SPEED },
  { label: "decode, 1 stream, JSON by a schema", key: "decodeSchema", ...SPEED },
  { label: "prefill, 1,500 tokens", key: "prefill", ...SPEED, digits: 0 },
  { label: "first token, cold, 2,000 tokens", key: "firstTokenColdMs", ...WAIT },
  { label: "first token, second turn", key: "firstTokenSecondTurnMs", ...WAIT },
  { label: "first token, sibling branch", key: "firstTokenSiblingMs", ...WAIT },
  { label: "first token, after 8 other conversations", key: "firstTokenAfterOthersMs", ...WAIT },
  { label: "first token, after a restart", key: "firstTokenAfterRestartMs", ...WAIT },
  { label: "resident memory", key: "memoryBytes", unit: "MB", divisor: 1e6, digits: 0 },
];

/** The middle of `values`; of an even number, the mean of the two in the middle. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  if (low === undefined || high === undefined) throw new RangeError("There is no median of nothing");
  return (low + high) / 2;
}

/** Renders the rounds of one model as Markdown: medians, and the median and the spread of the ratios within rounds. */
export function renderTable(rounds: Round[]): string {
  const isPaired = rounds.every(({ other }) => other !== null);
  const header = isPaired
    ? ["", "Rookery", "llama-server", "Rookery / llama-server", "from – to"]
    : ["", "Rookery", "from – to"];
  const lines = [header, ["---", ...header.slice(1).map(() => "---:")]];
  const measured = ROWS.filter(({ key }) => rounds.every(({ rookery }) => rookery[key] !== undefined));
  for (const row of measured) lines.push(isPaired ? renderPaired(row, rounds) : renderAlone(row, rounds));
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function renderPaired(row: Row, rounds: Round[]): string[] {
  const pairs = rounds.flatMap(({ rookery, other }) =>
    other === null ? [] : [[rookery[row.key]!, other[row.key]!] as const]
  );
  const ratios = pairs.map(([own, other]) => own / other);
  const spread = `${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)}`;
  const values = [median(pairs.map(([own]) => own)), median(pairs.map(([, other]) => other))];
  return [row.label, ...values.map((value) => format(value, row)), median(ratios).toFixed(2), spread];
}

function renderAlone(row: Row, rounds: Round[]): string[] {
  const values = rounds.map(({ rookery }) => rookery[row.key]!);
  return [
    row.label,
    format(median(values), row),
    `${format(Math.min(...values), row)} – ${format(Math.max(...values), row)}`,
  ];
}

function format(value: number, { unit, divisor, digits }: Row): string {
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${(value / divisor).toLocaleString("en-US", fixed)} ${unit}`;
}
