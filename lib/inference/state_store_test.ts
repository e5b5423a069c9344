import assert from "node:assert/strict";
import { listFiles } from "../../tests/fixtures/cache_walk.ts";
import { CountingDecoder } from "../../tests/fixtures/counting_decoder.ts";
import { hashOwner, type KeptState, type StateFile, StateFiles } from "./state_files.ts";
import { StateStore, type StoredState } from "./state_store.ts";

const ADA = hashOwner("ada");
const BOB = hashOwner("bob");

/** Files that can be held back, and a disk that can be full. */
class SlowFiles extends StateFiles {
  gate: Promise<void> = Promise.resolve();
  full = false;
  writes = 0;

  override async write(kept: KeptState, onRemoved: (path: string) => void): Promise<StateFile | null> {
    this.writes++;
    await this.gate;
    if (this.full) throw new Deno.errors.WriteZero("no space left on device");
    return await super.write(kept, onRemoved);
  }
}

interface Place {
  dir: string;
  decoder: CountingDecoder;
  files: SlowFiles;
  open(memoryBytesMax: number, files?: SlowFiles | null): StateStore;
  /** Puts a state of so many bytes, and so many of a checkpoint; its tokens are as long as it is. */
  put(store: StateStore, kept: { owner?: string; tokens: number[]; bytes?: number; marked?: number }): Promise<void>;
}

