import assert from "node:assert/strict";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { isRunning, until } from "../../tests/fixtures/processes.ts";
import { PUPPET_COMMAND, puppetModel, puppetSettings } from "../../tests/fixtures/puppet_command.ts";
import type { ChatEvent } from "../contracts/chat.ts";
import type { WorkerAddress, WorkerModel } from "../contracts/worker.ts";
import { DomainError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import type { SupervisedInference } from "./supervised_inference.ts";
import { startSupervisor, type SupervisorOptions } from "./supervisor.ts";

/** What a puppet says that it measured. */
const THREADS = { decodeOne: 1, decodeMany: 2, prefill: 3 };

/** How long an answer may take before its test fails instead of hanging, in milliseconds. */
const PATIENCE_MS = 30_000;

interface Started {
  inference: SupervisedInference;
  workers: WorkerAddress[];
  calibrations: WorkerModel[];
  /** Warnings of the log, one a death. */
  deaths: Record<string, unknown>[];
}

async function withSupervisor(
  test: (started: Started) => Promise<void>,
  options: { model?: string; queuedMax?: number; limits?: NonNullable<SupervisorOptions["limits"]> } = {},
): Promise<void> {
  const workers: WorkerAddress[] = [];
  const calibrations: WorkerModel[] = [];
  const deaths: Record<string, unknown>[] = [];
  const inference = startSupervisor({
    command: PUPPET_COMMAND,
    settings: { ...puppetSettings(options.model ?? "puppet"), queuedMax: options.queuedMax ?? 8 },
    log: { ...silentLogger, warn: (event, fields) => deaths.push({ event, ...fields }) },
    limits: { restartMs: 20, drainMs: 200, ...options.limits },
    onWorker: (address) => workers.push(address),
    onCalibrated: (model) => calibrations.push(model),
  });
  try {
    await test({ inference, workers, calibrations, deaths });
  } finally {
    await inference.close();
  }
}

/** Reads an answer to its end; `onEvent` sees each event as it comes. */
async function read(
  inference: SupervisedInference,
  content: string,
  onEvent: (event: ChatEvent) => void | Promise<void> = () => {},
): Promise<{ types: string[]; text: string; error: DomainError | null }> {
  const types: string[] = [];
  let text = "";
  try {
    for await (
      const event of inference.chat(requestOf(content, { model: "puppet" }), AbortSignal.timeout(PATIENCE_MS))
    ) {
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

Deno.test("a supervised worker answers like its models", async () => {
  await withSupervisor(async ({ inference, calibrations }) => {
    assert.equal((await inference.ready).contextTokensMax, 2048);
    assert.equal((await inference.describe("puppet")).name, "Puppet");
    assert.deepEqual((await inference.list()).map(({ id }) => id), ["puppet"]);
    assert.deepEqual(await inference.tokenize({ model: "puppet", text: "ab" }), [97, 98]);
    const { state, memoryBytesMax, models } = await inference.status();
    assert.deepEqual([state, memoryBytesMax, models.map(({ id }) => id)], ["ready", 100, ["puppet"]]);
    assert.deepEqual(calibrations, [{ ...puppetModel("puppet"), threads: THREADS }]);
    const answer = await read(inference, "count 3 1");
    assert.deepEqual(answer, {
      types: ["admitted", "started", "text", "text", "text", "done"],
      text: "1 2 3 ",
      error: null,
    });
    assert.equal((await read(inference, "refuse")).error?.code, "context_length_exceeded");
  });
});

Deno.test("kill -9 after text ends the answer with one engine_gone, and the next one is answered", async () => {
  await withSupervisor(async ({ inference, workers }) => {
    await inference.ready;
    const killed = inference.workerPid!;
    const answer = await read(inference, "count 1000 10", (event) => {
      if (event.type === "text" && event.text.startsWith("3")) Deno.kill(killed, "SIGKILL");
    });
    assert.equal(answer.error?.code, "engine_gone");
    assert.ok(answer.text.startsWith("1 2 3 "), answer.text);
    assert.equal((await read(inference, "count 2 1")).text, "1 2 ");
    assert.notEqual(inference.workerPid, killed);
    assert.equal(workers.length, 2);
    assert.notEqual(workers[0]!.token, workers[1]!.token);
  });
});

Deno.test("kill -9 before any text is not seen: the request is asked again once", async () => {
  const directory = await Deno.makeTempDir();
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const answer = await read(inference, `wait for ${directory}/sign`, async (event) => {
      if (event.type !== "started") return;
      Deno.kill(inference.workerPid!, "SIGKILL");
      await Deno.writeTextFile(`${directory}/sign`, "");
    });
    assert.deepEqual(answer, { types: ["admitted", "started", "text", "done"], text: "it is there", error: null });
  });
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a request whose second worker dies too ends with engine_gone", async () => {
  await withSupervisor(async ({ inference, workers }) => {
    await inference.ready;
    const reading = read(inference, "wait for /nowhere/at/all");
    for (const deaths of [1, 2]) {
      while (workers.length < deaths || (await inference.status()).active === 0) {
        await new Promise((r) => setTimeout(r, 10));
      }
      Deno.kill(inference.workerPid!, "SIGKILL");
    }
    const answer = await reading;
    assert.equal(answer.error?.code, "engine_gone");
    assert.deepEqual(answer.types, ["admitted", "started"]);
  });
});

Deno.test("kill -9 after thoughts ends the answer: a reader who was shown some cannot be shown others", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const answer = await read(inference, "think", (event) => {
      if (event.type === "reasoning") Deno.kill(inference.workerPid!, "SIGKILL");
    });
    assert.deepEqual(answer.types, ["admitted", "started", "reasoning"]);
    assert.equal(answer.error?.code, "engine_gone");
  });
});

