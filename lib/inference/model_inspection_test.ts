import assert from "node:assert/strict";
import type { ModelFile } from "../contracts/model.ts";
import { inspectModel } from "./model_inspection.ts";

Deno.test("inspectModel() lets the file pass that was listed, and neither a changed nor a missing one", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "weights");
  const { mtime } = await Deno.stat(path);
  const model = { id: "raven", path, sizeBytes: 7, modifiedAtMs: mtime!.getTime() } as ModelFile;
  await inspectModel(model);
  const changed = {
    code: "engine_unavailable",
    message: 'Cannot load model "raven": its file has just changed; try again',
  };
  await assert.rejects(inspectModel({ ...model, sizeBytes: 8 }), changed);
  await assert.rejects(inspectModel({ ...model, modifiedAtMs: 1 }), changed);
  await Deno.remove(path);
  await assert.rejects(inspectModel(model), { code: "model_not_found", message: /"raven": its file is missing$/ });
});

Deno.test("inspectModel() lets a folder pass as long as it is there", async () => {
  const path = await Deno.makeTempDir();
  const model = { id: "raven", path, sizeBytes: 7, modifiedAtMs: 1 } as ModelFile;
  await inspectModel(model);
  await Deno.remove(path);
  await assert.rejects(inspectModel(model), { code: "model_not_found" });
});
