import assert from "node:assert/strict";
import { StopMatcher } from "./stop_matcher.ts";

function feed(stops: string[], pieces: string[]): { shown: string[]; stopped: boolean } {
  const matcher = new StopMatcher(stops);
  const shown: string[] = [];
  for (const piece of pieces) {
    const match = matcher.push(piece);
    shown.push(match.text);
    if (match.stopped) return { shown, stopped: true };
  }
  shown.push(matcher.flush());
  return { shown, stopped: false };
}

Deno.test("StopMatcher shows nothing of a stop text that arrives in pieces", () => {
  assert.deepEqual(feed(["</end>"], ["Hello <", "/e", "nd", "> secret"]), {
    shown: ["Hello ", "", "", ""],
    stopped: true,
  });
});

Deno.test("StopMatcher gives back what only looked like a stop text", () => {
  assert.deepEqual(feed(["</end>"], ["a </e", "m> b"]), { shown: ["a ", "</em> b", ""], stopped: false });
  assert.deepEqual(feed(["END"], ["the EN"]), { shown: ["the ", "EN"], stopped: false });
});

Deno.test("StopMatcher ends at the earliest of several stop texts", () => {
  assert.deepEqual(feed(["later", "now"], ["right now or later"]), { shown: ["right "], stopped: true });
});

Deno.test("StopMatcher without stop texts shows every piece at once", () => {
  assert.deepEqual(feed([], ["a", "b"]), { shown: ["a", "b", ""], stopped: false });
});

Deno.test("StopMatcher never leaks any split of a text, whatever the pieces", () => {
  const text = "one two STOP three";
  for (let first = 1; first < text.length; first++) {
    for (let second = first; second < text.length; second++) {
      const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
      assert.equal(feed(["STOP", "TOPS"], pieces).shown.join(""), "one two ");
    }
  }
});
