import assert from "node:assert/strict";
import { measureFreeMemory, measureTotalMemory } from "./free_memory.ts";

Deno.test("measureFreeMemory() believes a container's limit", () => {
  assert.equal(measureFreeMemory({ availableBytes: 9_000, limitBytes: 5_000, residentBytes: 1_000 }), 4_000);
  assert.equal(measureFreeMemory({ availableBytes: 9_000, limitBytes: 5_000, residentBytes: 6_000 }), 0);
});

Deno.test("measureFreeMemory() takes the system's word where there is no limit, or one that is never met", () => {
  assert.equal(measureFreeMemory({ availableBytes: 9_000, limitBytes: 0, residentBytes: 1_000 }), 9_000);
  assert.equal(measureFreeMemory({ availableBytes: 9_000, limitBytes: 2 ** 63, residentBytes: 1_000 }), 9_000);
});

Deno.test("measureFreeMemory() reads this machine's memory without being let read its files", {
  permissions: { sys: true },
}, () => {
  assert.ok(measureFreeMemory() > 10_000_000);
});

Deno.test("measureTotalMemory() takes the smaller of machine and container", () => {
  assert.equal(measureTotalMemory({ totalBytes: 9_000, limitBytes: 0 }), 9_000);
  assert.equal(measureTotalMemory({ totalBytes: 9_000, limitBytes: 5_000 }), 5_000);
  assert.equal(measureTotalMemory({ totalBytes: 9_000, limitBytes: 2 ** 63 }), 9_000);
  assert.ok(measureTotalMemory() >= measureFreeMemory());
});
