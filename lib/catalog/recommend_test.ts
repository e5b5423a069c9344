import assert from "node:assert/strict";
import { join } from "node:path";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import type { AttentionLayers } from "../contracts/manifest.ts";
import { readGgufFile } from "./gguf.ts";
import { readManifests } from "./manifests.ts";
import { countCacheBytes, estimateMemoryBytes, toAttentionLayers } from "./memory_need.ts";
import { type Fit, type Purpose, recommend, type Recommendation } from "./recommend.ts";

const manifests = await readManifests(join(import.meta.dirname!, "../../models"));
const byId = (id: string) => manifests.find((manifest) => manifest.id === id)!;

const GIB = 2 ** 30;

function recommendFor(gibibytes: number, purpose: Purpose): Recommendation[] {
  return recommend({ manifests, memoryBytes: gibibytes * GIB, purpose });
}

const firstOf = (gibibytes: number, purpose: Purpose): [string, Fit] => {
  const [first] = recommendFor(gibibytes, purpose);
  return [first!.manifest.id, first!.fit];
};

Deno.test("recommend() names a model for chats on machines with 8, 16, 32 and 64 GB", () => {
  assert.deepEqual(firstOf(8, "chat"), ["qwen3-4b-instruct-2507", "well"]);
  assert.deepEqual(firstOf(16, "chat"), ["qwen3-8b", "well"]);
  assert.deepEqual(firstOf(32, "chat"), ["gpt-oss-20b", "well"]);
  assert.deepEqual(firstOf(64, "chat"), ["gpt-oss-20b", "well"]);
});

Deno.test("recommend() names a model for Copilot on machines with 8, 16, 32 and 64 GB", () => {
  assert.deepEqual(firstOf(8, "copilot"), ["gemma-4-e4b-it", "tightly"]);
  assert.deepEqual(firstOf(16, "copilot"), ["qwen3-8b", "well"]);
  assert.deepEqual(firstOf(32, "copilot"), ["qwen3-coder-30b-a3b-instruct", "well"]);
  assert.deepEqual(firstOf(64, "copilot"), ["qwen3-coder-30b-a3b-instruct", "well"]);
});

Deno.test("recommend() counts 32,768 tokens for Copilot and says why a model will not do", () => {
  const reasons = new Map(recommendFor(8, "copilot").map(({ manifest, fit, reason }) => [manifest.id, [fit, reason]]));
  assert.deepEqual(reasons.get("smollm2-135m"), ["no", "was trained for 8,192 tokens; 32,768 are needed"]);
  assert.deepEqual(reasons.get("gemma-3-270m"), ["no", "is made for chat, not for tools"]);
  assert.deepEqual(reasons.get("qwen3-4b-instruct-2507"), [
    "no",
    "2.5 GB of weights, 4.8 GB for 32,768 tokens; leaves 561 MB, too little for the system",
  ]);
  assert.deepEqual(reasons.get("gpt-oss-20b"), [
    "no",
    "12.1 GB of weights, 824 MB for 32,768 tokens; 5.0 GB more than there are",
  ]);
  const chat = recommendFor(8, "chat").find(({ manifest }) => manifest.id === "llama-3.2-3b-instruct")!;
  assert.equal(chat.contextTokens, 8_192);
  assert.equal(chat.neededBytes, 2_019_377_696 + 8_192 * 112 * 1024 + 700_000_000);
});

Deno.test("recommend() leaves out what does not chat, and puts what is not known behind what fits", () => {
  const known = byId("qwen3-4b-instruct-2507");
  const unknown = { ...known, id: "unknown", attention: null, goodAt: [], parameters: null };
  const embedding = { ...known, id: "embedding", kind: "embedding" as const };
  const answers = recommend({ manifests: [embedding, unknown, known], memoryBytes: 16 * GIB, purpose: "copilot" });
  assert.deepEqual(answers.map(({ manifest, fit }) => [manifest.id, fit]), [[known.id, "well"], [
    "unknown",
    "unknown",
  ]]);
  assert.equal(answers[1]!.neededBytes, null);
});

Deno.test("recommend() never lets more memory make a model fit worse", () => {
  const order: Fit[] = ["no", "tightly", "well"];
  for (const purpose of ["chat", "copilot"] as const) {
    for (const { id } of manifests) {
      const fits = [2, 4, 6, 8, 12, 16, 24, 32, 48, 64].map((gibibytes) =>
        recommendFor(gibibytes, purpose).find(({ manifest }) => manifest.id === id)?.fit
      );
      const ranks = fits.filter((fit) => fit !== undefined).map((fit) => order.indexOf(fit));
      assert.deepEqual(ranks, ranks.toSorted(), `${id}: ${fits}`);
    }
  }
});

Deno.test("a token of context takes what the architecture says", () => {
  // Per layer a key and a value for each head, two bytes an element.
  const perToken = (id: string): number => countCacheBytes(byId(id).attention!, 1);
  assert.equal(perToken("llama-3.2-3b-instruct"), 112 * 1024);
  assert.equal(perToken("qwen3-8b"), 144 * 1024);
  assert.equal(perToken("qwen3-coder-30b-a3b-instruct"), 96 * 1024);
});

Deno.test("layers with a sliding window stop to grow at what llama.cpp keeps of it", () => {
  const layers: AttentionLayers = { layers: 2, heads: 1, keySize: 64, valueSize: 64, windowTokens: 128 };
  const bytesAt = (tokens: number): number => countCacheBytes([layers], tokens) / (2 * 128 * 2);
  assert.equal(bytesAt(500), 500);
  assert.equal(bytesAt(32_768), 768); // 128 and 512, rounded up to a multiple of 256
  const whole = { ...layers, windowTokens: null };
  assert.equal(countCacheBytes([layers, whole], 1_000), 2 * 128 * 2 * (768 + 1_000));
});

Deno.test("the memory that manifests tell people of is what is counted for 8,192 tokens, rounded up", () => {
  for (const { id, files, attention, contextTokens, memoryBytes } of manifests) {
    if (attention === null) continue;
    const weightsBytes = files[0]!.sizeBytes!;
    const needed = estimateMemoryBytes({ weightsBytes, attention, contextTokens: Math.min(contextTokens!, 8_192) });
    assert.equal(memoryBytes, Math.ceil(needed / 1e8) * 1e8, id);
  }
});

for (const id of ["smollm2-135m", "gemma-3-270m"]) {
  const title = `the manifest of ${id} has the numbers of its file`;
  skipUnless(testModel(id), title, (path) => {
    Deno.test(title, async () => {
      const header = await readGgufFile(path);
      const { attention, parameters, contextTokens } = byId(id);
      const [told] = toAttentionLayers(header.attention!);
      assert.equal(attention!.reduce((sum, { layers }) => sum + layers, 0), told!.layers);
      for (const { heads, keySize, valueSize, windowTokens } of attention!) {
        assert.deepEqual([heads, keySize, valueSize], [told!.heads, told!.keySize, told!.valueSize]);
        if (windowTokens !== null) assert.equal(windowTokens, header.attention!.windowTokens);
      }
      assert.equal(parameters!.total, header.parameters);
      assert.equal(contextTokens, header.contextTokensTrained);
    });
  });
}
