import assert from "node:assert/strict";
import { listFiles } from "../../tests/fixtures/cache_walk.ts";
import {
  type Answer,
  ask,
  assertSameAnswer,
  modelFile,
  ONE_THREAD,
  rawRequest,
  settingsOf,
} from "../../tests/fixtures/llama_engine.ts";
import { skipUnless, testModel } from "../../tests/prerequisites.ts";
import type { ChatRequest } from "../contracts/chat.ts";
import type { ChatEngine } from "./engine.ts";
import { createLlamaEngine, type KeepSettings } from "./llama_engine.ts";
import { hashOwner } from "./state_files.ts";

const MEMORY: KeepSettings = { dir: null, memoryBytesMax: 1e9, diskBytesMax: 0 };

interface Model {
  path: string;
  /** Sentences of a story, and how many the next turn adds to them. */
  sentences: number;
  added: number;
  contextTokensTrained: number;
}

interface Opening {
  keep: KeepSettings;
  sequences?: number;
}

function open({ path, contextTokensTrained }: Model, { keep, sequences = 1 }: Opening): ChatEngine {
  const model = modelFile(path, { contextTokensTrained });
  return createLlamaEngine(settingsOf(path, { model, sequences, keep, contextTokens: 1_024, threads: ONE_THREAD }));
}

/** Sentences that differ, so that what was lost of them shows. */
function tell(from: number, to: number): string {
  const animals = ["raven", "badger", "otter", "heron", "lynx", "marten", "toad"];
  const places = ["river", "old wall", "mill", "barn", "garden", "tower"];
  const sentences = [];
  for (let i = from; i < to; i++) {
    sentences.push(`Number ${i}: the ${animals[i % 7]} sat by the ${places[i % 6]} and counted to ${3 * i + 2}.`);
  }
  return sentences.join(" ");
}

function storyRequest(owner: string, prompt: string, changes: Partial<ChatRequest> = {}): ChatRequest {
  return rawRequest(prompt, { owner, logprobs: 8, completionTokensMax: 3, ...changes });
}

