import assert from "node:assert/strict";
import { puppetModel } from "../../tests/fixtures/puppet_command.ts";
import type { ModelFile } from "../contracts/model.ts";
import type { WorkerModel } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { ModelList } from "./model_list.ts";

/** A folder whose models and whose patience the test sets, and a list over it. */
class Bench {
  nowMs = 0;
  looks = 0;
  files: ModelFile[] = [];
  scanning: Promise<void> = Promise.resolve();
  readonly heard: string[][] = [];
  readonly list = new ModelList({
    scan: async () => {
      this.looks++;
      await this.scanning;
      return this.files;
    },
    readThreads: ({ id }) => Promise.resolve(id === "known" ? { decodeOne: 1, decodeMany: 2, prefill: 2 } : null),
    now: () => this.nowMs,
  });

  constructor() {
    this.list.onChange((models) => {
      this.heard.push(models.map(({ id }) => id));
      return Promise.resolve();
    });
  }

  install(...ids: string[]): void {
    this.files = ids.map((id) => {
      const { threads: _threads, ...model } = puppetModel(id);
      return model;
    });
  }
}

function idsOf(models: readonly WorkerModel[]): string[] {
  return models.map(({ id }) => id);
}

Deno.test("ModelList has what is installed, with the threads that were measured", async () => {
  const bench = new Bench();
  bench.install("known", "new");
  await bench.list.look();
  assert.deepEqual(bench.list.models, [
    { ...puppetModel("known"), threads: { decodeOne: 1, decodeMany: 2, prefill: 2 } },
    puppetModel("new"),
  ]);
  assert.deepEqual([bench.list.has("new"), bench.list.has("other")], [true, false]);
});

Deno.test("ModelList.refresh() looks once a second at most and tells of changes alone", async () => {
  const bench = new Bench();
  bench.install("a");
  await bench.list.refresh();
  bench.install("a", "b");
  bench.nowMs = 999;
  await bench.list.refresh();
  assert.deepEqual([bench.looks, idsOf(bench.list.models)], [1, ["a"]]);
  bench.nowMs = 1_000;
  await bench.list.refresh();
  assert.deepEqual([bench.looks, idsOf(bench.list.models)], [2, ["a", "b"]]);
  bench.nowMs = 2_000;
  await bench.list.refresh();
  assert.deepEqual(bench.heard, [["a"], ["a", "b"]]);
});

Deno.test("ModelList.look() is shared by those who ask at the same time, and waits until a change was heard", async () => {
  const bench = new Bench();
  bench.install("a");
  const scan = Promise.withResolvers<void>();
  bench.scanning = scan.promise;
  const looking = [bench.list.look(), bench.list.look(), bench.list.refresh()];
  scan.resolve();
  const hearing = Promise.withResolvers<void>();
  bench.list.onChange(() => hearing.promise);
  let done = false;
  const all = Promise.all(looking).then(() => done = true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(done, false);
  hearing.resolve();
  await all;
  assert.equal(bench.looks, 1);
});

Deno.test("ModelList keeps what it had when the folder cannot be looked at, and says why", async () => {
  const bench = new Bench();
  bench.install("a");
  await bench.list.look();
  bench.scanning = Promise.reject(new DomainError("invalid_config", "A manifest cannot be read"));
  await assert.rejects(bench.list.look(), { code: "invalid_config" });
  assert.deepEqual(idsOf(bench.list.models), ["a"]);
  bench.scanning = Promise.resolve();
  await bench.list.look();
});
