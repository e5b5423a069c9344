import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { makeDataFolder, nameDataFolder } from "./data_folder.ts";
import { lockDataFolder } from "./instance_lock.ts";

Deno.test("lockDataFolder() refuses a second holder and names the first one's process and port", async () => {
  const folder = nameDataFolder(await Deno.makeTempDir());
  const lock = await lockDataFolder(folder);
  await lock.notePort(8123);
  await assert.rejects(lockDataFolder(folder), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "already_running");
    assert.match(error.message, new RegExp(`process ${Deno.pid}, port 8123\\) uses the data folder`));
    return true;
  });
  lock[Symbol.dispose]();
  using again = await lockDataFolder(folder);
  await again.notePort(1);
  await Deno.remove(folder.root, { recursive: true });
});

Deno.test("lockDataFolder() copes with a lock file that says nothing", async () => {
  const folder = nameDataFolder(await Deno.makeTempDir());
  await Deno.writeTextFile(folder.lock, "not JSON");
  {
    using held = await Deno.open(folder.lock, { read: true, write: true });
    await held.lock(true);
    await assert.rejects(lockDataFolder(folder), /another Rookery uses the data folder/);
  }
  using _lock = await lockDataFolder(folder);
  await Deno.remove(folder.root, { recursive: true });
});

Deno.test({
  name: "makeDataFolder() makes a folder that its owner alone can open, below folders that are not there",
  ignore: Deno.build.os === "windows",
  async fn() {
    const parent = await Deno.makeTempDir();
    const folder = nameDataFolder(`${parent}/a/b`);
    await makeDataFolder(folder);
    await makeDataFolder(folder);
    assert.equal((await Deno.stat(folder.root)).mode! & 0o777, 0o700);
    await Deno.remove(parent, { recursive: true });
  },
});

Deno.test("makeDataFolder() says what to do when the folder cannot be", async () => {
  const file = await Deno.makeTempFile();
  await assert.rejects(makeDataFolder(nameDataFolder(`${file}/data`)), (error) => {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "invalid_config");
    assert.match(error.message, /Cannot use the data folder .*; set ROOKERY_DATA to a folder that you may write to/);
    return true;
  });
  await Deno.remove(file);
});
