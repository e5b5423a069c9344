import assert from "node:assert/strict";
import { testEmbeddingEngine } from "../../tests/contract/embedding_engine.ts";
import type { EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import { ComputeGate } from "./compute_gate.ts";
import { createEmbeddingQueue, type Embedder, type EmbeddingEngineEvents } from "./embedding_queue.ts";
import type { EmbeddingEngine } from "./engine.ts";

const never = new AbortController().signal;
const DIMENSIONS = 16;

const MODEL: ModelDescription = {
  id: "letters",
  name: "Letters",
  kind: "embedding",
  engine: "onnx",
  sizeBytes: 1,
  sha256: null,
  modifiedAtMs: 0,
  architecture: "letters",
  parameters: null,
  quantization: "unknown",
  contextTokensTrained: 128,
  chatTemplate: null,
  licence: null,
  capabilities: { tools: false, reasoning: false, vision: false, infill: false },
  dimensions: DIMENSIONS,
  contextTokensMax: 512,
  sequences: 1,
};

/** A model whose tokens are UTF-16 units and whose vectors count pairs of them; batches end when a test lets them. */
class LetterEmbedder implements Embedder {
  readonly vocabularySize = 65_536;
  readonly prefix = [1];
  readonly suffix = [2];
  readonly batches: number[][][] = [];
  isLost = false;
  isDisposed = false;
  /** What a batch waits for. */
  hold: Promise<unknown> = Promise.resolve();

  encode(texts: readonly string[]): Promise<number[][]> {
    return Promise.resolve(texts.map((text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))));
  }

  async compute(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    this.batches.push(inputs.map((input) => [...input]));
    await new Promise((resolve) => setTimeout(resolve));
    await this.hold;
    return inputs.map((input) => {
      const vector = new Float32Array(DIMENSIONS);
      for (let i = 1; i < input.length; i++) vector[(input[i - 1]! * 7 + input[i]! * 3) % DIMENSIONS]! += 1;
      return vector;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    return Promise.resolve();
  }
}

interface MakeOptions extends EmbeddingEngineEvents {
  queuedMax?: number;
  queueTimeoutMs?: number;
  batchTimeoutMs?: number;
  gate?: ComputeGate;
  open?: (signal: AbortSignal) => Promise<Embedder>;
}

function make(options: MakeOptions = {}): { engine: EmbeddingEngine; embedder: LetterEmbedder } {
  const embedder = new LetterEmbedder();
  const open = options.open ?? (() => Promise.resolve(embedder));
  const describe = () => Promise.resolve(MODEL);
  return { engine: createEmbeddingQueue({ id: MODEL.id, describe, open }, { queuedMax: 8, ...options }), embedder };
}

function requestOf(inputs: string[], owner = "local"): EmbedRequest {
  return { id: "t", owner, model: MODEL.id, inputs, dimensions: null, truncate: false, keepAliveMs: null };
}

testEmbeddingEngine("createEmbeddingQueue()", (options) => make(options).engine);

Deno.test("createEmbeddingQueue() takes owners in turn, one batch each", async () => {
  const { engine, embedder } = make();
  await using _engine = engine;
  const ended: string[] = [];
  const ask = async (owner: string, inputs: string[]) => {
    await engine.embed(requestOf(inputs, owner), never);
    ended.push(owner);
  };
  await Promise.all([
    ask("ann", Array(40).fill("a".repeat(60))),
    ask("ann", Array(40).fill("b".repeat(60))),
    ask("bob", Array(16).fill("c".repeat(60))),
  ]);
  assert.equal(ended[0], "bob");
  const order = embedder.batches.map((batch) => String.fromCharCode(batch[0]![1]!)).join("");
  // The first one found nobody else there.
  assert.equal(order.slice(0, 6), "abcacb");
});

Deno.test("createEmbeddingQueue() computes at most 8 texts and 512 tokens at once", async () => {
  const { engine, embedder } = make();
  await using _engine = engine;
  await engine.embed(requestOf(["x".repeat(500), ...Array(30).fill("y".repeat(98)), ...Array(30).fill("z")]), never);
  const sizes = embedder.batches.map((batch) => `${batch.length}×${batch[0]!.length}`);
  assert.deepEqual(sizes, ["1×502", ...Array(6).fill("5×100"), ...Array(3).fill("8×3"), "6×3"]);
});

Deno.test("createEmbeddingQueue() waits at the gate behind an answer's batch", async () => {
  const gate = new ComputeGate();
  const { engine, embedder } = make({ gate });
  await using _engine = engine;
  const answer = Promise.withResolvers<void>();
  const answering = gate.run("interactive", () => answer.promise);
  const embedding = engine.embed(requestOf(["a"]), never);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(embedder.batches, []);
  answer.resolve();
  await answering;
  assert.equal((await embedding).vectors.length, 1);
});

Deno.test("createEmbeddingQueue() gives up a request that could not be begun in time", async () => {
  const { engine, embedder } = make({ queueTimeoutMs: 30 });
  await using _engine = engine;
  const hold = Promise.withResolvers<void>();
  embedder.hold = hold.promise;
  const computing = engine.embed(requestOf(["first"]), never);
  await assert.rejects(engine.embed(requestOf(["second"]), never), { code: "queue_timeout" });
  hold.resolve();
  assert.equal((await computing).vectors.length, 1);
});

Deno.test("createEmbeddingQueue() tells that a batch hangs", async () => {
  const hung = Promise.withResolvers<void>();
  const { engine, embedder } = make({ batchTimeoutMs: 10, onHung: hung.resolve });
  await using _engine = engine;
  const hold = Promise.withResolvers<void>();
  embedder.hold = hold.promise;
  const embedding = engine.embed(requestOf(["a"]), never);
  await hung.promise;
  assert.equal((await engine.status()).active, 1);
  hold.resolve();
  assert.equal((await embedding).vectors.length, 1);
});

Deno.test("createEmbeddingQueue() opens a model that was lost anew, and keeps the requests that waited", async () => {
  const opened: LetterEmbedder[] = [];
  const open = () => {
    const embedder = new LetterEmbedder();
    opened.push(embedder);
    return Promise.resolve(embedder);
  };
  const { engine } = make({ open });
  await using _engine = engine;
  await engine.embed(requestOf(["a"]), never);
  const [first] = opened;
  first!.compute = () => {
    first!.isLost = true;
    return Promise.reject(new DomainError("engine_gone", "The thread ended"));
  };
  const lost = engine.embed(requestOf(["b"]), never);
  const kept = engine.embed(requestOf(["c"]), never);
  await assert.rejects(lost, { code: "engine_gone" });
  assert.equal((await kept).vectors.length, 1);
  assert.deepEqual([opened.length, first!.isDisposed], [2, true]);
  assert.equal((await engine.status()).state, "ready");
});

Deno.test("createEmbeddingQueue() fails one request with what a batch throws, and no other", async () => {
  const { engine, embedder } = make();
  await using _engine = engine;
  const { compute } = embedder;
  embedder.compute = () => Promise.reject(new Error("out of memory"));
  await assert.rejects(engine.embed(requestOf(["a"]), never), { message: "out of memory" });
  embedder.compute = compute;
  assert.equal((await engine.embed(requestOf(["a"]), never)).vectors.length, 1);
});

Deno.test("createEmbeddingQueue() says once, and to every caller, that a model cannot be loaded", async () => {
  const fatal: DomainError[] = [];
  const onFatal = (error: DomainError) => void fatal.push(error);
  const { engine } = make({ open: () => Promise.reject(new Error("bad magic")), onFatal });
  await using _engine = engine;
  for (let i = 0; i < 2; i++) {
    await assert.rejects(engine.embed(requestOf(["a"]), never), {
      code: "engine_unavailable",
      message: /^Cannot load model "letters": .*`deno task models verify letters`/,
    });
  }
  await assert.rejects(engine.tokenize("a"), { code: "engine_unavailable" });
  assert.deepEqual(fatal.map(({ cause }) => (cause as Error).message), ["bad magic"]);
  assert.equal((await engine.status()).state, "gone");
});
