import assert from "node:assert/strict";
import { join } from "node:path";
import { listFiles } from "../../tests/fixtures/cache_walk.ts";
import { fingerprintOf, hashOwner, type KeptState, type StateFile, StateFiles } from "./state_files.ts";

const ADA = hashOwner("ada");

function kept(part: Partial<KeptState> = {}): KeptState {
  return {
    owner: ADA,
    tokens: [1, 2, 300_000],
    state: new Uint8Array([1, 2, 3, 4, 5]),
    checkpoints: [{ length: 1, state: new Uint8Array([9]) }, { length: 2, state: new Uint8Array([8, 7]) }],
    lastUsedMs: 1_000,
    ...part,
  };
}

function state(size: number, part: Partial<KeptState> = {}): KeptState {
  return kept({ state: new Uint8Array(size), checkpoints: [], ...part });
}

interface Place {
  dir: string;
  open(part?: { fingerprint?: string; bytesMax?: number }): StateFiles;
}

async function inFolder(test: (place: Place) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test({ dir, open: (part) => new StateFiles({ dir, fingerprint: "model-a", bytesMax: 1e6, ...part }) });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function write(files: StateFiles, content: KeptState): Promise<StateFile> {
  const file = await files.write(content, () => assert.fail("nothing has to go"));
  assert.ok(file !== null);
  return file;
}

Deno.test("StateFiles gives a later process what an earlier one wrote, whole and latest used last", async () => {
  await inFolder(async ({ dir, open }) => {
    const files = open();
    await write(files, kept({ tokens: [7], lastUsedMs: 2_000 }));
    await write(files, kept());
    const found = await open().open();
    assert.deepEqual(found.map(({ tokens }) => tokens), [[1, 2, 300_000], [7]]);
    assert.deepEqual(found.map(({ owner, lastUsedMs }) => [owner, lastUsedMs]), [[ADA, 1_000], [ADA, 2_000]]);
    assert.deepEqual(found[0]!.checkpoints.map(({ length }) => length), [1, 2]);
    const { state, checkpoints } = kept();
    assert.deepEqual(await open().read(found[0]!), { state, checkpoints });
    const { mode } = await Deno.stat(found[0]!.path);
    if (Deno.build.os !== "windows") assert.equal(mode! & 0o777, 0o600, "nobody else may read it");
    assert.ok((await listFiles(dir)).every((name) => !name.includes("ada")), "no name tells the owner");
  });
});

Deno.test("StateFiles has nothing where there is no folder, and makes it with the first state", async () => {
  await inFolder(async ({ dir }) => {
    const files = new StateFiles({ dir: join(dir, "new", "kv"), fingerprint: "model-a", bytesMax: 1e6 });
    assert.deepEqual(await files.open(), []);
    await files.forget(ADA);
    await write(files, kept());
    assert.equal((await files.open()).length, 1);
  });
});

Deno.test("StateFiles reads a state that is written in several steps", async () => {
  await inFolder(async ({ open }) => {
    const large = new Uint8Array(9_000_000).map((_, i) => i % 251);
    const files = open({ bytesMax: 1e8 });
    const file = await write(files, kept({ state: large }));
    assert.deepEqual((await files.read(file))?.state, large);
  });
});

Deno.test("StateFiles restores nothing for another fingerprint, and leaves it to whom it belongs", async () => {
  await inFolder(async ({ open }) => {
    const file = await write(open(), kept());
    const other = open({ fingerprint: "model-b" });
    assert.deepEqual(await other.open(), []);
    assert.equal((await open().open()).length, 1);
    assert.equal(await other.read(file), null, "even when it is told to");
  });
});

Deno.test("StateFiles passes over and removes a file in which any bit is wrong, wherever it is cut", async () => {
  await inFolder(async ({ open }) => {
    const { path } = await write(open(), kept());
    const whole = await Deno.readFile(path);
    const isRefused = async (bytes: Uint8Array) => {
      await Deno.writeFile(path, bytes);
      const [found] = await open().open();
      const content = found === undefined ? null : await open().read(found);
      return content === null && await Deno.stat(path).then(() => false, () => true);
    };
    for (let i = 0; i < whole.length; i++) {
      const flipped = whole.slice();
      flipped[i]! ^= 1 << (i % 8);
      assert.ok(await isRefused(flipped), `bit ${i % 8} of byte ${i}`);
    }
    for (let length = 0; length < whole.length; length += 7) {
      assert.ok(await isRefused(whole.slice(0, length)), `${length} of ${whole.length} bytes`);
    }
    assert.ok(await isRefused(new Uint8Array([...whole, 0])), "a byte too many");
  });
});

Deno.test("StateFiles removes a format that it does not know and what a crash left, and nothing that is not its own", async () => {
  await inFolder(async ({ dir, open }) => {
    const { path } = await write(open(), kept());
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    await Deno.writeFile(path, Uint8Array.from(text.replace('"format":1', '"format":2'), (c) => c.charCodeAt(0)));
    await Deno.writeTextFile(path.replace(/\.kv$/, ".kv.part"), "half a sta");
    await Deno.writeTextFile(join(dir, "model-a", "notes.txt"), "mine");
    assert.deepEqual(await open().open(), []);
    assert.deepEqual(await listFiles(dir), ["model-a/notes.txt"]);
  });
});

Deno.test("StateFiles refuses a file that was moved to another owner", async () => {
  await inFolder(async ({ dir, open }) => {
    const { path } = await write(open(), kept());
    await Deno.mkdir(join(dir, "model-a", hashOwner("eve")));
    await Deno.rename(path, join(dir, "model-a", hashOwner("eve"), "moved.kv"));
    assert.deepEqual(await open().open(), []);
  });
});

Deno.test("StateFiles keeps to its bound over all models: what was used longest ago goes", async () => {
  await inFolder(async ({ open }) => {
    const bytesMax = 4_000;
    await write(open({ bytesMax, fingerprint: "model-b" }), state(1_000, { lastUsedMs: 1 }));
    const files = open({ bytesMax });
    const second = await write(files, state(1_000, { lastUsedMs: 2 }));
    await write(files, state(1_000, { lastUsedMs: 3 }));
    const removed: string[] = [];
    await files.write(state(1_500, { lastUsedMs: 4 }), (path) => removed.push(path));
    assert.equal(removed.length, 1, "the other model's");
    assert.deepEqual(await open({ bytesMax, fingerprint: "model-b" }).open(), []);
    await files.read(second);
    await files.write(state(1_500, { lastUsedMs: Date.now() + 60_000 }), () => {});
    const left = await open({ bytesMax }).open();
    assert.deepEqual(left.map(({ sizeBytes }) => sizeBytes > 1_500), [false, true], "what was read just now stays");
  });
});

Deno.test("StateFiles writes nothing for which later used states would have to go, nor what is too large", async () => {
  await inFolder(async ({ dir, open }) => {
    const files = open({ bytesMax: 2_000 });
    await write(files, state(1_000, { lastUsedMs: 5 }));
    const before = await listFiles(dir);
    assert.equal(await files.write(state(1_000, { lastUsedMs: 4 }), () => assert.fail("nothing goes")), null);
    assert.equal(await files.write(state(2_000, { lastUsedMs: 9 }), () => assert.fail("nothing goes")), null);
    assert.deepEqual(await listFiles(dir), before);
  });
});

Deno.test("StateFiles removes the oldest when it may keep less than before", async () => {
  await inFolder(async ({ open }) => {
    const files = open();
    await write(files, state(1_000, { tokens: [1], lastUsedMs: 1 }));
    await write(files, state(1_000, { tokens: [2], lastUsedMs: 2 }));
    assert.deepEqual((await open({ bytesMax: 1_500 }).open()).map(({ tokens }) => tokens), [[2]]);
  });
});

Deno.test("StateFiles leaves nothing behind where it cannot write", async () => {
  await inFolder(async ({ dir, open }) => {
    await Deno.mkdir(join(dir, "model-a"));
    await Deno.writeTextFile(join(dir, "model-a", ADA), "a file where a folder has to be");
    await assert.rejects(open().write(kept(), () => {}));
    assert.deepEqual(await listFiles(dir), [`model-a/${ADA}`]);
  });
});

Deno.test("StateFiles erases everything of an owner, whatever the model, and nothing of others", async () => {
  await inFolder(async ({ dir, open }) => {
    await write(open(), kept());
    await write(open({ fingerprint: "model-b" }), kept());
    await write(open(), kept({ owner: hashOwner("bob") }));
    await open({ fingerprint: "" }).forget(ADA);
    const [left, ...more] = await listFiles(dir);
    assert.ok(left?.startsWith(`model-a/${hashOwner("bob")}/`), left);
    assert.deepEqual(more, []);
  });
});

Deno.test("StateFiles says that a file is gone", async () => {
  await inFolder(async ({ open }) => {
    const file = await write(open(), kept());
    await Deno.remove(file.path);
    assert.equal(await open().read(file), null);
  });
});

Deno.test("fingerprintOf() tells dependencies apart, and hashOwner() owners", () => {
  assert.equal(fingerprintOf({ model: "a", context: 1 }), fingerprintOf({ model: "a", context: 1 }));
  assert.notEqual(fingerprintOf({ model: "a", context: 1 }), fingerprintOf({ model: "a", context: 2 }));
  assert.match(hashOwner("ada"), /^[0-9a-f]{32}$/);
  assert.notEqual(hashOwner("ada"), hashOwner("bob"));
});
