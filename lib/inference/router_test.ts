import assert from "node:assert/strict";
import { testInference } from "../../tests/contract/inference.ts";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { soon, until } from "../../tests/fixtures/processes.ts";
import { ScriptedInference } from "../../tests/fixtures/scripted_inference.ts";
import type { ChatEvent, ChatMessage, ChatRequest } from "../contracts/chat.ts";
import { EmbedRequest } from "../contracts/embedding.ts";
import { DomainError } from "../errors.ts";
import type { Inference, InferenceStatus, NamedInference } from "./inference.ts";
import { createRouter } from "./router.ts";

const never = new AbortController().signal;

function ask(router: Inference, messages: string[], changes: Partial<ChatRequest> = {}): Promise<ChatEvent[]> {
  const turns: ChatMessage[] = messages.map((content, at) => ({ role: at % 2 === 0 ? "user" : "assistant", content }));
  const request = requestOf("", { model: "scripted", messages: turns, ...changes });
  return soon(Array.fromAsync(router.chat(request, never)));
}

/** How many requests each was given so far. */
function countRequests(replicas: readonly ScriptedInference[]): number[] {
  return replicas.map(({ engine }) => engine.requests.length);
}

/** A server whose models begin with its name, or one that does not answer. */
class ScriptedRemote extends ScriptedInference implements NamedInference {
  dead = false;

  constructor(readonly name: string) {
    super({ model: { id: `${name}/scripted` }, embedder: null });
  }

  override async describe(model: string) {
    if (this.dead) throw this.#error();
    return await super.describe(model);
  }

  override async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    if (this.dead) throw this.#error();
    yield* super.chat(request, signal);
  }

  override async status(): Promise<InferenceStatus> {
    return { ...await super.status(), state: this.dead ? "gone" : "ready" };
  }

  #error(): DomainError {
    return new DomainError("engine_unavailable", `The server "${this.name}" does not answer`);
  }
}

testInference("A router", (model = {}) => {
  // The suite writes one engine's script; the other one is being started again all the time.
  const [scripted, gone] = [new ScriptedInference({ model }), new ScriptedInference()];
  gone.engine.state = "gone";
  const inference = createRouter({ local: [gone, scripted], remotes: [] });
  const dispose = () => inference[Symbol.asyncDispose]();
  return {
    inference,
    engine: scripted.engine,
    model: "scripted",
    embedder: "scripted-embedder",
    [Symbol.asyncDispose]: dispose,
  };
});

Deno.test("A conversation goes on where it began, also with another branch or a regenerated answer", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  // Answers come back as clients like to write them.
  const openings = ["Tell me of ravens", "Tell me of rivers", "Tell me of stones"];
  for (const opening of openings) await ask(router, [opening]);
  assert.deepEqual(countRequests(replicas), [1, 1, 1], "conversations that are new take turns");
  for (const opening of openings.toReversed()) {
    const before = replicas.findIndex(({ engine }) =>
      engine.requests.some(({ messages }) => messages![0]!.content === opening)
    );
    const requests = replicas[before]!.engine.requests.length;
    await ask(router, [opening, "an answer", "go on"]);
    await ask(router, [opening, "an answer", "no, the other way"]);
    await ask(router, [opening]);
    assert.equal(replicas[before]!.engine.requests.length, requests + 3);
  }
});

Deno.test("Another owner's same conversation is nobody's continuation", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  await ask(router, ["Tell me of ravens"]);
  await ask(router, ["Tell me of ravens"], { owner: "somebody-else" });
  assert.deepEqual(countRequests(replicas), [1, 1]);
  await router.forget("local");
  assert.deepEqual(replicas.map(({ forgotten }) => forgotten), [["local"], ["local"]]);
  await ask(router, ["Tell me of rivers"], { owner: "a-third" });
  await ask(router, ["Tell me of ravens"]);
  assert.deepEqual(countRequests(replicas), [2, 2], "what was forgotten takes its turn again");
});

Deno.test("A conversation that shares only its smaller part goes to whoever is less busy", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  const opening = "You are helpful";
  const gate = Promise.withResolvers<void>();
  replicas[0]!.engine.enqueue({ wait: gate.promise });
  const first = ask(router, [opening, "yes", "Tell me of ravens"]);
  await until(() => replicas[0]!.engine.requests.length === 1);
  await ask(router, [opening, "yes", "a much longer question about something else entirely: ".repeat(10)]);
  assert.deepEqual(countRequests(replicas), [1, 1]);
  gate.resolve();
  await first;
});

Deno.test("Requests that come together are spread over the replicas", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  const gate = Promise.withResolvers<void>();
  for (const { engine } of replicas) engine.enqueue({ wait: gate.promise }, "late", { wait: gate.promise });
  const answers = Array.from({ length: 6 }, (_, at) => ask(router, [`question ${at}`]));
  await until(() => countRequests(replicas).every((count) => count === 2));
  assert.equal((await router.status()).queuedMax, 3 * 64);
  gate.resolve();
  await Promise.all(answers);
});

Deno.test("Whoever knows a conversation is waited for, until four more wait there than elsewhere", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  await ask(router, ["Tell me of ravens"]);
  const gate = Promise.withResolvers<void>();
  for (let i = 0; i < 4; i++) replicas[0]!.engine.enqueue({ wait: gate.promise });
  const waiting: Promise<ChatEvent[]>[] = [];
  for (let i = 0; i < 4; i++) {
    waiting.push(ask(router, ["Tell me of ravens", "yes", `more ${i}`]));
    await until(() => replicas[0]!.engine.requests.length === i + 2);
  }
  assert.equal((await router.status()).active, 4);
  await ask(router, ["Tell me of ravens", "yes", "one too many"]);
  assert.deepEqual(countRequests(replicas), [5, 1]);
  gate.resolve();
  await Promise.all(waiting);
});

