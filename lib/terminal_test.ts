import assert from "node:assert/strict";
import { printTo } from "./terminal.ts";

Deno.test("printTo() writes a text whole, however little is taken at once", () => {
  const taken: number[] = [];
  const slow = {
    writeSync(bytes: Uint8Array) {
      taken.push(...bytes.subarray(0, 3));
      return Math.min(3, bytes.length);
    },
  };
  printTo(slow, "Grüße 🙂\n");
  assert.equal(new TextDecoder().decode(new Uint8Array(taken)), "Grüße 🙂\n");
});

Deno.test("printTo() bears that nobody reads, and nothing else", () => {
  const failing = (error: Error) => ({
    writeSync(): number {
      throw error;
    },
  });
  assert.doesNotThrow(() => printTo(failing(new Deno.errors.BrokenPipe("closed")), "x"));
  assert.throws(() => printTo(failing(new TypeError("wrong")), "x"), TypeError);
});
