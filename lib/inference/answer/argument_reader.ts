/** What became of a character: more may follow, it was the last, it is not part of it any more, or it does not fit. */
export type Taken = "more" | "last" | "after" | "misfit";

/** Reads a call's arguments character by character, and tells them as JSON text. */
export interface ArgumentReader {
  take(char: string): Taken;
  /** JSON text that was read since it was asked last. */
  drain(): string;
}

/** Arguments that are written as a JSON object: it tells them as they come. */
export class JsonArgumentReader implements ArgumentReader {
  #text = "";
  #depth = 0;
  #inString = false;
  #escaped = false;

  take(char: string): Taken {
    if (this.#depth === 0) {
      if (/\s/.test(char)) return "more";
      if (char !== "{") return "misfit";
    }
    this.#text += char;
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (char === "\\") this.#escaped = true;
      else if (char === '"') this.#inString = false;
      return "more";
    }
    if (char === '"') this.#inString = true;
    else if (char === "{" || char === "[") this.#depth++;
    else if (char === "}" || char === "]") this.#depth--;
    return this.#depth === 0 ? "last" : "more";
  }

  drain(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

const OPEN = "<parameter=";
const CLOSE = "\n</parameter>";
const END = "</function>";

/**
 * Arguments that are written as `<parameter=name>` elements up to `</function>`, each value on lines of its own: texts as
 * they are, anything else as JSON.
 */
export class XmlArgumentReader implements ArgumentReader {
  #json = "";
  #place: "before" | "between" | "name" | "value" = "before";
  /** Of a tag or a name that is not complete, or of a value what may be its end. */
  #held = "";
  #isText = false;
  #isFirst = true;
  /** Nothing of the value was told yet: the end of its first line is not part of it. */
  #isValueNew = true;

  /** @param isTextParameter Says which parameters hold plain text. */
  constructor(private readonly isTextParameter: (name: string) => boolean) {}

  take(char: string): Taken {
    if (this.#place === "before") {
      this.#json += "{";
      this.#place = "between";
    }
    if (this.#place === "between") return this.#takeBetween(char);
    if (this.#place === "name") this.#takeName(char);
    else this.#takeValue(char);
    return "more";
  }

  drain(): string {
    const json = this.#json;
    this.#json = "";
    return json;
  }

  #takeBetween(char: string): Taken {
    if (this.#held === "" && /\s/.test(char)) return "more";
    this.#held += char;
    if (this.#held === END) {
      this.#json += "}";
      return "last";
    }
    if (this.#held === OPEN) this.#goTo("name");
    return OPEN.startsWith(this.#held) || END.startsWith(this.#held) ? "more" : "misfit";
  }

  #takeName(char: string): void {
    if (char !== ">") {
      this.#held += char;
      return;
    }
    this.#isText = this.isTextParameter(this.#held);
    this.#json += `${this.#isFirst ? "" : ", "}${JSON.stringify(this.#held)}: ${this.#isText ? '"' : ""}`;
    this.#isFirst = false;
    this.#isValueNew = true;
    this.#goTo("value");
  }

  /** A text is told as it comes, except for what may be its end; any other value when it is whole. */
  #takeValue(char: string): void {
    this.#held += char;
    if (this.#held.endsWith(CLOSE)) {
      const rest = this.#held.slice(0, -CLOSE.length);
      if (this.#isText) this.#tellText(rest);
      this.#json += this.#isText ? '"' : toJson(rest);
      this.#goTo("between");
    } else if (this.#isText) {
      const end = this.#held.length - lengthOfBeginning(this.#held, CLOSE);
      // Half a character is not told yet: alone it would be escaped.
      const whole = /[\uD800-\uDBFF]/.test(this.#held[end - 1] ?? "") ? end - 1 : end;
      this.#tellText(this.#held.slice(0, whole));
      this.#held = this.#held.slice(whole);
    }
  }

  #tellText(text: string): void {
    if (text === "") return;
    this.#json += JSON.stringify(this.#isValueNew && text.startsWith("\n") ? text.slice(1) : text).slice(1, -1);
    this.#isValueNew = false;
  }

  #goTo(place: "between" | "name" | "value"): void {
    this.#place = place;
    this.#held = "";
  }
}

/** A value as JSON: what is none is a text. */
function toJson(text: string): string {
  const trimmed = text.trim();
  try {
    JSON.parse(trimmed);
    return trimmed;
  } catch {
    return JSON.stringify(text.replace(/^\n/, ""));
  }
}

/** How many characters at the end of `text` are the beginning of `marker`, but not all of it. */
export function lengthOfBeginning(text: string, marker: string): number {
  for (let length = Math.min(marker.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(marker.slice(0, length))) return length;
  }
  return 0;
}
