import assert from "node:assert/strict";
import { requestOf } from "../../tests/fixtures/chat_request.ts";
import { isRunning, soon, until } from "../../tests/fixtures/processes.ts";
import { PUPPET_COMMAND, puppetSettings } from "../../tests/fixtures/puppet_command.ts";
import type { WorkerNotice } from "../contracts/worker.ts";
import { readLines } from "./lines.ts";

const token = "t".repeat(64);

interface Worker extends AsyncDisposable {
  child: Deno.ChildProcess;
  input: WritableStreamDefaultWriter<Uint8Array>;
  notices: AsyncGenerator<WorkerNotice, void, void>;
}

/** Starts a worker process and writes its first line of input. */
async function startWorker(line: string): Promise<Worker> {
  const { path, args } = PUPPET_COMMAND;
  const child = new Deno.Command(path, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(line + "\n"));
  const notices = (async function* () {
    for await (const line of readLines(child.stdout)) yield JSON.parse(line) as WorkerNotice;
  })();
  return {
    child,
    input,
    notices,
    async [Symbol.asyncDispose]() {
      await input.close().catch(() => {});
      try {
        child.kill("SIGKILL");
      } catch {
        // It ended by itself.
      }
      await child.status;
      await notices.return();
    },
  };
}

/** The next notice of a type. */
async function next<Type extends WorkerNotice["type"]>(
  { notices }: Worker,
  type: Type,
): Promise<WorkerNotice & { type: Type }> {
  while (true) {
    const { done, value } = await soon(notices.next());
    if (done) assert.fail(`The worker ended without ${type}`);
    if (value.type === type) return value as WorkerNotice & { type: Type };
  }
}

Deno.test("a worker listens, gets ready, and shows that its event loop turns", async () => {
  await using worker = await startWorker(JSON.stringify({ ...puppetSettings("puppet"), token }));
  const { port } = await next(worker, "listening");
  assert.equal((await next(worker, "ready")).model.id, "puppet");
  await next(worker, "heartbeat");
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/status`, { headers });
  assert.equal(response.status, 200);
  assert.equal((await response.json()).state, "ready");
  await worker.input.close();
  assert.equal((await soon(worker.child.status)).code, 0);
});

Deno.test("a worker ends when its input ends, in the middle of an answer, and before it has settings", async () => {
  await using worker = await startWorker(JSON.stringify({ ...puppetSettings("puppet"), token }));
  const { port } = await next(worker, "listening");
  const response = await fetch(`http://127.0.0.1:${port}/chat`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(requestOf("count 100000 10", { model: "puppet" })),
  });
  await worker.input.close();
  assert.equal((await soon(worker.child.status)).code, 0);
  await assert.rejects(response.text());

  const { path, args } = PUPPET_COMMAND;
  const { code } = await new Deno.Command(path, { args, stdin: "null", stdout: "null", stderr: "null" }).output();
  assert.equal(code, 1);
});

Deno.test("a worker says fatal to settings that it cannot understand", async () => {
  for (const line of ["", "{", "{}", JSON.stringify({ ...puppetSettings("puppet"), token: "short" })]) {
    await using worker = await startWorker(line);
    assert.equal((await next(worker, "fatal")).error.code, "invalid_config");
    assert.equal((await soon(worker.child.status)).code, 1);
  }
});

Deno.test({
  name: "a terminal's Ctrl-C, which reaches the whole group, leaves the worker to its runtime",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using worker = await startWorker(JSON.stringify({ ...puppetSettings("puppet"), token }));
    await next(worker, "ready");
    worker.child.kill("SIGINT");
    await next(worker, "heartbeat");
    await next(worker, "heartbeat");
    await worker.input.close();
    assert.equal((await soon(worker.child.status)).signal, null);
  },
});

Deno.test("a runtime that is killed leaves no worker behind, in the middle of an answer", async () => {
  const script = new URL("../../tests/fixtures/supervisor_process.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--no-prompt", script];
  const runtime = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
  const lines = readLines(runtime.stdout);
  const workerPid = Number((await lines.next()).value);
  assert.ok(await isRunning(workerPid));
  runtime.kill("SIGKILL");
  await runtime.status;
  await until(async () => !await isRunning(workerPid));
  assert.equal(await isRunning(workerPid), false);
  await lines.return();
});
