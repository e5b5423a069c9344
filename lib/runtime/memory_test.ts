import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { requireMemory } from "./memory.ts";

Deno.test("requireMemory() names what is needed and what is free", () => {
  const model = { id: "llama-3.2-3b-instruct", sizeBytes: 2_000_000_000 };
  assert.throws(() => requireMemory(model, 1_100_000_000), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "not_enough_memory");
    assert.match(error.message, /needs at least 2\.40? GB of memory and 1\.10? GB are free/);
    return true;
  });
  assert.doesNotThrow(() => requireMemory(model, 2_500_000_000));
});
