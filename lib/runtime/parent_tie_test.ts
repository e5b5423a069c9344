import assert from "node:assert/strict";
import { isRunning, soon, until } from "../../tests/fixtures/processes.ts";
import { skipUnless } from "../../tests/prerequisites.ts";
import { findParentTie } from "./parent_tie.ts";

const found = await findParentTie();

skipUnless(
  found.length > 0 ? { found } : { missing: "there is no setpriv that ties a process to its parent" },
  "A tied process ends with its parent",
  ([program, ...args]) => {
    Deno.test("A tied process ends with its parent, even when it was stopped", async () => {
      // The child says itself who it is: only then is it tied.
      const command = JSON.stringify({ args: [...args, "sh", "-c", "echo $$; exec sleep 60"] });
      const script = `await new Deno.Command("${program}", ${command}).spawn().status;`;
      const parent = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped" }).spawn();
      const reader = parent.stdout.getReader();
      const pid = Number(new TextDecoder().decode((await soon(reader.read())).value));
      Deno.kill(pid, "SIGSTOP");
      parent.kill("SIGKILL");
      await soon(parent.status);
      await reader.cancel();
      await until(async () => !await isRunning(pid));
      assert.equal(await isRunning(pid), false);
    });
  },
);
