import assert from "node:assert/strict";
import type { Browser } from "./fixtures/accounts.ts";
import { readJson } from "./fixtures/http.ts";
import { Random } from "./fixtures/random.ts";
import { type ApiDescription, openWholeHouse, type Operation, type Schema } from "./fixtures/whole_house.ts";

/** Says which inputs are tried; the failure names it, so that it can be run again with the same. */
const SEED = Number(Deno.env.get("ROOKERY_TEST_SEED") ?? 20_261_124);

/** Rounds through all routes, and when no further one begins, in milliseconds. */
const ROUNDS = { min: 2, max: 12, untilMs: 15_000 };

/** What ends the session with which everything is asked. */
const LEFT_OUT = ["POST /api/auth/logout", "POST /api/auth/refresh"];

/** What another server is asked for, whose absence is told as a 5xx that is true. */
const TRUE_STATUSES: Record<string, readonly number[]> = { "POST /api/pull": [502, 503, 504] };

const HOSTILE_TEXTS = [
  "",
  " ",
  "\0",
  "a\0b",
  "\u001b[2J\r\n\u0007",
  "\ud800",
  "\udfff\ud800",
  "\u202e\ufeff\uffff",
  "😀".repeat(300),
  "x".repeat(5_000),
  "'; drop table profiles; --",
  "%s%n\\x00\\",
  "../../../etc/passwd",
  "__proto__",
  "-1",
  "1e309",
  "NaN",
  "null",
  "01890000-0000-7000-8000-00000000000",
  "{01890000-0000-7000-8000-000000000000}",
  "9999-99-99T99:99:99Z",
  "eyJhIjoxfQ==",
  "W10",
  "WyIxOTcwIiwieCJd",
];
const HOSTILE_NUMBERS = [0, -1, 0.5, -0, 2 ** 31, 2 ** 53, -(2 ** 63), 1e21, 1e308, -1e308, 5e-324];
const FORMATS: Record<string, readonly string[]> = {
  uuid: ["01890000-0000-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000"],
  email: ["somebody@example.org", "a@b.cd"],
  "date-time": ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"],
  uri: ["https://example.org", "file:///etc/passwd"],
};

/** Makes inputs of a document's schemas, of which some are as they should be, and others are hostile here and there. */
class Fuzzer {
  readonly #random: Random;
  readonly #schemas: Record<string, Schema>;
  /** Ids of what is there, by names of parameters, so that not all ends at "not found". */
  readonly #ids: Record<string, string>;
  /** Once in how many values there is a hostile one. */
  #peace = 1;

  constructor(seed: number, { schemas, ids }: { schemas: Record<string, Schema>; ids: Record<string, string> }) {
    this.#random = new Random(seed);
    this.#schemas = schemas;
    this.#ids = ids;
  }

  /** Says that what follows is of another request. */
  begin(): void {
    this.#peace = this.#random.pick([4, 20, 1_000_000]);
  }

  /** A text for a path or a query. */
  text(name: string, schema: Schema): string {
    const value = this.#value(schema, { name, depth: 0 });
    return typeof value === "string" ? value : JSON.stringify(value) ?? "";
  }

