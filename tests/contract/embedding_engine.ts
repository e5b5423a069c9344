import assert from "node:assert/strict";
import type { Embeddings, EmbedRequest } from "../../lib/contracts/embedding.ts";
import type { EmbeddingEngine } from "../../lib/inference/engine.ts";

/** Makes a fresh engine that lets so many requests wait. Its model takes 512 tokens at most. */
export type MakeEmbeddingEngine = (options: { queuedMax: number }) => EmbeddingEngine;

const never = new AbortController().signal;

function requestOf(inputs: EmbedRequest["inputs"], part: Partial<EmbedRequest> = {}): EmbedRequest {
  const request = { id: "test", owner: "local", model: "m", dimensions: null, truncate: false, keepAliveMs: null };
  return { ...request, inputs, ...part };
}

async function embed(engine: EmbeddingEngine, inputs: EmbedRequest["inputs"]): Promise<Float32Array[]> {
  return (await engine.embed(requestOf(inputs), never)).vectors;
}

/** The cosine of two vectors of the length one. */
function similarity(a: Float32Array, b: Float32Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

/** Vectors of the same text differ by rounding at most, whatever shared a batch with it. */
function assertSame(a: Float32Array, b: Float32Array, what = ""): void {
  assert.ok(similarity(a, b) > 0.999, `${what} ${similarity(a, b)}`);
}

function ravens(count: number): string {
  return Array(count).fill("raven").join(" ");
}

/** Texts of all lengths that begin differently. */
const MIXED = Array.from({ length: 21 }, (_, i) => {
  const subject = ["A boat", "The king", "Old bread", "Seven hills", "Winter", "My sister", "This machine"][i % 7]!;
  return `${subject} ${"and the river ".repeat(i * 5 % 13)}${i}`;
});

/** What every {@linkcode EmbeddingEngine} promises, whatever computes its vectors. */
export function testEmbeddingEngine(name: string, make: MakeEmbeddingEngine): void {
  testVectors(name, make);
  testInputs(name, make);
  testRefusals(name, make);
  testEnds(name, make);
}

function testVectors(name: string, make: MakeEmbeddingEngine): void {
  Deno.test(`${name} describes the vectors that it computes`, async () => {
    await using engine = make({ queuedMax: 4 });
    const [vector] = await embed(engine, ["A raven sat on a wall."]);
    const model = await engine.describe();
    assert.deepEqual([model.kind, model.dimensions], ["embedding", vector!.length]);
    assert.equal((await engine.status()).state, "ready");
  });

  Deno.test(`${name} makes vectors one unit long, the same for the same text`, async () => {
    await using engine = make({ queuedMax: 4 });
    const [a, b, again] = await embed(engine, ["A raven sat on a wall.", "Ships sail.", "A raven sat on a wall."]);
    for (const vector of [a!, b!]) assert.ok(Math.abs(similarity(vector, vector) - 1) < 1e-5);
    assertSame(a!, again!);
    assert.ok(similarity(a!, b!) < 0.99);
  });

  Deno.test(`${name} keeps the order of texts of all lengths`, async () => {
    await using engine = make({ queuedMax: 4 });
    const together = await embed(engine, MIXED);
    assert.equal(together.length, MIXED.length);
    for (const [i, text] of MIXED.entries()) assertSame((await embed(engine, [text]))[0]!, together[i]!, `Text ${i}`);
  });

  Deno.test(`${name} cuts vectors to fewer dimensions and makes them one unit long again`, async () => {
    await using engine = make({ queuedMax: 4 });
    const [whole] = await embed(engine, ["A raven sat on a wall."]);
    const { vectors } = await engine.embed(requestOf(["A raven sat on a wall."], { dimensions: 8 }), never);
    const head = whole!.slice(0, 8);
    const length = Math.sqrt(similarity(head, head));
    const expected = head.map((value) => value / length);
    assert.equal(vectors[0]!.length, 8);
    for (const [i, value] of vectors[0]!.entries()) assert.ok(Math.abs(value - expected[i]!) < 1e-3);
  });
}

function testInputs(name: string, make: MakeEmbeddingEngine): void {
  Deno.test(`${name} takes tokens for the text that they came from`, async () => {
    await using engine = make({ queuedMax: 4 });
    const texts = ["The quick brown fox jumps.", "Ünïcödé and 漢字 too"];
    const tokens = await Promise.all(texts.map((text) => engine.tokenize(text)));
    const [fox, unicode, foxTokens, unicodeTokens] = await embed(engine, [...texts, ...tokens]);
    assertSame(fox!, foxTokens!);
    assertSame(unicode!, unicodeTokens!);
  });

  Deno.test(`${name} takes special tokens that somebody writes for plain text`, async () => {
    await using engine = make({ queuedMax: 4 });
    const [start, end] = [await engine.tokenize("[CLS]<|im_start|><s>"), await engine.tokenize("[SEP]<|im_end|></s>")];
    assert.ok(start.length >= 9 && end.length >= 9, `${start.length} and ${end.length} tokens`);
  });

  Deno.test(`${name} counts the tokens that it computed`, async () => {
    await using engine = make({ queuedMax: 4 });
    const count = async (inputs: string[]) => (await engine.embed(requestOf(inputs), never)).promptTokens;
    const tokens = (await engine.tokenize(ravens(20))).length - (await engine.tokenize(ravens(10))).length;
    const [ten, twenty] = [await count([ravens(10)]), await count([ravens(20)])];
    assert.equal(twenty - ten, tokens);
    assert.equal(await count([ravens(10), ravens(20)]), ten + twenty);
  });

  Deno.test(`${name} cuts what is too long when it may, and says how much too long it is when not`, async () => {
    await using engine = make({ queuedMax: 4 });
    const { contextTokensMax } = await engine.describe();
    const long = ravens(contextTokensMax + 7);
    const tokens = await engine.tokenize(long);
    const inputs = ["short", long];
    const frame = await countFrame(engine);
    await assert.rejects(engine.embed(requestOf(inputs), never), {
      code: "context_length_exceeded",
      param: "input[1]",
      message: new RegExp(`^input\\[1\\] has ${tokens.length + frame} tokens.* ${contextTokensMax}\\b`),
    });
    const { vectors, promptTokens } = await engine.embed(requestOf(inputs, { truncate: true }), never);
    assert.equal(promptTokens, contextTokensMax + (await engine.tokenize("short")).length + frame);
    const [fitting] = await embed(engine, [tokens.slice(0, contextTokensMax - frame)]);
    assertSame(vectors[1]!, fitting!);
  });
}

/** Tokens that the model wants around an input. */
async function countFrame(engine: EmbeddingEngine): Promise<number> {
  const { promptTokens } = await engine.embed(requestOf(["raven"]), never);
  return promptTokens - (await engine.tokenize("raven")).length;
}

function testRefusals(name: string, make: MakeEmbeddingEngine): void {
  Deno.test(`${name} names the input that is empty or no token of its model`, async () => {
    await using engine = make({ queuedMax: 4 });
    const refuse = async (inputs: EmbedRequest["inputs"], param: string) => {
      await assert.rejects(engine.embed(requestOf(inputs), never), { code: "invalid_request", param });
    };
    await refuse(["a", "b", "c", ""], "input[3]");
    await refuse(["a", []], "input[1]");
    await refuse([[1, 999_999_999]], "input[0]");
    assert.equal((await embed(engine, ["a"])).length, 1);
  });

  Deno.test(`${name} refuses more dimensions than it has`, async () => {
    await using engine = make({ queuedMax: 4 });
    const dimensions = ((await engine.describe()).dimensions ?? 0) + 1;
    const refusal = engine.embed(requestOf(["a"], { dimensions }), never);
    await assert.rejects(refusal, { code: "invalid_request", param: "dimensions" });
  });

  Deno.test(`${name} lets only so many requests wait`, async () => {
    await using engine = make({ queuedMax: 1 });
    const first = engine.embed(requestOf(MIXED), never);
    const second = engine.embed(requestOf(["second"]), never);
    assert.equal((await engine.status()).queued >= 1, true);
    await assert.rejects(engine.embed(requestOf(["third"]), never), { code: "queue_full" });
    assert.equal((await first).vectors.length, MIXED.length);
    assert.equal((await second).vectors.length, 1);
    assert.equal((await engine.status()).queued, 0);
    assert.equal((await embed(engine, ["fourth"])).length, 1);
  });
}

function testEnds(name: string, make: MakeEmbeddingEngine): void {
  Deno.test(`${name} lets a search go between the batches of an index of the same owner`, async () => {
    await using engine = make({ queuedMax: 4 });
    await embed(engine, ["loaded"]);
    const ended: string[] = [];
    const note = (what: string) => () => void ended.push(what);
    const index = engine.embed(requestOf([...MIXED, ...MIXED, ...MIXED]), never).then(note("index"));
    const search = engine.embed(requestOf(["raven"]), never).then(note("search"));
    await Promise.all([index, search]);
    assert.deepEqual(ended, ["search", "index"]);
  });

  Deno.test(`${name} ends an aborted request with request_cancelled and goes on with others`, async () => {
    await using engine = make({ queuedMax: 4 });
    await assert.rejects(engine.embed(requestOf(["a"]), AbortSignal.abort()), { code: "request_cancelled" });
    const controller = new AbortController();
    const aborted = engine.embed(requestOf(MIXED), controller.signal);
    const other = engine.embed(requestOf(["raven"]), never);
    controller.abort();
    await assert.rejects(aborted, { code: "request_cancelled" });
    assertSame((await other).vectors[0]!, (await embed(engine, ["raven"]))[0]!);
  });

  Deno.test(`${name} ends open requests with engine_gone when it is disposed of, and takes no others`, async () => {
    const engine = make({ queuedMax: 4 });
    await embed(engine, ["loaded"]);
    const open: Promise<Embeddings>[] = [engine.embed(requestOf(MIXED), never), engine.embed(requestOf(["a"]), never)];
    const refusals = Promise.all(open.map((request) => assert.rejects(request, { code: "engine_gone" })));
    await engine[Symbol.asyncDispose]();
    await refusals;
    await assert.rejects(engine.embed(requestOf(["late"]), never), { code: "engine_gone" });
    assert.equal((await engine.status()).state, "gone");
  });

  Deno.test(`${name} can be disposed of while it loads`, async () => {
    const engine = make({ queuedMax: 4 });
    const refusal = assert.rejects(engine.embed(requestOf(["early"]), never), { code: "engine_gone" });
    await engine[Symbol.asyncDispose]();
    await refusal;
  });
}

/** What an {@linkcode EmbeddingEngine} promises beside that when a model that was trained for it computes. */
export function testEmbeddingModel(name: string, make: MakeEmbeddingEngine): void {
  Deno.test(`${name} puts texts of like meaning closer than others`, async () => {
    await using engine = make({ queuedMax: 4 });
    const groups = [
      ["How do I reset my password?", "I forgot my login and need a new secret word."],
      ["The raven is a large black bird.", "Crows and their relatives have dark feathers."],
      ["Quarterly revenue grew by ten percent.", "The company earned more money than last year."],
    ];
    const vectors = await embed(engine, groups.flat());
    for (let i = 0; i < vectors.length; i++) {
      const closest = vectors.map((other, j) => ({ j, score: j === i ? -1 : similarity(vectors[i]!, other) }))
        .sort((a, b) => b.score - a.score)[0]!;
      assert.equal(closest.j >> 1, i >> 1, groups.flat()[i]);
    }
  });
}