async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function testCache(name: string, model: Model): void {
  const { sentences, added } = model;
  const begin = tell(0, sentences);
  const next = `${begin} ${tell(sentences, sentences + added)} Number`;
  const branch = `${begin} And then the night fell. The raven`;

  /** Prompts that go on where another one ended: what each is expected to find cached, and its answer without a cache. */
  async function expectCached(engine: ChatEngine, prompts: readonly string[], fresh: readonly Answer[]): Promise<void> {
    for (const [i, prompt] of prompts.entries()) {
      const answer = await ask(engine, storyRequest("ada", prompt));
      const { cachedTokens, promptTokens } = answer.done.usage;
      assert.ok(cachedTokens > promptTokens / 2, `${cachedTokens} of ${promptTokens} tokens of prompt ${i}`);
      assertSameAnswer(answer, fresh[i]!);
    }
  }

  async function answerFresh(engine: ChatEngine, prompts: readonly string[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (const [i, prompt] of prompts.entries()) {
      const answer = await ask(engine, storyRequest(`fresh-${i}`, prompt));
      assert.equal(answer.done.usage.cachedTokens, 0);
      answers.push(answer);
    }
    return answers;
  }

  Deno.test(`LlamaEngine on ${name} answers the next turn, and branches that had to make room, as without a cache`, async () => {
    await using engine = open(model, { keep: MEMORY });
    await ask(engine, storyRequest("ada", begin));
    const inPlace = await ask(engine, storyRequest("ada", next));
    assert.ok(inPlace.done.usage.cachedTokens > inPlace.done.usage.promptTokens / 2);
    // With one sequence, each of them pushes the one before out.
    const fresh = await answerFresh(engine, [next, branch]);
    assertSameAnswer(inPlace, fresh[0]!);
    await expectCached(engine, [next, branch], fresh);
    await expectCached(engine, [next, branch], fresh);
  });

  Deno.test(`LlamaEngine on ${name} answers as without a cache after a restart, and from disk`, async () => {
    await inFolder(async (dir) => {
      const keep = { dir, memoryBytesMax: 100_000_000, diskBytesMax: 1e9 };
      let fresh: Answer[];
      {
        await using engine = open(model, { keep });
        for (const prompt of [begin, next]) await ask(engine, storyRequest("ada", prompt));
        fresh = await answerFresh(engine, [branch]);
      }
      assert.ok((await listFiles(dir)).some((file) => file.includes(hashOwner("ada"))));
      await using engine = open(model, { keep: { ...keep, memoryBytesMax: 1_000 } });
      await expectCached(engine, [branch], fresh);
      await ask(engine, storyRequest("bob", tell(0, 4)));
      await expectCached(engine, [branch], fresh);
    });
  });
}

skipUnless(testModel("smollm2-135m"), "LlamaEngine's cache on SmolLM2", (path) => {
  const model = { path, sentences: 12, added: 3, contextTokensTrained: 8_192 };
  testCache("SmolLM2", model);
  testOwners(model);
});

skipUnless(testModel("gemma-3-270m"), "LlamaEngine's cache on Gemma", (path) => {
  // The next turn is longer than the window of 512 tokens, and what llama.cpp keeps beside it: going back takes a checkpoint.
  testCache("Gemma", { path, sentences: 31, added: 18, contextTokensTrained: 32_768 });
});

const SECRETS: Record<string, string> = { ada: "Marigold", bob: "Thunder", eve: "Copper", zoe: "Lantern" };

function secretPrompt(owner: string, turn: number): string {
  // All begin alike: what is kept of one would fit the others.
  const turns = Array.from(
    { length: turn },
    (_, i) => ` ${tell(20 + 2 * i, 22 + 2 * i)} The secret word is ${SECRETS[owner]}.`,
  );
  return `${tell(0, 5)} The secret word is ${SECRETS[owner]}.${turns.join("")} Once more: The secret word is`;
}

function testOwners(model: Model): void {
  Deno.test("LlamaEngine tells no owner another's secret while conversations push each other out all the time", async () => {
    await inFolder(async (dir) => {
      const keep = { dir, memoryBytesMax: 5_000_000, diskBytesMax: 30_000_000 };
      await using engine = open(model, { keep, sequences: 2 });
      const owners = Object.keys(SECRETS);
      const told: { owner: string; turn: number; answer: Answer }[] = [];
      for (const turn of [0, 1, 2]) {
        const answers = await Promise.all(owners.map(async (owner) => {
          const answer = await ask(engine, storyRequest(owner, secretPrompt(owner, turn)));
          return { owner, turn, answer };
        }));
        told.push(...answers);
      }
      await using alone = open(model, { keep: { dir: null, memoryBytesMax: 0, diskBytesMax: 0 } });
      let cached = 0;
      for (const { owner, turn, answer } of told) {
        const others = owners.filter((other) => other !== owner).map((other) => SECRETS[other]!.slice(0, 4));
        assert.ok(!others.some((other) => answer.text.includes(other)), `${owner} is told ${answer.text}`);
        assert.ok(answer.text.trim().startsWith(SECRETS[owner]!.slice(0, 3)), `${owner} is told ${answer.text}`);
        const { cachedTokens } = answer.done.usage;
        if (turn === 0) assert.equal(cachedTokens, 0, "what others wrote is nobody's beginning");
        cached += cachedTokens;
        assertSameAnswer(answer, await ask(alone, storyRequest(`${owner}-${turn}`, secretPrompt(owner, turn))));
      }
      assert.ok(cached > 500, `${cached} tokens came from the cache`);
    });
  });

  Deno.test("LlamaEngine forgets an owner's conversations, in memory and on disk, and nobody else's", async () => {
    await inFolder(async (dir) => {
      await using engine = open(model, { keep: { dir, memoryBytesMax: 1_000_000, diskBytesMax: 1e9 } });
      const askAgain = async (owner: string) => {
        return (await ask(engine, storyRequest(owner, tell(0, 5)))).done.usage.cachedTokens;
      };
      for (const owner of ["ada", "bob", "ada", "bob"]) await askAgain(owner);
      assert.ok(await askAgain("ada") > 0);
      await engine.forget?.("ada");
      const files = await listFiles(dir);
      assert.ok(files.length > 0 && files.every((file) => file.includes(hashOwner("bob"))), `${files}`);
      assert.equal(await askAgain("ada"), 0);
      assert.ok(await askAgain("bob") > 0);
    });
  });
}
