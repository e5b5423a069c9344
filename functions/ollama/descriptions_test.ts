import assert from "node:assert/strict";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { toRunning } from "./descriptions.ts";

Deno.test("toRunning() leaves out models that are still being loaded, and those that are gone from the disk", async () => {
  const models = await new ScriptedInference().list();
  const common = { active: 0, queued: 0, memoryBytes: 1, expiresAtMs: null };
  const loaded = [
    { ...common, id: "scripted", state: "loading" as const },
    { ...common, id: "scripted-embedder", state: "ready" as const },
    { ...common, id: "removed", state: "ready" as const },
  ];
  assert.deepEqual(toRunning(models, loaded).map(({ name }) => name), ["scripted-embedder"]);
});
