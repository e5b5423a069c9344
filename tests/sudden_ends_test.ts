/** A Rookery with the embedded database, killed in the middle of answers and writes. */
import assert from "node:assert/strict";
import { Guest } from "./fixtures/guest.ts";
import { LastingRookery } from "./fixtures/lasting_rookery.ts";
import { Random } from "./fixtures/random.ts";
import { readSeed } from "./fixtures/seed.ts";
import { type SuddenEnd, surviveSuddenEnd } from "./fixtures/sudden_end.ts";
import { skipUnless, testModel } from "./prerequisites.ts";

skipUnless(testModel("smollm2-135m"), "kill -9 loses nothing", (modelPath) => {
  Deno.test("kill -9 of the worker and of the runtime loses nothing that was acknowledged, and every stream goes on", async () => {
    const random = new Random(readSeed());
    await using home = await LastingRookery.start(modelPath);
    const guest = await Guest.join(home, "ada@example.org");
    const survive = async (end: Pick<SuddenEnd, "kill" | "revive">) => {
      return await surviveSuddenEnd({ guest, homes: [home], random, leaves: "interrupted", ...end });
    };
    const killWorker = { kill: () => home.killWorker(), revive: () => Promise.resolve() };
    const killRuntime = { kill: () => home.kill(), revive: () => home.start() };
    const { refused, readOn } = await survive(killWorker);
    assert.deepEqual({ refused, readOn }, { refused: 0, readOn: true }, "Only models are gone with a worker");
    for (const end of [killRuntime, killWorker, killRuntime]) await survive(end);
  });
});
