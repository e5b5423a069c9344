import assert from "node:assert/strict";
import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { ThreadPlan, WorkerAddress, WorkerSettings } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import type { SupervisedEngine } from "./supervised_engine.ts";
import { startSupervisor, type SupervisorOptions } from "./supervisor.ts";

const never = new AbortController().signal;
const puppet = new URL("../../tests/fixtures/puppet_worker.ts", import.meta.url).pathname;
const command = {
  path: Deno.execPath(),
  args: ["run", "-A", "--no-prompt", "--unstable-no-legacy-abort", puppet],
  env: Deno.env.toObject(),
};

function settingsOf(id: string): Omit<WorkerSettings, "token"> {
  const model = {
    id,
    name: "Puppet",
    path: "/nowhere.gguf",
    sizeBytes: 1,
    sha256: null,
    modifiedAtMs: 0,
    architecture: "puppet",
    parameters: null,
    quantization: "unknown",
    contextTokensTrained: 2048,
    chatTemplate: null,
    licence: null,
  };
  return { model, contextTokens: null, sequences: null, queuedMax: 8, gpu: false, threads: null };
}

interface Started {
  engine: SupervisedEngine;
  workers: WorkerAddress[];
  calibrations: ThreadPlan[];
}

async function withSupervisor(
  test: (started: Started) => Promise<void>,
  options: { model?: string; limits?: NonNullable<SupervisorOptions["limits"]> } = {},
): Promise<void> {
  const workers: WorkerAddress[] = [];
  const calibrations: ThreadPlan[] = [];
  const engine = startSupervisor({
    command,
    settings: settingsOf(options.model ?? "puppet"),
    log: silentLogger,
    limits: { restartMs: 20, drainMs: 200, ...options.limits },
    onWorker: (address) => workers.push(address),
    onCalibrated: (threads) => calibrations.push(threads),
  });
  try {
    await test({ engine, workers, calibrations });
  } finally {
    await engine.close();
  }
}

function order(content: string): ChatRequest {
  const messages = [{ role: "user" as const, content }];
  const sampling = {
    temperature: null,
    topP: null,
    topK: null,
    minP: null,
    presencePenalty: null,
    frequencyPenalty: null,
    repeatPenalty: null,
    seed: null,
  };
  return { id: "r", owner: "local", messages, prompt: null, sampling, stop: [], completionTokensMax: null };
}

/** Reads an answer to its end; `onEvent` sees each event as it comes. */
async function read(
  engine: SupervisedEngine,
  content: string,
  onEvent: (event: ChatEvent) => void | Promise<void> = () => {},
): Promise<{ types: string[]; text: string; error: DomainError | null }> {
  const types: string[] = [];
  let text = "";
  try {
    for await (const event of engine.chat(order(content), never)) {
      types.push(event.type);
      if (event.type === "text") text += event.text;
      await onEvent(event);
    }
  } catch (error) {
    assert.ok(error instanceof DomainError, Deno.inspect(error));
    return { types, text, error };
  }
  return { types, text, error: null };
}

Deno.test("a supervised engine answers like its worker", async () => {
  await withSupervisor(async ({ engine, calibrations }) => {
    assert.equal((await engine.ready).contextTokensMax, 2048);
    assert.equal((await engine.describe()).id, "puppet");
    assert.deepEqual(await engine.tokenize("ab"), [97, 98]);
    assert.equal((await engine.status()).state, "ready");
    assert.deepEqual(calibrations, [{ decodeOne: 1, decodeMany: 2, prefill: 3 }]);
    const answer = await read(engine, "count 3 1");
    assert.deepEqual(answer, {
      types: ["admitted", "started", "text", "text", "text", "done"],
      text: "1 2 3 ",
      error: null,
    });
    assert.equal((await read(engine, "refuse")).error?.code, "context_length_exceeded");
  });
});

Deno.test("kill -9 after text ends the answer with one engine_gone, and the next one is answered", async () => {
  await withSupervisor(async ({ engine, workers }) => {
    await engine.ready;
    const killed = engine.workerPid!;
    const answer = await read(engine, "count 1000 10", (event) => {
      if (event.type === "text" && event.text.startsWith("3")) Deno.kill(killed, "SIGKILL");
    });
    assert.equal(answer.error?.code, "engine_gone");
    assert.ok(answer.text.startsWith("1 2 3 "), answer.text);
    assert.equal((await read(engine, "count 2 1")).text, "1 2 ");
    assert.notEqual(engine.workerPid, killed);
    assert.equal(workers.length, 2);
    assert.notEqual(workers[0]!.token, workers[1]!.token);
  });
});

Deno.test("kill -9 before any text is not seen: the request is asked again once", async () => {
  const directory = await Deno.makeTempDir();
  await withSupervisor(async ({ engine }) => {
    await engine.ready;
    const answer = await read(engine, `wait for ${directory}/sign`, async (event) => {
      if (event.type !== "started") return;
      Deno.kill(engine.workerPid!, "SIGKILL");
      await Deno.writeTextFile(`${directory}/sign`, "");
    });
    assert.deepEqual(answer, { types: ["admitted", "started", "text", "done"], text: "it is there", error: null });
  });
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a request whose second worker dies too ends with engine_gone", async () => {
  await withSupervisor(async ({ engine, workers }) => {
    await engine.ready;
    const reading = read(engine, "wait for /nowhere/at/all");
    for (const deaths of [1, 2]) {
      while (workers.length < deaths || (await engine.status()).active === 0) {
        await new Promise((r) => setTimeout(r, 10));
      }
      Deno.kill(engine.workerPid!, "SIGKILL");
    }
    const answer = await reading;
    assert.equal(answer.error?.code, "engine_gone");
    assert.deepEqual(answer.types, ["admitted", "started"]);
  });
});

Deno.test("a stopped worker is killed and replaced; its answer with text ends, its silent one is asked again", async () => {
  const directory = await Deno.makeTempDir();
  await withSupervisor(async ({ engine }) => {
    await engine.ready;
    const stopped = engine.workerPid!;
    const silent = read(engine, `wait for ${directory}/sign`);
    const speaking = await read(engine, "count 1000 10", async (event) => {
      if (event.type !== "text" || !event.text.startsWith("3")) return;
      Deno.kill(stopped, "SIGSTOP");
      await Deno.writeTextFile(`${directory}/sign`, "");
    });
    assert.equal(speaking.error?.code, "engine_gone");
    assert.equal((await silent).text, "it is there");
    assert.notEqual(engine.workerPid, stopped);
    assert.throws(() => Deno.kill(stopped, "SIGCONT"), Deno.errors.NotFound);
  }, { limits: { heartbeatMs: 1_500 } });
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a worker whose event loop hangs is killed and replaced", async () => {
  await withSupervisor(async ({ engine }) => {
    await engine.ready;
    const hung = engine.workerPid!;
    const answer = await read(engine, "hang after text");
    assert.equal(answer.text, "so far");
    assert.equal(answer.error?.code, "engine_gone");
    assert.equal((await read(engine, "count 1 1")).text, "1 ");
    assert.notEqual(engine.workerPid, hung);
  }, { limits: { heartbeatMs: 1_500 } });
});
