import { median, type Round } from "./rounds.ts";

/** One line of a table: what is shown of the numbers called `key`. */
export interface Row<Key extends string> {
  label: string;
  key: Key;
  unit: string;
  /** What the number is divided by for its unit. */
  divisor: number;
  digits: number;
}

/** What a table compares. */
export interface Comparison<Key extends string> {
  /** Heading of the first column of numbers, and of the one beside it. */
  own: string;
  other: string;
  rows: readonly Row<Key>[];
}

/** What was measured; a row that is missing anywhere is left out of the table. */
export type Numbers<Key extends string> = Partial<Record<Key, number>>;

/** Renders rounds as Markdown: medians, and the median and the spread of the ratios within rounds. */
export function renderTable<Key extends string>(
  rounds: readonly Round<Numbers<Key>>[],
  { own, other, rows }: Comparison<Key>,
): string {
  const isPaired = rounds.every((round) => round.other !== null);
  const header = isPaired ? ["", own, other, `${own} / ${other}`, "from – to"] : ["", own, "from – to"];
  const lines = [header, ["---", ...header.slice(1).map(() => "---:")]];
  const measured = rows.filter(({ key }) => rounds.every((round) => round.own[key] !== undefined));
  for (const row of measured) lines.push(isPaired ? renderPaired(row, rounds) : renderAlone(row, rounds));
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function renderPaired<Key extends string>(row: Row<Key>, rounds: readonly Round<Numbers<Key>>[]): string[] {
  const pairs = rounds.flatMap(({ own, other }) => other === null ? [] : [[own[row.key]!, other[row.key]!] as const]);
  const ratios = pairs.map(([own, other]) => own / other);
  const spread = `${Math.min(...ratios).toFixed(2)} – ${Math.max(...ratios).toFixed(2)}`;
  const values = [median(pairs.map(([own]) => own)), median(pairs.map(([, other]) => other))];
  return [row.label, ...values.map((value) => format(value, row)), median(ratios).toFixed(2), spread];
}

function renderAlone<Key extends string>(row: Row<Key>, rounds: readonly Round<Numbers<Key>>[]): string[] {
  const values = rounds.map(({ own }) => own[row.key]!);
  return [
    row.label,
    format(median(values), row),
    `${format(Math.min(...values), row)} – ${format(Math.max(...values), row)}`,
  ];
}

function format(value: number, { unit, divisor, digits }: Omit<Row<string>, "key">): string {
  const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${(value / divisor).toLocaleString("en-US", fixed)} ${unit}`;
}
