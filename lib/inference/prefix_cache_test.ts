import assert from "node:assert/strict";
import { CacheWalk, listFiles, type WalkOptions } from "../../tests/fixtures/cache_walk.ts";
import { CountingDecoder } from "../../tests/fixtures/counting_decoder.ts";
import { PrefixCache } from "./prefix_cache.ts";
import type { Sequence } from "./sequence_store.ts";
import { hashOwner, StateFiles } from "./state_files.ts";

/** So many tokens that count up from `first`. */
function count(first: number, length: number): number[] {
  return Array.from({ length }, (_, i) => first + i);
}

interface Desk {
  decoder: CountingDecoder;
  cache: PrefixCache;
  /** Takes a sequence for a prompt, decodes the rest of it and an answer, and lets it go; returns the cached tokens. */
  ask(owner: string, prompt: number[], answer?: number[]): Promise<number>;
  /** The same without letting it go. */
  begin(owner: string, prompt: number[], answer?: number[]): Promise<{ cached: number; sequence: Sequence }>;
}

function open(
  options: {
    sequences?: number;
    memoryBytesMax?: number;
    windowTokens?: number;
    files?: StateFiles | null;
    freeBytes?: number;
  } = {},
): Desk {
  const { sequences = 1, memoryBytesMax = 1e6, files = null, freeBytes = 1e9, ...rest } = options;
  const decoder = new CountingDecoder(sequences, { ...rest, hasty: true });
  const cache = new PrefixCache(decoder, { memoryBytesMax, files, measureFreeBytes: () => freeBytes });
  const decode = async (sequence: Sequence, tokens: number[]) => {
    const { index, tokens: { length: position } } = sequence;
    await decoder.decode([{ sequence: index, position, tokens, sampler: null }]);
    sequence.tokens.push(...tokens);
  };
  const begin = async (owner: string, prompt: number[], answer: number[] = []) => {
    const sequence = await cache.take(owner, prompt);
    assert.ok(sequence !== null);
    decoder.claim(sequence.index, owner);
    const cached = sequence.tokens.length;
    const note = async () => {
      const tokensLeft = prompt.length - sequence.tokens.length;
      await cache.notePrefill(sequence, { tokensLeft, chunkTokens: 64 });
    };
    await note();
    while (sequence.tokens.length < prompt.length) {
      await decode(sequence, prompt.slice(sequence.tokens.length, sequence.tokens.length + 64));
      await note();
    }
    if (answer.length > 0) await decode(sequence, answer);
    assert.deepEqual(decoder.tokensOf(sequence.index), [...prompt, ...answer]);
    assert.deepEqual(decoder.misuses, []);
    return { cached, sequence };
  };
  const ask = async (owner: string, prompt: number[], answer?: number[]) => {
    const { cached, sequence } = await begin(owner, prompt, answer);
    cache.release(sequence);
    return cached;
  };
  return { decoder, cache, begin, ask };
}

async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

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
    await inFolder(async (dir) => {
      const counts = { hits: 0, loads: 0 };
      for (const seed of count(1, 8)) {
        const disk = diskBytesMax === null ? null : { dir: `${dir}/${seed}`, bytesMax: diskBytesMax };
        const walk = new CacheWalk({ ...options, seed, sequences: 1 + seed % 4, disk });
        await walk.walk(300);
        await walk.forgetAll();
        counts.hits += walk.counts.hits;
        counts.loads += walk.counts.loads;
      }
      assert.ok(counts.hits > 60, `only ${counts.hits} prompts had a beginning that was there`);
    });
  });
}

Deno.test("PrefixCache gives back both of two branches that take turns in one sequence", async () => {
  const { cache, ask } = open();
  const [one, other] = [[...count(1, 100), ...count(300, 100)], [...count(1, 100), ...count(500, 100)]];
  await ask("ada", one);
  assert.equal(await ask("ada", other), 100, "what they share");
  assert.equal(await ask("ada", one), 199, "all but the token that has to be decoded");
  assert.equal(await ask("ada", other), 199);
  assert.ok(cache.memoryBytes > 0);
});

