import assert from "node:assert/strict";
import { choosePrefix, type PrefixCosts, type PrefixSource } from "./prefix_plan.ts";

const COSTS: PrefixCosts = { prefillMsPerToken: 2, copyMsPerToken: 0.02, diskMsPerToken: 0.1 };

function source(kind: PrefixSource["kind"], prefixTokens: number, heldTokens = prefixTokens): PrefixSource {
  return { kind, prefixTokens, heldTokens };
}

Deno.test("choosePrefix() chooses nothing where nothing is shared", () => {
  assert.equal(choosePrefix([], COSTS), null);
  assert.equal(choosePrefix([source("free", 0, 500), source("memory", 0, 500)], COSTS), null);
});

Deno.test("choosePrefix() goes on with a free sequence however little it holds, and copies nothing for so little", () => {
  assert.equal(choosePrefix([source("free", 5)], COSTS)?.kind, "free");
  assert.equal(choosePrefix([source("free", 5, 60)], COSTS)?.kind, "free");
  assert.equal(choosePrefix([source("free", 63, 500)], COSTS), null, "what it would lose has to be copied");
  for (const kind of ["busy", "memory", "disk"] as const) assert.equal(choosePrefix([source(kind, 63)], COSTS), null);
  for (const kind of ["busy", "memory", "disk"] as const) assert.ok(choosePrefix([source(kind, 64)], COSTS));
});

Deno.test("choosePrefix() takes the source that saves most, the nearest one among equals", () => {
  const all = [source("disk", 300), source("busy", 300), source("memory", 300), source("free", 300)];
  assert.equal(choosePrefix(all, COSTS)?.kind, "free");
  assert.equal(choosePrefix(all.slice(0, 3), COSTS)?.kind, "memory");
  assert.equal(choosePrefix(all.slice(0, 2), COSTS)?.kind, "busy");
  assert.equal(choosePrefix([source("free", 100), source("disk", 300)], COSTS)?.kind, "disk");
});

Deno.test("choosePrefix() reads a prompt again when that is faster than to fetch a state", () => {
  const long = source("disk", 70, 10_000);
  assert.equal(choosePrefix([long], COSTS), null, "10,000 tokens would be read from disk for 70");
  assert.equal(choosePrefix([source("disk", 70, 100)], { ...COSTS, diskMsPerToken: 5 }), null);
  assert.equal(choosePrefix([source("busy", 70, 7_000)], COSTS), null, "a busy one is copied out and in again");
  assert.equal(choosePrefix([source("busy", 70, 3_000)], COSTS)?.kind, "busy");
});

Deno.test("choosePrefix() gives back what it was given", () => {
  const named = { ...source("memory", 100), name: "mine" };
  assert.equal(choosePrefix([named], COSTS), named);
});