Deno.test("A dead replica is passed over while it is started again, and asked when none lives", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  await ask(router, ["Tell me of ravens"]);
  replicas[0]!.engine.state = "gone";
  await until(async () => (await router.describe("scripted")).id === "scripted");
  await new Promise((resolve) => setTimeout(resolve, 150)); // longer than what it said is believed
  await ask(router, ["Tell me of ravens", "yes", "more"]);
  assert.deepEqual(countRequests(replicas), [1, 1]);
  assert.equal((await router.status()).state, "ready");
  replicas[1]!.engine.state = "gone";
  await assert.rejects(ask(router, ["Tell me of ravens"]), { code: "engine_gone" });
  assert.equal((await router.status()).state, "gone");
});

Deno.test("A request that a replica refuses before admitting it is offered to another", async () => {
  for (const code of ["queue_full", "engine_gone", "engine_unavailable"] as const) {
    const replicas = [new ScriptedInference(), new ScriptedInference()];
    await using router = createRouter({ local: replicas, remotes: [] });
    replicas[0]!.engine.enqueue({ refuse: new DomainError(code, "not now") });
    replicas[1]!.engine.enqueue("from the other");
    const events = await ask(router, ["hello"]);
    assert.deepEqual(events.filter(({ type }) => type === "admitted").length, 1);
    assert.partialDeepStrictEqual(events.filter(({ type }) => type === "text"), [{ text: "from the other" }]);
    assert.deepEqual(countRequests(replicas), [1, 1]);
  }
});

Deno.test("A request that is wrong, or that failed after it was admitted, is offered to nobody else", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  replicas[0]!.engine.enqueue({ refuse: new DomainError("context_length_exceeded", "too long") });
  await assert.rejects(ask(router, ["hello"]), { code: "context_length_exceeded" });
  replicas[1]!.engine.enqueue({ fail: new DomainError("engine_gone", "It ended") });
  await assert.rejects(ask(router, ["hello"]), { code: "engine_gone" });
  assert.deepEqual(countRequests(replicas), [1, 1]);
});

Deno.test("Every replica keeps a model, and each is counted once in the status", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  await router.keep({ model: "scripted", keepAliveMs: -1 });
  for (const { kept } of replicas) assert.deepEqual(kept, [{ model: "scripted", keepAliveMs: -1 }]);
  const { models, memoryBytesMax, rssBytes } = await router.status();
  assert.partialDeepStrictEqual(models, [{ id: "scripted", memoryBytes: 2 * 4_194_304, expiresAtMs: null }]);
  assert.equal(models.length, 1);
  assert.deepEqual([memoryBytesMax, rssBytes], [2e9, 2 * 1_048_576]);
});

Deno.test("Embedding is spread, too", async () => {
  const replicas = [new ScriptedInference(), new ScriptedInference()];
  await using router = createRouter({ local: replicas, remotes: [] });
  const gate = Promise.withResolvers<void>();
  for (const replica of replicas) replica.embedding = gate.promise;
  const embed = () => {
    const request = EmbedRequest.parse({ id: "r", owner: "local", model: "scripted-embedder", inputs: ["a"] });
    return router.embed(request, never);
  };
  const answers = [embed(), embed()];
  await until(() => replicas.every(({ embedded }) => embedded.length === 1));
  gate.resolve();
  assert.equal((await Promise.all(answers)).length, 2);
});

Deno.test("Models of remote servers are listed after the local ones and found by their server's name", async () => {
  const [local, gpu, desk] = [new ScriptedInference(), new ScriptedRemote("gpu"), new ScriptedRemote("desk")];
  await using router = createRouter({ local: [local], remotes: [gpu, desk] });
  const ids = ["scripted", "scripted-embedder", "gpu/scripted", "desk/scripted"];
  assert.deepEqual((await router.list()).map(({ id }) => id), ids);
  await ask(router, ["hello"], { model: "desk/scripted" });
  assert.deepEqual(countRequests([local, gpu, desk]), [0, 0, 1]);
  for (const model of ["gpu/none", "nobody/scripted", "none", "/scripted"]) {
    await assert.rejects(ask(router, ["hello"], { model }), (error) => {
      assert.ok(error instanceof DomainError && error.code === "model_not_found");
      assert.ok(ids.every((id) => error.message.includes(`"${id}"`)), error.message);
      return true;
    });
  }
  assert.deepEqual(countRequests([local, gpu, desk]), [0, 0, 1]);
});

Deno.test("A dead remote server breaks neither the list nor the others", async () => {
  const [local, gpu] = [new ScriptedInference(), new ScriptedRemote("gpu")];
  await using router = createRouter({ local: [local], remotes: [gpu] });
  gpu.dead = true;
  assert.equal((await router.list()).length, 3);
  await assert.rejects(ask(router, ["hello"], { model: "gpu/scripted" }), {
    code: "engine_unavailable",
    message: /"gpu" does not answer/,
  });
  assert.equal((await router.status()).state, "ready");
  assert.equal((await ask(router, ["hello"])).at(-1)?.type, "done");
});

Deno.test("A Rookery may stand on remote servers alone", async () => {
  const gpu = new ScriptedRemote("gpu");
  await using router = createRouter({ local: [], remotes: [gpu] });
  assert.deepEqual((await router.list()).map(({ id }) => id), ["gpu/scripted"]);
  assert.equal((await router.status()).state, "ready");
  await assert.rejects(router.describe("scripted"), { code: "model_not_found", message: /"gpu\/scripted"/ });
  assert.equal((await ask(router, ["hello"], { model: "gpu/scripted" })).at(-1)?.type, "done");
});