Deno.test("PrefixCache gives back a conversation that another owner's pushed out, to its owner alone", async () => {
  const { ask } = open();
  await ask("ada", count(1, 200));
  assert.equal(await ask("bob", count(1, 200)), 0);
  assert.equal(await ask("ada", count(1, 300)), 200);
  assert.equal(await ask("bob", count(1, 300)), 200);
});

Deno.test("PrefixCache copies from a conversation that is being answered, and disturbs it in nothing", async () => {
  const { decoder, cache, begin } = open({ sequences: 2 });
  const first = await begin("ada", count(1, 200), [7, 7]);
  const second = await begin("ada", [...count(1, 150), 9, 9]);
  assert.equal(second.cached, 150);
  assert.deepEqual(first.sequence.tokens, [...count(1, 200), 7, 7]);
  assert.deepEqual(decoder.tokensOf(first.sequence.index), first.sequence.tokens);
  assert.notEqual(first.sequence.index, second.sequence.index);
  assert.equal(await cache.take("ada", [1]), null, "all are busy");
  assert.equal(decoder.states.size, 0, "the copy is let go");
});

Deno.test("PrefixCache copies nothing for a beginning that is read as fast", async () => {
  const { decoder, ask } = open({ sequences: 2 });
  await ask("ada", count(1, 40));
  assert.equal(await ask("ada", [...count(1, 30), 5]), 30, "where it is, it serves");
  await ask("bob", count(1, 63));
  await ask("eve", count(1, 63));
  assert.deepEqual([decoder.loads.length, decoder.states.size], [0, 0]);
});

Deno.test("PrefixCache goes back to a checkpoint where the model has forgotten", async () => {
  const { decoder, ask } = open({ windowTokens: 10 });
  await ask("ada", count(1, 200), count(900, 50));
  assert.equal(await ask("ada", count(1, 200)), 192, "the same prompt again, up to its last chunk");
  assert.equal(await ask("ada", [...count(1, 195), 5]), 192, "another question at the same place");
  assert.equal(await ask("ada", [...count(1, 100), 5]), 0, "before that there is none");
  assert.equal(await ask("ada", count(1, 250)), 192, "what was pushed out has kept its checkpoints");
  assert.ok(decoder.loads.some(({ partialLength }) => partialLength === 192));
});

Deno.test("PrefixCache marks where a short question begins, and keeps earlier marks through memory and disk", async () => {
  await inFolder(async (dir) => {
    for (const memoryBytesMax of [1e6, 3_000]) {
      const files = new StateFiles({ dir: `${dir}/${memoryBytesMax}`, fingerprint: "print", bytesMax: 1e6 });
      const { ask } = open({ windowTokens: 10, memoryBytesMax, files });
      const [first, answer] = [count(1, 200), count(900, 80)];
      await ask("ada", first, answer);
      await ask("bob", count(1, 100));
      const second = [...first, ...answer, ...count(2_000, 20)];
      assert.equal(await ask("ada", second, [7]), 280);
      await ask("bob", count(1, 110));
      assert.equal(await ask("ada", [...second.slice(0, -5), 3]), 280, "the same question, put in another way");
      await ask("bob", count(1, 120));
      assert.equal(await ask("ada", [...first.slice(0, -5), 3]), 192, "the one before");
    }
  });
});

Deno.test("PrefixCache lets checkpoints go with what they were of", async () => {
  const { ask } = open({ windowTokens: 10 });
  const branch = [...count(1, 130), ...count(900, 130)];
  await ask("ada", count(1, 130));
  await ask("ada", count(1, 260));
  assert.equal(await ask("ada", branch), 128);
  assert.equal(await ask("ada", [...branch.slice(0, -1), 5]), 256, "and not 258, which was marked on the other branch");
});

