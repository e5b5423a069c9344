import { type ArgumentReader, JsonArgumentReader, type Taken, XmlArgumentReader } from "./argument_reader.ts";
import type { CallFormat } from "./families.ts";

/** Hears what a scanner finds. */
export interface CallListener {
  onName(name: string): void;
  /** JSON text of the arguments; the pieces follow on each other. */
  onArguments(json: string): void;
}

/** What a scanner needs to know of the tools that may be called. */
export interface CallableTools {
  readonly names: readonly string[];
  /** Whether a parameter holds plain text, where parameters are not written as JSON. */
  isText(tool: string, parameter: string): boolean;
}

/** `name`: a tool's name is complete, which makes it a call. `rejected`: it is no call. `broken`: it was one. */
export type ScanState = "open" | "rejected" | "broken" | "done";

interface Part {
  take(char: string): Taken;
}

/** Reads one call, from behind its marker to its end, and notices at the first character that does not fit. */
export class CallScanner {
  state: ScanState = "open";
  /** All that was read. */
  seen = "";
  /** Of what was read, how much stands before the end of the tool's name; null until that is there. */
  nameEnd: number | null = null;
  /** The arguments are complete. */
  isWhole = false;
  readonly #parts: Part[];
  readonly #name: NamePart;
  #arguments: ArgumentReader | null = null;

  constructor(
    private readonly format: CallFormat,
    private readonly options: { tools: CallableTools; listener: CallListener; isFirst: boolean },
  ) {
    const { tools, isFirst } = options;
    const isJson = format.head.endsWith('"');
    const begin = isFirst ? format.begin : "";
    this.#name = new NamePart(tools.names, { end: format.middle[0]!, isJson });
    this.#parts = [
      ...literal([begin + format.head, ...format.otherHeads.map((head) => begin + head)]),
      this.#name,
      ...literal([format.middle]),
      { take: (char) => this.#takeArguments(char) },
      ...literal([format.close]),
    ];
  }

  /** The arguments have begun, so that it is a call. */
  get isCall(): boolean {
    return this.#arguments !== null;
  }

  /** The tool's name, once it is complete. */
  get name(): string | null {
    return this.#name.found;
  }

  /** Reads on. Returns how many characters belong to the call, all of them unless it ended or never was one. */
  push(text: string): number {
    let read = 0;
    for (const char of text) {
      if (this.state !== "open") break;
      this.seen += char;
      read += char.length;
      this.#take(char);
    }
    const json = this.#arguments?.drain() ?? "";
    if (json !== "") this.options.listener.onArguments(json);
    return read;
  }

  #take(char: string): void {
    const taken = this.#parts[0]!.take(char);
    if (taken === "more") return;
    if (taken === "misfit") {
      this.state = this.#arguments === null ? "rejected" : "broken";
      return;
    }
    if (this.#parts.shift() === this.#name) this.nameEnd = this.seen.length - char.length;
    if (this.#parts.length === 0) this.state = "done";
    else if (taken === "after") this.#take(char);
  }

  #takeArguments(char: string): Taken {
    if (this.#arguments === null) {
      // The brace that a JSON object begins with is what makes a name a call.
      if (this.format.arguments === "json" && /\s/.test(char)) return "more";
      if (this.format.arguments === "json" && char !== "{") return "misfit";
      const name = this.#name.found ?? "";
      this.#arguments = this.format.arguments === "json"
        ? new JsonArgumentReader()
        : new XmlArgumentReader((parameter) => this.options.tools.isText(name, parameter));
      this.options.listener.onName(name);
    }
    const taken = this.#arguments.take(char);
    if (taken === "last") this.isWhole = true;
    return taken;
  }
}

function literal(alternatives: readonly string[]): Part[] {
  return alternatives.every((text) => text === "") ? [] : [new LiteralPart(alternatives)];
}

/** One of several texts; white space may be more or less where they have some, and is skipped at the beginning. */
class LiteralPart implements Part {
  #alternatives: { text: string; at: number }[];

  constructor(alternatives: readonly string[]) {
    this.#alternatives = alternatives.map((text) => ({ text, at: 0 }));
  }

  take(char: string): Taken {
    this.#alternatives = this.#alternatives.flatMap(({ text, at }) => {
      const isFree = at === 0 || /\s/.test(text[at] ?? "") || /\s/.test(text[at - 1]!);
      if (isFree && /\s/.test(char)) return [{ text, at }];
      const next = at + /^\s*/.exec(text.slice(at))![0].length;
      return text[next] === char ? [{ text, at: next + 1 }] : [];
    });
    if (this.#alternatives.length === 0) return "misfit";
    return this.#alternatives.some(({ text, at }) => text.slice(at).trim() === "") ? "last" : "more";
  }
}

/** A tool's name up to the character that follows on it. */
class NamePart implements Part {
  found: string | null = null;
  #text = "";
  readonly #names: ReadonlyMap<string, string>;
  readonly #end: string;

  constructor(names: readonly string[], { end, isJson }: { end: string; isJson: boolean }) {
    this.#names = new Map(names.map((name) => [isJson ? JSON.stringify(name).slice(1, -1) : name, name]));
    this.#end = end;
  }

  take(char: string): Taken {
    if (char === this.#end && this.#names.has(this.#text)) {
      this.found = this.#names.get(this.#text)!;
      return "after";
    }
    if (this.#text === "" && /\s/.test(char)) return "more";
    this.#text += char;
    return [...this.#names.keys()].some((name) => name.startsWith(this.#text)) ? "more" : "misfit";
  }
}
