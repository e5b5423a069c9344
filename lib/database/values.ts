/** How values are written for Postgres and read from it, so that both drivers agree. Everything travels as text. */
import type { Value } from "./database.ts";

/** Object ids of the types that JavaScript has a form for: `select oid, typname from pg_type`, fixed for ever. */
const OIDS = {
  boolean: 16,
  bytea: 17,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  float4: 700,
  float8: 701,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
} as const;

/** The types whose parameters are JSON values. */
export const JSON_OIDS: readonly number[] = [OIDS.json, OIDS.jsonb];

/** A type's array has an object id of its own. */
const ARRAY_OIDS: Record<keyof typeof OIDS, number> = {
  boolean: 1000,
  bytea: 1001,
  name: 1003,
  int8: 1016,
  int2: 1005,
  int4: 1007,
  text: 1009,
  oid: 1028,
  json: 199,
  float4: 1021,
  float8: 1022,
  varchar: 1015,
  date: 1182,
  timestamp: 1115,
  timestamptz: 1185,
  numeric: 1231,
  uuid: 2951,
  jsonb: 3807,
};

type Reader = (text: string) => unknown;

const readText: Reader = (text) => text;

const READERS: Record<keyof typeof OIDS, Reader> = {
  boolean: (text) => text === "t",
  bytea: (text) => Uint8Array.fromHex(text.slice(2)),
  name: readText,
  int8: readInteger,
  int2: Number,
  int4: Number,
  text: readText,
  oid: Number,
  json: (text) => JSON.parse(text),
  float4: Number,
  float8: Number,
  varchar: readText,
  date: readText,
  timestamp: (text) => text.replace(" ", "T"),
  timestamptz: readInstant,
  numeric: readText,
  uuid: readText,
  jsonb: (text) => JSON.parse(text),
};

/** What turns a column's text into a value, by the object id of its type; a type that is not here stays text. */
export const COLUMN_READERS: ReadonlyMap<number, Reader> = new Map(
  Object.keys(OIDS).map((name) => name as keyof typeof OIDS).flatMap((name) => [
    [OIDS[name], READERS[name]],
    [ARRAY_OIDS[name], (text: string) => readArray(text, READERS[name])],
  ]),
);

function readInteger(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

/** Sessions run in UTC; `infinity` and years before Christ stay as Postgres writes them. */
function readInstant(text: string): string {
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\+00$/.exec(text);
  return match === null ? text : `${match[1]}T${match[2]}Z`;
}

/** Reads `{1,NULL,"a \"b\""}`: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function readArray(text: string, read: Reader): unknown[] {
  // Bounds that do not begin at 1 are written before the braces.
  let at = text.indexOf("{");
  function readItems(): unknown[] {
    const items: unknown[] = [];
    at++;
    while (text[at] !== "}") {
      if (text[at] === "{") items.push(readItems());
      else items.push(text[at] === '"' ? read(readQuoted()) : readBare());
      if (text[at] === ",") at++;
    }
    at++;
    return items;
  }
  function readQuoted(): string {
    const match = /"((?:[^"\\]|\\[^])*)"/y;
    match.lastIndex = at;
    const [whole, inner] = match.exec(text)!;
    at += whole.length;
    return inner!.replace(/\\([^])/g, "$1");
  }
  function readBare(): unknown {
    const from = at;
    while (text[at] !== "," && text[at] !== "}") at++;
    const item = text.slice(from, at);
    return item === "NULL" ? null : read(item);
  }
  return readItems();
}

/** A value on its way to Postgres. Drivers ask it for its text, or, when the parameter is `json`, for its JSON. */
export class Parameter {
  constructor(private readonly value: Exclude<Value, null>) {}

  /** The value as text, as Postgres reads every type but `json` and `jsonb`. */
  toString(): string {
    return writeText(this.value);
  }

  /** The value as the text of a JSON value. Half of a surrogate pair, which `jsonb` refuses, becomes U+FFFD. */
  toJsonText(): string {
    const { value } = this;
    if (typeof value === "bigint") return String(value);
    const text = JSON.stringify(value instanceof Uint8Array ? writeText(value) : value);
    return text.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (escape, half) => half === undefined ? escape : "\\ufffd");
  }
}

function writeText(value: Exclude<Value, null>): string {
  if (typeof value !== "object") return String(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${value.toHex()}`;
  return Array.isArray(value) ? writeArray(value) : JSON.stringify(value);
}

function writeArray(items: readonly Value[]): string {
  const texts = items.map((item) => {
    if (item === null) return "NULL";
    if (Array.isArray(item)) return writeArray(item);
    return `"${writeText(item).replace(/["\\]/g, "\\$&")}"`;
  });
  return `{${texts.join(",")}}`;
}

/** `text` as a literal of SQL, for statements that take no parameters. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `name` as an identifier of SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