Deno.test("models that are installed later are asked for at once, and of a worker that was started again", async () => {
  await withSupervisor(async ({ inference, workers }) => {
    await inference.ready;
    await assert.rejects(inference.describe("late"), { code: "model_not_found", message: /there is "puppet"$/ });
    await inference.setModels([puppetModel("puppet"), puppetModel("late")]);
    assert.deepEqual((await inference.list()).map(({ id }) => id), ["puppet", "late"]);
    Deno.kill(inference.workerPid!, "SIGKILL");
    await until(() => workers.length === 2);
    assert.equal((await inference.describe("late")).id, "late");
    const asked = requestOf("threads", { model: "puppet" });
    const events = await Array.fromAsync(inference.chat(asked, AbortSignal.timeout(PATIENCE_MS)));
    const text = events.map((event) => event.type === "text" ? event.text : "").join("");
    assert.deepEqual(JSON.parse(text), THREADS, "what the first worker measured is not measured again");
  });
});

Deno.test("without its default model, which somebody removed, a worker that is started again serves the others", async () => {
  await withSupervisor(async ({ inference, workers }) => {
    await inference.ready;
    await inference.setModels([puppetModel("other")]);
    Deno.kill(inference.workerPid!, "SIGKILL");
    await until(() => workers.length === 2);
    assert.deepEqual((await inference.list()).map(({ id }) => id), ["other"]);
    const events = inference.chat(requestOf("count 1 1", { model: "other" }), AbortSignal.timeout(PATIENCE_MS));
    assert.equal((await Array.fromAsync(events)).at(-1)?.type, "done");
  });
});

Deno.test("a stopped worker is killed and replaced; its answer with text ends, its silent one is asked again", async () => {
  const directory = await Deno.makeTempDir();
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const stopped = inference.workerPid!;
    const silent = read(inference, `wait for ${directory}/sign`);
    const speaking = await read(inference, "count 1000 10", async (event) => {
      if (event.type !== "text" || !event.text.startsWith("3")) return;
      Deno.kill(stopped, "SIGSTOP");
      await Deno.writeTextFile(`${directory}/sign`, "");
    });
    assert.equal(speaking.error?.code, "engine_gone");
    assert.equal((await silent).text, "it is there");
    assert.notEqual(inference.workerPid, stopped);
    assert.equal(await isRunning(stopped), false);
  }, { limits: { heartbeatMs: 1_500 } });
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a worker whose event loop hangs is killed and replaced", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const hung = inference.workerPid!;
    const answer = await read(inference, "hang after text");
    assert.equal(answer.text, "so far");
    assert.equal(answer.error?.code, "engine_gone");
    assert.equal((await read(inference, "count 1 1")).text, "1 ");
    assert.notEqual(inference.workerPid, hung);
  }, { limits: { heartbeatMs: 1_500 } });
});

Deno.test("a worker whose native code hangs is killed and replaced, though its event loop turns", async () => {
  await withSupervisor(async ({ inference, deaths }) => {
    await inference.ready;
    const answer = await read(inference, "stall");
    assert.equal(answer.error?.code, "engine_gone");
    assert.equal((await read(inference, "count 1 1")).text, "1 ");
    assert.deepEqual(deaths.map(({ how }) => how), Array(2).fill("no heartbeat for 1500 ms, killed"));
  }, { limits: { heartbeatMs: 1_500 } });
});

Deno.test("a worker that dies again and again is started with a pause that doubles, up to a limit", async () => {
  await withSupervisor(async ({ inference, workers, deaths }) => {
    await inference.ready;
    for (let death = 1; death <= 4; death++) {
      await until(() => workers.length === death && inference.workerPid !== null);
      Deno.kill(inference.workerPid!, "SIGKILL");
      await until(() => deaths.length === death);
    }
    assert.deepEqual(deaths.map(({ restartInMs }) => restartInMs), [20, 40, 80, 100]);
    assert.ok(deaths.every(({ event, how }) => event === "worker_died" && how === "signal SIGKILL"));
  }, { limits: { restartMs: 20, restartMaxMs: 100 } });
});

