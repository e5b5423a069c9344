import assert from "node:assert/strict";
import { CacheWalk, type WalkOptions } from "../../tests/fixtures/cache_walk.ts";

const KINDS: Record<string, Pick<WalkOptions, "windowTokens" | "memoryBytesMax"> & { diskBytesMax: number | null }> = {
  "in memory": { memoryBytesMax: 1e9, diskBytesMax: null },
  "in little memory": { memoryBytesMax: 900, diskBytesMax: null },
  "in sequences alone": { memoryBytesMax: 0, diskBytesMax: null },
  "in little memory and on disk": { memoryBytesMax: 900, diskBytesMax: 1e9 },
  "on little disk alone": { memoryBytesMax: 0, diskBytesMax: 6_000 },
  "on a disk that takes no state": { memoryBytesMax: 900, diskBytesMax: 100 },
  "in memory, with a window": { memoryBytesMax: 1e9, windowTokens: 40, diskBytesMax: null },
  "in little memory and on disk, with a window": { memoryBytesMax: 1_500, windowTokens: 40, diskBytesMax: 1e9 },
};

for (const [kind, { diskBytesMax, ...options }] of Object.entries(KINDS)) {
  Deno.test(`PrefixCache holds what it says, each owner's apart, on a random walk ${kind}`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      const counts = { hits: 0, loads: 0 };
      for (const seed of [1, 2, 3]) {
        const disk = diskBytesMax === null ? null : { dir: `${dir}/${seed}`, bytesMax: diskBytesMax };
        const walk = new CacheWalk({ ...options, seed, sequences: seed, disk });
        await walk.walk(300);
        await walk.forgetAll();
        counts.hits += walk.counts.hits;
        counts.loads += walk.counts.loads;
      }
      assert.ok(counts.hits > 20, `only ${counts.hits} prompts had a beginning that was there`);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}
