import assert from "node:assert/strict";
import { join } from "node:path";
import { readManifests } from "../../lib/catalog/manifests.ts";
import { recommend } from "../../lib/catalog/recommend.ts";
import { renderRecommendations, type Situation } from "./recommendations.ts";

const manifests = await readManifests(join(import.meta.dirname!, "../../models"));

/** What a machine of so many bytes is told, with half of them free. */
function render(memoryBytes: number, change: Partial<Situation> = {}): string {
  const situation: Situation = {
    memory: { totalBytes: memoryBytes, freeBytes: memoryBytes / 2 },
    purpose: "copilot",
    installed: new Set(),
    json: false,
    ...change,
  };
  return renderRecommendations(recommend({ manifests, memoryBytes, purpose: situation.purpose }), situation);
}

Deno.test("what to take stands below the table, with the commands to get and to serve it", () => {
  const text = render(64e9);
  assert.match(text, /^This machine has 64\.0 GB of memory, 32\.0 GB of it free now\.$/m);
  assert.match(text, /^qwen3-coder-30b-a3b-instruct +well +22\.5 GB +18\.6 GB +Apache-2\.0 +18\.6 GB of weights/m);
  const advice = [
    "Take qwen3-coder-30b-a3b-instruct:",
    "  deno task models pull qwen3-coder-30b-a3b-instruct",
    "  ROOKERY_MODEL=qwen3-coder-30b-a3b-instruct ROOKERY_CONTEXT=32768 deno task start\n",
  ];
  assert.ok(text.endsWith(advice.join("\n")), text);
});

Deno.test("a model that is here needs no download", () => {
  const text = render(64e9, { installed: new Set(["qwen3-coder-30b-a3b-instruct"]) });
  assert.match(text, /^qwen3-coder-30b-a3b-instruct +well +22\.5 GB +is here/m);
  assert.doesNotMatch(text, /models pull/);
});

Deno.test("who has less memory free than the model needs is told to close other programs", () => {
  assert.match(render(17e9), /Close other programs before you start it/);
  assert.doesNotMatch(render(64e9), /Close other programs/);
});

Deno.test("a machine that nothing fits is told so", () => {
  const text = render(2e9);
  assert.match(text, /Nothing of this fits\./);
  assert.doesNotMatch(text, /Take /);
});

Deno.test("programs are told the same as JSON", () => {
  const { memory, purpose, models } = JSON.parse(render(64e9, { json: true }));
  assert.deepEqual(memory, { totalBytes: 64e9, freeBytes: 32e9 });
  assert.equal(purpose, "copilot");
  assert.deepEqual(models[0], {
    id: "qwen3-coder-30b-a3b-instruct",
    name: "Qwen3 Coder 30B A3B Instruct",
    fit: "well",
    neededBytes: 18_556_689_568 + 32_768 * 96 * 1024 + 700_000_000,
    contextTokens: 32_768,
    downloadBytes: 18_556_689_568,
    installed: false,
    licence: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    reason: models[0].reason,
  });
});