Deno.test("PrefixCache keeps a few checkpoints of a long prompt and lets go what is missed least", async () => {
  const { decoder, cache, begin } = open({ windowTokens: 10 });
  const { sequence } = await begin("ada", count(1, 15_000));
  const lengths = sequence.checkpoints.map(({ length }) => length);
  assert.equal(lengths.length, 8);
  assert.equal(lengths.at(-1), 14_976, "the last one stands right before the last chunk");
  assert.ok(lengths[0]! <= 4_096, `${lengths}`);
  assert.equal(decoder.states.size, 8);
  assert.equal(cache.memoryBytes, sequence.checkpoints.reduce((sum, { state }) => sum + state.bytes, 0));
});

Deno.test("PrefixCache serves from what it keeps while it makes room for it", async () => {
  const bytes = JSON.stringify({ tokens: count(1, 200) }).length;
  const { ask } = open({ memoryBytesMax: bytes + 200 });
  await ask("ada", count(1, 200));
  await ask("bob", count(1_000, 200));
  // There is room for one: bob's cannot be kept while ada's is being fetched.
  assert.equal(await ask("ada", count(1, 210)), 200);
  assert.equal(await ask("bob", count(1_000, 210)), 0);
});

Deno.test("PrefixCache fails no answer because it cannot keep another", async () => {
  const { decoder, cache, ask } = open({ windowTokens: 10 });
  await ask("ada", count(1, 200));
  decoder.savingFails = true;
  assert.equal(await ask("bob", count(1, 200)), 0);
  assert.equal(await ask("ada", count(1, 200)), 0);
  assert.equal(cache.memoryBytes, 0);
});

Deno.test("PrefixCache gives up a state that the model does not take", async () => {
  const { decoder, cache, ask } = open();
  await ask("ada", count(1, 200));
  await ask("bob", count(1, 20));
  decoder.refusesStates = true;
  assert.equal(await ask("ada", count(1, 200)), 0);
  assert.equal(decoder.loads.length, 1);
  assert.deepEqual([cache.memoryBytes, decoder.states.size], [0, 0], "it is not tried again");
});

Deno.test("PrefixCache lets a sequence go when the decoder fails, and takes nothing that it holds for granted", async () => {
  const { decoder, cache, ask } = open({ memoryBytesMax: 0 });
  await ask("ada", count(1, 200));
  const { cut } = decoder;
  decoder.cut = () => Promise.reject(new Error("the thread was ended"));
  await assert.rejects(cache.take("ada", count(1, 100)), /the thread was ended/);
  assert.equal(cache.busy, 0);
  decoder.cut = cut;
  assert.equal(await ask("ada", count(1, 100)), 0);
});

Deno.test("PrefixCache forgets an owner's conversations in sequences, memory and on disk, and nobody else's", async () => {
  await inFolder(async (dir) => {
    const files = new StateFiles({ dir, fingerprint: "print", bytesMax: 1e6 });
    const { decoder, cache, ask } = open({ sequences: 2, memoryBytesMax: 1_000, files });
    for (const first of [1, 1_000, 2_000]) await ask("ada", count(first, 200));
    await ask("bob", count(1, 200));
    await cache.persist();
    await ask("ada", count(3_000, 200));
    await cache.forget("ada");
    assert.deepEqual((await listFiles(dir)).filter((name) => name.includes(hashOwner("ada"))), []);
    for (const first of [1, 1_000, 2_000, 3_000]) assert.equal(await ask("ada", count(first, 200)), 0);
    assert.equal(await ask("bob", count(1, 200)), 199);
    assert.deepEqual(decoder.misuses, []);
  });
});

