import assert from "node:assert/strict";
import { testInference } from "../../tests/contract/inference.ts";
import { puppetModel } from "../../tests/fixtures/puppet_command.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import { ModelList } from "./model_list.ts";
import { WatchedInference } from "./watched_inference.ts";

function watch(inference: ScriptedInference, ids: string[]) {
  const looks: string[][] = [];
  const scan = () => {
    looks.push([...ids]);
    return Promise.resolve(ids.map((id) => puppetModel(id)));
  };
  const installed = new ModelList({ scan, readThreads: () => Promise.resolve(null), now: () => 0 });
  return { watched: new WatchedInference(inference, installed), installed, looks };
}

testInference("A watched inference", (model) => {
  const scripted = new ScriptedInference({ model: { ...model } });
  const { watched } = watch(scripted, ["scripted", "scripted-embedder"]);
  const dispose = () => watched[Symbol.asyncDispose]();
  const names = { model: "scripted", embedder: "scripted-embedder" };
  return { inference: watched, engine: scripted.engine, ...names, [Symbol.asyncDispose]: dispose };
});

Deno.test("a watched inference looks for a model that is new to it, and not for one that it knows", async () => {
  const ids: string[] = [];
  const inference = new ScriptedInference();
  const { watched, installed, looks } = watch(inference, ids);
  const heard: string[][] = [];
  installed.onChange((models) => Promise.resolve(void heard.push(models.map(({ id }) => id))));
  await installed.look();
  ids.push("scripted");
  assert.equal((await watched.describe("scripted")).id, "scripted");
  assert.deepEqual(heard, [["scripted"]]);
  await watched.keep({ model: "scripted", keepAliveMs: null });
  await watched.tokenize({ model: "scripted", text: "a" });
  assert.equal(looks.length, 2);
  await assert.rejects(watched.describe("nowhere"), { code: "model_not_found" });
  assert.equal(looks.length, 3);
});
