import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { measureFreeMemory, requireMemory } from "./memory.ts";

const readFrom = (files: Record<string, string>) => (path: string) =>
  Promise.resolve(files[path.replace("/sys/fs/cgroup/", "")] ?? null);

Deno.test("measureFreeMemory() believes a container's limit, and counts its page cache as free", async () => {
  const stat = "anon 5\nfile 3000000\ninactive_file 2000000\n";
  const contained = readFrom({ "memory.max": "10000000\n", "memory.current": "7000000\n", "memory.stat": stat });
  assert.equal(await measureFreeMemory(contained), 5_000_000);
  const overdrawn = readFrom({ "memory.max": "10000000\n", "memory.current": "17000000\n" });
  assert.equal(await measureFreeMemory(overdrawn), 0);
});

Deno.test("measureFreeMemory() takes the system's word where there is no limit", async () => {
  for (const files of [{}, { "memory.max": "max\n", "memory.current": "7000000\n" }]) {
    assert.ok(await measureFreeMemory(readFrom(files)) > 10_000_000);
  }
});

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
