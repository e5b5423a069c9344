import assert from "node:assert/strict";
import { nameCalibration, readCalibration, storeCalibration } from "./calibration_store.ts";

const subject = {
  model: { id: "m", sha256: "aa", sizeBytes: 5 },
  engineVersion: "3.21.1",
  cpu: "EPYC",
  cores: 2,
};
const threads = { decodeOne: 1, decodeMany: 2, prefill: 2 };

Deno.test("storeCalibration() is what readCalibration() reads, for that subject alone", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/calibration.json`;
  const name = nameCalibration(subject);
  assert.equal(await readCalibration(path, name), null);
  await storeCalibration(path, { name, threads });
  await storeCalibration(path, { name: "other", threads: { ...threads, prefill: 8 } });
  assert.deepEqual(await readCalibration(path, name), threads);
  for (
    const other of [{ cpu: "M4" }, { cores: 4 }, { engineVersion: "4" }, { model: { ...subject.model, sha256: "bb" } }]
  ) {
    assert.equal(await readCalibration(path, nameCalibration({ ...subject, ...other })), null);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("readCalibration() counts a damaged file as empty, and storeCalibration() mends it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/calibration.json`;
  for (const damaged of ["", "{", '{"n":{"decodeOne":0,"decodeMany":1,"prefill":1}}', "[]"]) {
    await Deno.writeTextFile(path, damaged);
    assert.equal(await readCalibration(path, "n"), null);
  }
  await storeCalibration(path, { name: "n", threads });
  assert.deepEqual(await readCalibration(path, "n"), threads);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("storeCalibration() forgets the oldest of many", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/calibration.json`;
  for (let number = 0; number < 70; number++) await storeCalibration(path, { name: `n${number}`, threads });
  assert.equal(await readCalibration(path, "n5"), null);
  assert.deepEqual(await readCalibration(path, "n6"), threads);
  assert.deepEqual(await readCalibration(path, "n69"), threads);
  await Deno.remove(folder, { recursive: true });
});
