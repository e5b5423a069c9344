import type { DrawnToken } from "../contracts/chat.ts";

/** The tokens of a text, and those that come behind it. */
export interface SpelledText {
  tokens: DrawnToken[];
  rest: DrawnToken[];
}

/**
 * Finds the tokens in which a text was drawn. What stands before it has been left out of the answer (a marker, white
 * space), what comes after it is held back still. Where the bytes do not show the text, as with a character that never
 * became whole, all of them count as its tokens.
 */
export function findSpelling(drawn: readonly DrawnToken[], text: string): SpelledText {
  const wanted = new TextEncoder().encode(text);
  const start = indexOf(drawn.flatMap(({ bytes }) => bytes), wanted);
  if (start < 0) return { tokens: [...drawn], rest: [] };
  const spelled: SpelledText = { tokens: [], rest: [] };
  let at = 0;
  for (const token of drawn) {
    const end = at + token.bytes.length;
    if (at >= start + wanted.length) spelled.rest.push(token);
    else if (end > start) spelled.tokens.push(token);
    at = end;
  }
  return spelled;
}

function indexOf(bytes: readonly number[], wanted: Uint8Array): number {
  for (let start = 0; start + wanted.length <= bytes.length; start++) {
    if (wanted.every((byte, i) => byte === bytes[start + i])) return start;
  }
  return -1;
}
