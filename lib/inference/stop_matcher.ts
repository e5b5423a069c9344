/** What {@linkcode StopMatcher.push} found. */
export interface StopMatch {
  /** Text that can be shown now: no stop text can begin inside it. */
  text: string;
  /** True when a stop text was met; nothing after it is ever shown. */
  stopped: boolean;
}

/** Finds stop texts in a stream of text pieces, holding back what may turn out to be the beginning of one. */
export class StopMatcher {
  #held = "";

  /** @param stops Texts that end the answer, none of them empty. */
  constructor(private readonly stops: readonly string[]) {}

  /** Takes the next piece and returns what of the text so far can be shown. */
  push(piece: string): StopMatch {
    this.#held += piece;
    const found = this.#indexOfStop();
    if (found >= 0) {
      const text = this.#held.slice(0, found);
      this.#held = "";
      return { text, stopped: true };
    }
    const shown = this.#held.length - this.#lengthHeldBack();
    const text = this.#held.slice(0, shown);
    this.#held = this.#held.slice(shown);
    return { text, stopped: false };
  }

  /** The answer ended by itself: what was held back is text after all. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  #indexOfStop(): number {
    let first = -1;
    for (const stop of this.stops) {
      const index = this.#held.indexOf(stop);
      if (index >= 0 && (first < 0 || index < first)) first = index;
    }
    return first;
  }

  #lengthHeldBack(): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