  /** A body: mostly JSON of `schema`, sometimes none at all. */
  body(schema: Schema): string {
    const random = this.#random;
    if (random.once(this.#peace)) {
      return random.pick(["", "{", "[]", "null", '"\\ud800"', "\0", `{"a":${"[".repeat(2_000)}`]);
    }
    return JSON.stringify(this.#value(schema, { name: "", depth: 0 })) ?? "";
  }

  /** Whether to send what may be left out. */
  sends(): boolean {
    return this.#random.once(3);
  }

  #value(schema: Schema, { name, depth }: { name: string; depth: number }): unknown {
    const random = this.#random;
    if (random.once(this.#peace)) return this.#hostile();
    const { $ref, anyOf, oneOf, allOf, type, items } = schema;
    if ($ref !== undefined) return this.#value(this.#schemas[$ref.split("/").at(-1)!] ?? {}, { name, depth });
    const choices = anyOf ?? oneOf;
    if (choices !== undefined) return this.#value(random.pick(choices), { name, depth });
    if (allOf !== undefined) return this.#object(Object.assign({}, ...allOf), depth);
    if ("const" in schema) return schema.const;
    if (schema.enum !== undefined) return random.pick(schema.enum);
    const kind = Array.isArray(type) ? random.pick(type) : type;
    if (kind === "object") return this.#object(schema, depth);
    if (kind === "array") {
      const length = depth > 6 ? 0 : random.between(0, 2);
      return Array.from({ length }, () => this.#value(items ?? {}, { name, depth: depth + 1 }));
    }
    return this.#scalar(kind, { name, schema });
  }

  #object({ properties = {}, required = [] }: Schema, depth: number): Record<string, unknown> {
    const random = this.#random;
    const chosen = Object.entries(properties).filter(([name]) => {
      return required.includes(name) ? !random.once(this.#peace * 4) : random.once(4);
    });
    const entries = chosen.map(([name, schema]) => [name, this.#value(schema, { name, depth: depth + 1 })]);
    if (random.once(this.#peace * 4)) entries.push([random.pick(HOSTILE_TEXTS), this.#hostile()]);
    return Object.fromEntries(entries);
  }

  #scalar(kind: string | undefined, { name, schema: { format, minimum = 0, maximum = 100 } }: {
    name: string;
    schema: Schema;
  }): unknown {
    const random = this.#random;
    if (kind === "integer") return random.between(minimum, Math.min(maximum, minimum + 100));
    if (kind === "number") return minimum + random.fraction() * Math.min(maximum - minimum, 1);
    if (kind === "boolean") return random.once(2);
    if (kind === "null") return null;
    if (format === "uuid") return this.#ids[name] ?? random.pick(FORMATS.uuid!);
    if (format !== undefined && format in FORMATS) return random.pick(FORMATS[format]!);
    if (name === "model") return "scripted";
    return random.pick(["scripted", "hello", "Ada", "a lantern in the reeds", ...Object.values(this.#ids)]);
  }

  #hostile(): unknown {
    const random = this.#random;
    const nested = () => JSON.parse("[".repeat(200) + "]".repeat(200));
    return random.pick<() => unknown>([
      () => random.pick(HOSTILE_TEXTS),
      () => random.pick(HOSTILE_NUMBERS),
      () => null,
      () => random.once(2),
      () => ({}),
      () => [],
      nested,
      () => ({ toString: "x", constructor: null, length: -1 }),
    ])();
  }
}

/** A request as it is sent, to be shown where it fails. */
interface Input {
  method: string;
  path: string;
  body?: string;
  headers: Record<string, string>;
}

function makeInput(fuzzer: Fuzzer, name: string, { parameters = [], requestBody }: Operation): Input {
  const [method = "", template = ""] = name.split(" ");
  fuzzer.begin();
  const query = new URLSearchParams();
  const headers = new Headers();
  let path = template;
  for (const { name: param, in: place, schema = {} } of parameters) {
    // What is no text of Unicode cannot be in an address.
    const text = fuzzer.text(param, schema).toWellFormed();
    if (place === "path") path = path.replace(`{${param}}`, encodeURIComponent(text) || "%20");
    else if (!fuzzer.sends()) continue;
    else if (place === "query") query.set(param, text);
    // Nor can a line break be in a header, or what is no byte.
    else headers.set(param, text.replace(/[^\x20-\x7e\xa0-\xff]/g, ""));
  }
  if (query.size > 0) path += `?${query}`;
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  const body = content === undefined ? {} : { body: fuzzer.body(content.schema) };
  if (type !== undefined) headers.set("content-type", type);
  return { method, path, ...body, headers: Object.fromEntries(headers) };
}

/** Makes a conversation with a message, and tells their ids by the names that parameters have. */
async function furnish(ada: Browser): Promise<Record<string, string>> {
  const { id, rootThreadId: threadId } = await readJson(await ada.post("/api/conversations", { title: "Fuzz" }));
  const message = { parentId: null, content: "hello", answer: null };
  const { messageId } = await readJson(await ada.post(`/api/conversations/${id}/messages`, message));
  const places = { leafId: messageId, parentId: messageId, parent_message_id: messageId, conversation_id: id };
  return { id, threadId, messageId, ...places };
}

/** Sends rounds of inputs to every route; tells those that were answered by a 5xx. */
async function findFailures(ada: Browser, { operations, schemas }: ApiDescription): Promise<string[]> {
  const failures: string[] = [];
  const done = new Set<string>();
  const startedAtMs = Date.now();
  for (let round = 0; round < ROUNDS.max; round++) {
    if (round >= ROUNDS.min && Date.now() - startedAtMs > ROUNDS.untilMs) break;
    const fuzzer = new Fuzzer(SEED + round, { schemas, ids: await furnish(ada) });
    for (const [name, operation] of operations) {
      if (LEFT_OUT.includes(name)) continue;
      const { method, path, ...options } = makeInput(fuzzer, name, operation);
      const response = await ada.send(method, path, options);
      const text = await response.text();
      if (response.ok) done.add(name);
      if (response.status < 500 || TRUE_STATUSES[name]?.includes(response.status)) continue;
      const sent = `${method} ${path.slice(0, 300)} ${(options.body ?? "").slice(0, 600)}`;
      failures.push(`${name}: ${response.status} ${text.slice(0, 300)} to ${sent}`);
    }
  }
  // Where nearly nothing is let in, nothing is tried.
  assert.ok(done.size > operations.size / 2, [...done].join(", "));
  assert.equal((await ada.get("/api/auth/me")).status, 200, "the session was to last");
  return failures;
}

Deno.test(`No input makes a route fail inside, whatever it is (ROOKERY_TEST_SEED=${SEED})`, async () => {
  await using house = await openWholeHouse();
  const ada = house.visit();
  await ada.join("ada@example.org");
  const failures = await findFailures(ada, await house.describe());
  const internal = house.lines.filter(({ level }) => level === "error").map((line) => JSON.stringify(line));
  assert.deepEqual(failures, [], internal.slice(0, 5).join("\n"));
});
