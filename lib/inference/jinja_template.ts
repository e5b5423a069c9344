import { Environment, Interpreter, Template } from "@huggingface/jinja";

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/**
 * A chat template in Jinja, with the globals that transformers' `apply_chat_template` gives one. Only the day of
 * `strftime_now` is real: see {@linkcode formatDay}.
 */
export class JinjaTemplate {
  readonly #program: Template["parsed"];
  readonly #clock: () => Date;

  /** @throws {Error} when `text` is not valid Jinja. */
  constructor(text: string, clock: () => Date) {
    this.#program = new Template(text).parsed;
    this.#clock = clock;
  }

  /** @throws {Error} what the template raises or does wrong. */
  render(variables: Record<string, unknown>): string {
    const environment = new Environment();
    const globals = {
      true: true,
      True: true,
      false: false,
      False: false,
      none: null,
      None: null,
      range: (start: number, end?: number, step = 1) =>
        end === undefined ? range(0, start, step) : range(start, end, step),
      raise_exception: (message: string) => {
        throw new Error(message);
      },
      strftime_now: (format: string) => formatDay(this.#clock(), format),
    };
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    const result: unknown = new Interpreter(environment).run(this.#program).value;
    if (typeof result !== "string") throw new Error("It renders no text");
    return result;
  }
}

/**
 * Formats the day of `date` (UTC) as Python's `strftime` does. Of the time it knows midnight alone: a prompt that changed
 * by the minute would never be found in a cache. Names are English, as in the prompts that models learnt from.
 */
export function formatDay(date: Date, format: string): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const month = MONTHS[date.getUTCMonth()]!;
  const weekday = DAYS[date.getUTCDay()]!;
  const values: Record<string, string> = {
    Y: String(date.getUTCFullYear()),
    y: two(date.getUTCFullYear() % 100),
    m: two(date.getUTCMonth() + 1),
    d: two(date.getUTCDate()),
    "-d": String(date.getUTCDate()),
    B: month,
    b: month.slice(0, 3),
    A: weekday,
    a: weekday.slice(0, 3),
    H: "00",
    M: "00",
    S: "00",
    "%": "%",
  };
  return format.replace(/%(-?[A-Za-z]|%)/g, (whole, key: string) => values[key] ?? whole);
}

function range(start: number, end: number, step: number): number[] {
  if (step === 0) throw new Error("range() takes no step of zero");
  return Array.from({ length: Math.max(0, Math.ceil((end - start) / step)) }, (_, i) => start + i * step);
}