Deno.test("a worker that was healthy for long resets the pause", async () => {
  await withSupervisor(async ({ inference, workers, deaths }) => {
    for (let death = 1; death <= 3; death++) {
      await until(() => workers.length === death && inference.workerPid !== null);
      Deno.kill(inference.workerPid!, "SIGKILL");
      await until(() => deaths.length === death);
    }
    assert.deepEqual(deaths.map(({ restartInMs }) => restartInMs), [20, 20, 20]);
  }, { limits: { restartMs: 20, healthyMs: 0 } });
});

Deno.test("a worker that says fatal is not started again, and every request throws what it said", async () => {
  await withSupervisor(async ({ inference, workers, deaths }) => {
    const said = { code: "invalid_model_file", message: 'Cannot load model "fatal": it is a puppet' };
    await assert.rejects(inference.ready, said);
    await assert.rejects(inference.describe("fatal"), said);
    assert.equal((await read(inference, "count 1 1")).error?.message, said.message);
    assert.equal(inference.workerPid, null);
    assert.equal(workers.length, 1);
    assert.equal(deaths.length, 0);
  }, { model: "fatal" });
});

Deno.test("a worker that never gets ready is given up after five starts", async () => {
  await withSupervisor(async ({ inference, deaths }) => {
    await assert.rejects(inference.ready, (error) => {
      assert.ok(error instanceof DomainError);
      assert.equal(error.code, "engine_unavailable");
      assert.match(error.message, /died 5 times while loading \(code 3\)/);
      return true;
    });
    assert.equal(deaths.length, 4);
  }, { model: "crash", limits: { restartMs: 1 } });
});

Deno.test("requests that come while a worker starts wait for it, so many and so long as is allowed", async () => {
  await withSupervisor(async ({ inference, deaths }) => {
    await inference.ready;
    Deno.kill(inference.workerPid!, "SIGKILL");
    await until(() => deaths.length === 1);
    assert.equal((await inference.status()).state, "gone");
    const waiting = read(inference, "count 1 1");
    await until(async () => (await inference.status()).queued === 1);
    assert.equal((await read(inference, "count 1 1")).error?.code, "queue_full");
    assert.equal((await waiting).error?.code, "engine_unavailable");
  }, { queuedMax: 1, limits: { restartMs: 60_000, startMs: 150 } });
});

Deno.test("a request that waits for a worker ends when its reader leaves", async () => {
  await withSupervisor(async ({ inference, deaths }) => {
    await inference.ready;
    Deno.kill(inference.workerPid!, "SIGKILL");
    await until(() => deaths.length === 1);
    const leaving = new AbortController();
    const reading = Array.fromAsync(inference.chat(requestOf("count 1 1", { model: "puppet" }), leaving.signal));
    await until(async () => (await inference.status()).queued === 1);
    leaving.abort();
    await assert.rejects(reading, { code: "request_cancelled" });
    assert.equal((await inference.status()).queued, 0);
  }, { limits: { restartMs: 60_000 } });
});

Deno.test("close() lets an answer end that needs less than the drain, and ends the worker", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const pid = inference.workerPid!;
    let closing: Promise<void> | null = null;
    const answer = await read(inference, "count 5 10", () => {
      closing ??= inference.close();
    });
    assert.equal(answer.text, "1 2 3 4 5 ");
    await closing;
    assert.equal(await isRunning(pid), false);
    assert.equal((await read(inference, "count 1 1")).error?.code, "engine_unavailable");
  }, { limits: { drainMs: 30_000 } });
});

Deno.test("close() cuts an answer that needs more than the drain with a coded error", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    let closing: Promise<void> | null = null;
    const answer = await read(inference, "count 100000 10", () => {
      closing ??= inference.close();
    });
    assert.equal(answer.error?.code, "engine_unavailable");
    await closing;
  }, { limits: { drainMs: 50 } });
});

Deno.test("close() ends a worker that is stopped and hears nothing", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const pid = inference.workerPid!;
    Deno.kill(pid, "SIGSTOP");
    await inference.close();
    assert.equal(await isRunning(pid), false);
  }, { limits: { endMs: 50 } });
});

Deno.test("kill() ends the worker without waiting for answers", async () => {
  await withSupervisor(async ({ inference }) => {
    await inference.ready;
    const pid = inference.workerPid!;
    const answer = await read(inference, "count 100000 10", (event) => {
      if (event.type === "text") inference.kill();
    });
    assert.equal(answer.error?.code, "engine_gone");
    await inference.close();
    assert.equal(await isRunning(pid), false);
  });
});