async function inFolder(test: (place: Place) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const decoder = new CountingDecoder(1);
  const files = new SlowFiles({ dir, fingerprint: "print", bytesMax: 1e6 });
  const hold = (bytes: number) => decoder.importState(new Uint8Array(bytes).fill(bytes % 256));
  try {
    await test({
      dir,
      decoder,
      files,
      open: (memoryBytesMax, kept = files) => new StateStore({ decoder, memoryBytesMax, files: kept }),
      put: async (store, { owner = ADA, tokens, bytes = 100, marked = 0 }) => {
        const checkpoints = marked === 0 ? [] : [{ length: 1, state: await hold(marked) }];
        await store.put({ owner, tokens, state: await hold(bytes), checkpoints, lastUsedMs: Date.now() });
      },
    });
    assert.deepEqual(decoder.misuses, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function placesOf(store: StateStore, owner = ADA): string[] {
  return store.find(owner).map(({ tokens, place }) => {
    return `${tokens} ${"state" in place ? "memory" : "file" in place ? "disk" : "between"}`;
  });
}

function find(store: StateStore, owner = ADA): StoredState {
  const [found] = store.find(owner);
  assert.ok(found !== undefined);
  return found;
}

Deno.test("StateStore keeps the longer of two states of one conversation, and each branch", async () => {
  await inFolder(async ({ decoder, open, put }) => {
    const store = open(1_000);
    await put(store, { tokens: [1, 2] });
    await put(store, { tokens: [1, 2, 3] });
    await put(store, { tokens: [1, 9] });
    await put(store, { owner: BOB, tokens: [1, 2, 3, 4] });
    assert.deepEqual(placesOf(store), ["1,2,3 memory", "1,9 memory"], "another owner's replaces nothing");
    assert.deepEqual([store.holds(ADA, [1, 2]), store.holds(ADA, [1, 2, 3, 4])], [true, false]);
    assert.deepEqual([store.memoryBytes, decoder.states.size], [300, 3]);
  });
});

Deno.test("StateStore gives up what was used longest ago where there is no disk", async () => {
  await inFolder(async ({ decoder, open, put }) => {
    const store = open(250, null);
    await put(store, { tokens: [1] });
    await put(store, { tokens: [2] });
    await store.fetch(find(store));
    await put(store, { tokens: [3] });
    assert.deepEqual(placesOf(store), ["1 memory", "3 memory"]);
    await put(store, { tokens: [4], bytes: 300 });
    assert.deepEqual(placesOf(store), [], "one that is larger than all there is displaces the others and goes itself");
    assert.deepEqual([store.memoryBytes, decoder.states.size], [0, 0]);
  });
});

Deno.test("StateStore moves to disk what has no place in memory, with its checkpoints, and gives it back", async () => {
  await inFolder(async ({ decoder, open, put }) => {
    const store = open(150);
    await put(store, { tokens: [1, 5], bytes: 100, marked: 20 });
    await put(store, { tokens: [2] });
    await store.persist();
    assert.deepEqual(placesOf(store), ["1,5 disk", "2 disk"]);
    assert.deepEqual([store.memoryBytes, decoder.states.size], [0, 0]);
    const stored = find(store);
    const held = await store.fetch(stored);
    assert.deepEqual(decoder.states.get(held!.state.id), new Uint8Array(100).fill(100));
    assert.deepEqual(held!.checkpoints.map(({ length, state }) => [length, state.bytes]), [[1, 20]]);
    const given = await store.settle(stored, held!, { length: 1, usedUp: false });
    assert.deepEqual(
      [given.length, decoder.states.size, store.memoryBytes],
      [1, 1, 20],
      "the caller has its checkpoint",
    );
    assert.deepEqual(placesOf(store), ["1,5 disk", "2 disk"]);
  });
});

Deno.test("StateStore lets go of a state that was used up, and gives its checkpoints away as far as they are wanted", async () => {
  await inFolder(async ({ decoder, open, put }) => {
    const store = open(1_000);
    await put(store, { tokens: [1, 5], marked: 20 });
    for (const [usedUp, length, given] of [[false, 2, 0], [true, 2, 1]] as const) {
      const stored = find(store);
      const held = await store.fetch(stored);
      assert.equal((await store.settle(stored, held!, { length, usedUp })).length, given);
    }
    assert.deepEqual([placesOf(store), store.memoryBytes, decoder.states.size], [[], 20, 1]);
    await put(store, { tokens: [1, 5], marked: 20 });
    const stored = find(store);
    const held = await store.fetch(stored);
    assert.deepEqual(await store.settle(stored, held!, { length: 0, usedUp: true }), []);
    assert.deepEqual([store.memoryBytes, decoder.states.size], [20, 1]);
  });
});

Deno.test("StateStore serves a state that is still being written", async () => {
  await inFolder(async ({ decoder, files, open, put }) => {
    const gate = Promise.withResolvers<void>();
    files.gate = gate.promise;
    const store = open(0);
    await put(store, { tokens: [1] });
    assert.deepEqual(placesOf(store), ["1 between"]);
    assert.equal(store.holds(ADA, [1]), true);
    assert.equal(store.memoryBytes, 100, "what is being written is still in memory");
    const fetching = store.fetch(find(store));
    gate.resolve();
    const held = await fetching;
    assert.equal(held?.state.bytes, 100);
    assert.deepEqual(placesOf(store), ["1 disk"]);
    assert.equal(store.memoryBytes, 0);
    await store.settle(find(store), held!, { length: 1, usedUp: true });
    assert.equal(decoder.states.size, 0);
  });
});

Deno.test("StateStore gives states up rather than memory when the disk is slower than what comes", async () => {
  await inFolder(async ({ decoder, files, open, put }) => {
    const gate = Promise.withResolvers<void>();
    files.gate = gate.promise;
    const store = open(250);
    for (let token = 1; token <= 9; token++) {
      await put(store, { tokens: [token] });
      assert.ok(store.memoryBytes <= 500, `${store.memoryBytes} bytes`);
    }
    assert.deepEqual(placesOf(store), ["1 between", "2 between", "8 memory", "9 memory"]);
    gate.resolve();
    await store.persist();
    assert.deepEqual(placesOf(store), ["1 disk", "2 disk", "8 disk", "9 disk"], "to persist gives up nothing");
    assert.equal(decoder.states.size, 0);
  });
});

Deno.test("StateStore loses a state that the disk does not take, and nothing else", async () => {
  await inFolder(async ({ dir, decoder, files, open, put }) => {
    const store = open(100);
    await put(store, { tokens: [1] });
    const lost = find(store);
    files.full = true;
    await put(store, { tokens: [2] });
    assert.equal(await store.fetch(lost), null);
    assert.deepEqual(placesOf(store), ["2 memory"]);
    files.full = false;
    await put(store, { tokens: [3] });
    await store.persist();
    assert.deepEqual(placesOf(store), ["2 disk", "3 disk"]);
    assert.equal((await listFiles(dir)).length, 2);
    assert.deepEqual([store.memoryBytes, decoder.states.size], [0, 0]);
  });
});

Deno.test("StateStore passes over a file that has vanished or is broken", async () => {
  await inFolder(async ({ decoder, open, put }) => {
    const store = open(0);
    await put(store, { tokens: [1] });
    await store.persist();
    await put(store, { tokens: [2] });
    await store.persist();
    const [gone, broken] = store.find(ADA).map((stored) => {
      assert.ok("file" in stored.place);
      return { stored, path: stored.place.file.path };
    });
    await Deno.remove(gone!.path);
    await Deno.truncate(broken!.path, 100);
    assert.equal(await store.fetch(gone!.stored), null);
    assert.equal(await store.fetch(broken!.stored), null);
    assert.deepEqual(placesOf(store), []);
    assert.equal(decoder.states.size, 0);
  });
});

Deno.test("StateStore forgets an owner in memory, on disk, and on the way there", async () => {
  await inFolder(async ({ dir, decoder, files, open, put }) => {
    const store = open(100);
    await put(store, { tokens: [1] });
    await put(store, { tokens: [2] });
    await store.persist();
    await put(store, { owner: BOB, tokens: [7] });
    const gate = Promise.withResolvers<void>();
    files.gate = gate.promise;
    await put(store, { tokens: [3] });
    await put(store, { tokens: [4] });
    assert.deepEqual(placesOf(store), ["1 disk", "2 disk", "4 memory"], "bob's is being written, and 3 had to go");
    const forgotten = store.forget(ADA);
    setTimeout(gate.resolve, 20);
    await forgotten;
    assert.deepEqual([placesOf(store), placesOf(store, BOB)], [[], ["7 disk"]]);
    const names = await listFiles(dir);
    assert.ok(names.length === 1 && names[0]!.startsWith(`print/${BOB}/`), `${names}`);
    assert.equal(decoder.states.size, 0);
  });
});

Deno.test("StateStore forgets what is being written just then", async () => {
  await inFolder(async ({ dir, files, open, put }) => {
    const gate = Promise.withResolvers<void>();
    files.gate = gate.promise;
    const store = open(0);
    await put(store, { tokens: [1] });
    while (files.writes === 0) await Promise.resolve();
    const forgotten = store.forget(ADA);
    gate.resolve();
    await forgotten;
    assert.deepEqual(await listFiles(dir), []);
    assert.deepEqual(placesOf(store), []);
    assert.equal(store.memoryBytes, 0);
  });
});

Deno.test("StateStore erases files even when the decoder is dead", async () => {
  await inFolder(async ({ dir, decoder, open, put }) => {
    const store = open(100);
    await put(store, { tokens: [1] });
    await store.persist();
    await put(store, { tokens: [2] });
    decoder.dropState = () => Promise.reject(new Error("the thread was ended"));
    await assert.rejects(store.forget(ADA));
    assert.deepEqual(await listFiles(dir), []);
  });
});

Deno.test("StateStore leaves a state that is about to be fetched where it is", async () => {
  await inFolder(async ({ open, put }) => {
    const store = open(150, null);
    await put(store, { tokens: [1] });
    const wanted = find(store);
    store.pin(wanted);
    await put(store, { tokens: [2] });
    await put(store, { tokens: [1, 2] });
    assert.deepEqual(placesOf(store), ["1 memory"], "neither the room of others nor a longer one costs it its place");
    assert.ok(await store.fetch(wanted));
    store.pin(null);
    await put(store, { tokens: [3] });
    assert.deepEqual(placesOf(store), ["3 memory"]);
  });
});

Deno.test("StateStore makes room for checkpoints of live sequences, and counts them", async () => {
  await inFolder(async ({ open, put }) => {
    const store = open(250, null);
    await put(store, { tokens: [1] });
    await put(store, { tokens: [2] });
    assert.equal(await store.reserve(100), true);
    assert.deepEqual([placesOf(store), store.memoryBytes], [["2 memory"], 200]);
    assert.equal(await store.reserve(200), false);
    store.release(100);
    assert.equal(store.memoryBytes, 0);
  });
});

Deno.test("StateStore takes up what an earlier process left, and reads it when it is asked for", async () => {
  await inFolder(async ({ dir, decoder, open, put }) => {
    const earlier = open(1_000);
    await put(earlier, { tokens: [1] });
    await put(earlier, { tokens: [2] });
    await earlier.persist();
    const later = open(1_000, new SlowFiles({ dir, fingerprint: "print", bytesMax: 1e6 }));
    await later.open();
    assert.deepEqual(placesOf(later).toSorted(), ["1 disk", "2 disk"]);
    assert.equal(decoder.states.size, 0, "only what is asked for is read");
  });
});