Deno.test("PrefixCache takes conversations up after a restart, and none of another model", async () => {
  await inFolder(async (dir) => {
    const reopen = async (fingerprint: string, memoryBytesMax: number) => {
      const files = new StateFiles({ dir, fingerprint, bytesMax: 1e6 });
      const desk = open({ sequences: 3, memoryBytesMax, files, windowTokens: 10 });
      await desk.cache.open();
      return desk;
    };
    const before = await reopen("print", 1e6);
    for (const owner of ["ada", "bob", "eve"]) await before.ask(owner, count(1, 200), count(900, 20));
    await before.cache.persist();
    const other = await reopen("another print", 1e6);
    assert.equal(await other.ask("ada", count(1, 300)), 0);
    for (const memoryBytesMax of [1e6, 0]) {
      const after = await reopen("print", memoryBytesMax);
      assert.equal(await after.ask("ada", [...count(1, 200), ...count(900, 20), 5]), 220);
      assert.equal(await after.ask("bob", count(1, 200)), 192, "checkpoints are taken up too");
      assert.equal(await after.ask("zoe", count(1, 200)), 0);
    }
  });
});

Deno.test("PrefixCache keeps what was used last when not everything has a place on disk", async () => {
  await inFolder(async (dir) => {
    const size = { sequences: 4, memoryBytesMax: 1e6 };
    const makeFiles = () => new StateFiles({ dir, fingerprint: "print", bytesMax: 5_000 });
    const { cache, ask } = open({ ...size, files: makeFiles() });
    for (const owner of ["ada", "bob", "eve", "zoe"]) {
      await ask(owner, count(1, 400));
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    await cache.persist();
    const after = open({ ...size, files: makeFiles() });
    await after.cache.open();
    const cached: number[] = [];
    for (const owner of ["ada", "bob", "eve", "zoe"]) cached.push(await after.ask(owner, count(1, 400)));
    assert.deepEqual(cached, [0, 0, 0, 399]);
  });
});

Deno.test("PrefixCache writes what was used last first: there may be no time for the rest", async () => {
  await inFolder(async (dir) => {
    const files = new StateFiles({ dir, fingerprint: "print", bytesMax: 1e6 });
    const written: string[] = [];
    const { write } = files;
    files.write = (kept, onRemoved) => {
      written.push(kept.owner);
      return write.call(files, kept, onRemoved);
    };
    const { cache, ask } = open({ sequences: 2, files });
    for (const owner of ["ada", "bob", "eve", "zoe"]) await ask(owner, count(1, 100));
    await cache.persist();
    assert.deepEqual(written, ["zoe", "eve", "bob", "ada"].map(hashOwner));
  });
});

Deno.test("PrefixCache copies nothing where nothing may be kept", async () => {
  const { decoder, cache, ask } = open({ memoryBytesMax: 0, windowTokens: 10 });
  let saved = 0;
  const { saveState } = decoder;
  decoder.saveState = (...parts) => {
    saved++;
    return saveState.apply(decoder, parts);
  };
  await ask("ada", count(1, 2_000));
  await ask("bob", count(1, 200));
  await cache.persist();
  assert.equal(saved, 0);
});

Deno.test("PrefixCache copies nothing that this machine has no memory for, and reads it again instead", async () => {
  const { decoder, ask } = open({ freeBytes: 100 });
  await ask("ada", count(1, 200));
  await ask("bob", count(1, 200));
  assert.equal(await ask("ada", count(1, 201)), 0);
  assert.equal(decoder.states.size, 0);
});

Deno.test("PrefixCache stops keeping conversations on disk as soon as somebody is in its way", async () => {
  await inFolder(async (dir) => {
    const files = new StateFiles({ dir, fingerprint: "print", bytesMax: 1e6 });
    const { cache, ask } = open({ sequences: 3, files });
    for (const owner of ["ada", "bob", "eve"]) await ask(owner, count(1, 100));
    let asked = 0;
    await cache.persist(() => ++asked > 1);
    assert.equal((await files.open()).length, 1);
  });
});
