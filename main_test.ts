import assert from "node:assert/strict";
import { openPglite } from "./lib/database/pglite.ts";
import { silentLogger } from "./lib/log.ts";
import { askOperator } from "./lib/runtime/ask_operator.ts";
import { nameDataFolder } from "./lib/runtime/data_folder.ts";
import { readOperator } from "./lib/runtime/operator.ts";
import { makeCertificate } from "./tests/fixtures/certificate.ts";
import { placeDatabase, storeOneThread } from "./tests/fixtures/lasting_rookery.ts";
import { makeModel } from "./tests/fixtures/models.ts";
import { isRunning, until } from "./tests/fixtures/processes.ts";
import { Runtime } from "./tests/fixtures/runtime.ts";
import { skipUnless, testModel } from "./tests/prerequisites.ts";

async function withFolder(test: (data: string) => Promise<void>): Promise<void> {
  const data = await Deno.makeTempDir();
  try {
    await test(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

async function assertRefused(
  env: Record<string, string>,
  { code, says }: { code: number; says: RegExp },
): Promise<void> {
  await using runtime = new Runtime(env);
  assert.equal(await runtime.exitCode(), code, runtime.output);
  assert.match(runtime.output, says);
  assert.doesNotMatch(runtime.output, /\bat file:/);
}

Deno.test("Rookery names a wrong setting and exits with 2", async () => {
  await withFolder(async (ROOKERY_DATA) => {
    const says = /^PORT must be a whole number from 0 to 65535; it is "abc"$/;
    await assertRefused({ ROOKERY_DATA, PORT: "abc" }, { code: 2, says });
    await assertRefused({ ROOKERY_DATA, ROOKERY_PROT: "1" }, { code: 2, says: /^Unknown setting ROOKERY_PROT/ });
    const file = `${ROOKERY_DATA}/file`;
    await Deno.writeTextFile(file, "");
    await assertRefused({ ROOKERY_DATA: `${file}/data` }, { code: 2, says: /^Cannot use the data folder / });
    const log = { ROOKERY_DATA, ROOKERY_LOG_FILE: `${file}/log` };
    await assertRefused(log, { code: 2, says: /^Cannot write to ROOKERY_LOG_FILE .*: it may not be written to; / });
  });
});

Deno.test("Rookery refuses an address that others can reach without a key, with code 2 and before it listens", async () => {
  await withFolder(async (ROOKERY_DATA) => {
    await assertRefused({ ROOKERY_DATA, HOST: "0.0.0.0" }, { code: 2, says: /^HOST is "0\.0\.0\.0", which other/ });
    assert.deepEqual(await Array.fromAsync(Deno.readDir(ROOKERY_DATA)), []);
  });
});

Deno.test("Rookery says that the port is busy, and how to choose another, with code 3", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const PORT = String(listener.addr.port);
  await withFolder(async (ROOKERY_DATA) => {
    const says = new RegExp(`^Cannot listen on port ${PORT} of 127\\.0\\.0\\.1: .*PORT=`);
    await assertRefused({ ROOKERY_DATA, PORT }, { code: 3, says });
  });
});

Deno.test("Rookery says that another one uses the data folder, with code 4", async () => {
  await withFolder(async (ROOKERY_DATA) => {
    using lock = await Deno.open(`${ROOKERY_DATA}/rookery.lock`, { create: true, write: true });
    await lock.lock(true);
    await lock.write(new TextEncoder().encode('{"pid":12,"port":8000}'));
    const says = /^Cannot start: another Rookery \(process 12, port 8000\) uses the data folder/;
    await assertRefused({ ROOKERY_DATA }, { code: 4, says });
  });
});

Deno.test("Rookery says that the database cannot be reached, with code 8, and repeats no password", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await withFolder(async (ROOKERY_DATA) => {
    await Deno.mkdir(`${ROOKERY_DATA}/models`);
    await Deno.writeFile(`${ROOKERY_DATA}/models/tiny.gguf`, makeModel(1));
    const DATABASE_URL = `postgres://owner:hush-hush@127.0.0.1:${port}/postgres`;
    await using runtime = new Runtime({ ROOKERY_DATA, DATABASE_URL, ROOKERY_MODEL: "tiny" });
    assert.equal(await runtime.exitCode(), 8, runtime.output);
    assert.match(runtime.output, /^Cannot use the database of DATABASE_URL: /m);
    assert.doesNotMatch(runtime.output, /hush|\bat file:/);
  });
});

Deno.test("Rookery says how to get a model that is not there, with code 7", async () => {
  await withFolder(async (ROOKERY_DATA) => {
    const env = { ROOKERY_DATA, ROOKERY_MODEL: "llama-3.2-3b-instruct" };
    await assertRefused(env, { code: 7, says: /deno task models pull llama-3\.2-3b-instruct/ });
  });
});

Deno.test("Rookery says what is wrong with a damaged model, with code 7, and starts no worker", async () => {
  await withFolder(async (ROOKERY_DATA) => {
    await Deno.mkdir(`${ROOKERY_DATA}/models`);
    await Deno.writeTextFile(`${ROOKERY_DATA}/models/broken.gguf`, "GGUF but not really");
    await using runtime = new Runtime({ ROOKERY_DATA, ROOKERY_MODEL: "broken" });
    assert.equal(await runtime.exitCode(), 7);
    assert.match(runtime.output, /broken/);
    assert.doesNotMatch(runtime.output, /worker_started/);
  });
});

/** What the first start measured: the others need not measure it again. */
let calibration: string | null = null;

async function withModel(
  modelPath: string,
  test: (env: Record<string, string>, data: string) => Promise<void>,
  { isFirstStart = false }: { isFirstStart?: boolean } = {},
): Promise<void> {
  await withFolder(async (data) => {
    if (!isFirstStart) await placeDatabase(`${data}/database`);
    await Deno.mkdir(`${data}/models`);
    await Deno.symlink(modelPath, `${data}/models/smollm2-135m.gguf`);
    if (calibration !== null) {
      await Deno.mkdir(`${data}/cache`);
      await Deno.writeTextFile(`${data}/cache/calibration.json`, calibration);
    }
    await test({ ROOKERY_DATA: data, ROOKERY_CONTEXT: "2048", ROOKERY_SEQUENCES: "2" }, data);
  });
}

function ask(url: string, completionTokens: number, model = "smollm2-135m"): Promise<Response> {
  // Without chance in it this one repeats itself for ever: no answer ends before its test ends it.
  const messages = [{ role: "user", content: "Write a poem about ravens" }];
  const body = { model, messages, stream: true, max_tokens: completionTokens, temperature: 0 };
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify(body) });
}

skipUnless(testModel("smollm2-135m"), "Rookery serves, drains and leaves nothing behind", (modelPath) => {
  testEnds(modelPath);
  testSuddenEnds(modelPath);
  testTroubles(modelPath);
  testTls(modelPath);
});

function testEnds(modelPath: string): void {
  Deno.test("Rookery says where it is, answers, tells functions where its worker is, and ends on TERM", async () => {
    await withModel(modelPath, async (env, data) => {
      await using runtime = new Runtime(env);
      const url = await runtime.ready();
      assert.equal(JSON.parse(await Deno.readTextFile(`${data}/rookery.lock`)).port, Number(new URL(url).port));
      const address = JSON.parse(await Deno.readTextFile(`${data}/run/worker.json`));
      assert.match(address.url, /^http:\/\/127\.0\.0\.1:\d+$/);
      if (Deno.build.os !== "windows") {
        assert.equal((await Deno.stat(`${data}/run/worker.json`)).mode! & 0o777, 0o600);
      }
      const response = await ask(url, 8);
      assert.equal(response.status, 200);
      assert.match(await response.text(), /data: \[DONE\]\n\n$/);
      const worker = await runtime.workerPid();
      runtime.signal("SIGTERM");
      assert.equal(await runtime.exitCode(), 0, runtime.output);
      assert.equal(await isRunning(worker), false);
      await assert.rejects(Deno.stat(`${data}/run/worker.json`), Deno.errors.NotFound);
      const path = `${data}/cache/calibration.json`;
      // What was measured on a machine that had other work to do is not remembered.
      if (/"event":"threads_measured".*"undisturbed":false/.test(runtime.output)) {
        await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
      } else {
        calibration = await Deno.readTextFile(path);
        assert.match(calibration, /"decodeOne"/);
      }
    }, { isFirstStart: true });
  });

  Deno.test("a Ctrl-C that arrives twice at once lets the answer under way end", async () => {
    await withModel(modelPath, async (env) => {
      await using runtime = new Runtime(env);
      const response = await ask(await runtime.ready(), 64);
      const worker = await runtime.workerPid();
      runtime.signal("SIGINT");
      runtime.signal("SIGINT");
      assert.match(await response.text(), /"finish_reason":"(length|stop)"[^]*data: \[DONE\]\n\n$/);
      assert.equal(await runtime.exitCode(), 0, runtime.output);
      assert.equal(await isRunning(worker), false);
    });
  });

  Deno.test("a second Ctrl-C ends at once, with the answer under way", async () => {
    await withModel(modelPath, async (env) => {
      await using runtime = new Runtime({ ...env, ROOKERY_CONTEXT: "8192" });
      const response = await ask(await runtime.ready(), 8_000);
      const worker = await runtime.workerPid();
      runtime.signal("SIGINT");
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      runtime.signal("SIGINT");
      assert.equal(await runtime.exitCode(), 130, runtime.output);
      assert.doesNotMatch(await response.text().catch(() => ""), /\[DONE\]/);
      await until(async () => !await isRunning(worker));
      assert.equal(await isRunning(worker), false);
    });
  });
}

function testSuddenEnds(modelPath: string): void {
  Deno.test("kill -9 of the runtime leaves no worker, while the model loads and while it generates", async () => {
    await withModel(modelPath, async (env) => {
      await using loading = new Runtime(env);
      const loadingWorker = await loading.workerPid();
      loading.signal("SIGKILL");
      await until(async () => !await isRunning(loadingWorker));
      assert.equal(await isRunning(loadingWorker), false);

      await using generating = new Runtime(env);
      const response = await ask(await generating.ready(), 2_000);
      const worker = await generating.workerPid();
      // A stopped worker stands for one that hangs: it cannot notice by itself that the runtime is gone.
      if (Deno.build.os === "linux") Deno.kill(await generating.workerPid(), "SIGSTOP");
      generating.signal("SIGKILL");
      await until(async () => !await isRunning(worker));
      assert.equal(await isRunning(worker), false);
      await assert.rejects(response.text());
    });
  });

  Deno.test("kill -9 of the worker ends an answer with one coded error, and the next is answered", async () => {
    await withModel(modelPath, async (env) => {
      await using runtime = new Runtime(env);
      const url = await runtime.ready();
      const response = await ask(url, 2_000);
      const chunks = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!/"content":"[^"]/.test(text)) text += (await chunks.read()).value ?? assert.fail("no text came");
      Deno.kill(await runtime.workerPid(), "SIGKILL");
      for (let part = await chunks.read(); !part.done; part = await chunks.read()) text += part.value;
      assert.equal(text.match(/"code":"engine_gone"/g)?.length, 1);
      const next = await ask(url, 4);
      assert.equal(next.status, 200);
      assert.match(await next.text(), /data: \[DONE\]\n\n$/);
      runtime.signal("SIGTERM");
      assert.equal(await runtime.exitCode(), 0, runtime.output);
    });
  });
}

function testTroubles(modelPath: string): void {
  Deno.test("what the worker finds wrong ends Rookery with one sentence and the code for it", async () => {
    await withModel(modelPath, async (env) => {
      const says = /^ROOKERY_CONTEXT is 1048576, but "smollm2-135m" was trained for 8192 tokens at most$/m;
      await assertRefused({ ...env, ROOKERY_CONTEXT: "1048576" }, { code: 2, says });
    });
  });

  Deno.test("Rookery says that a newer one wrote its data, with code 8", async () => {
    await withModel(modelPath, async (env, data) => {
      {
        await using database = await openPglite({ folder: `${data}/database`, upkeepMs: null, log: silentLogger });
        const later =
          "insert into supabase_migrations.rookery_checksums (version, sha256) values ('29990101000000', 'x')";
        await database.asOwner((session) => session.query(later));
      }
      const says = /^Cannot use this data: it was written by a newer Rookery \(migration 29990101000000\); /m;
      await assertRefused(env, { code: 8, says });
    });
  });

  Deno.test("a terminal that is closed does not keep Rookery from ending well", async () => {
    await withModel(modelPath, async (env) => {
      await using runtime = new Runtime(env);
      await runtime.ready();
      const worker = await runtime.workerPid();
      await runtime.stopReading();
      runtime.signal("SIGTERM");
      assert.equal(await runtime.exitCode(), 0);
      assert.equal(await isRunning(worker), false);
    });
  });
}

/** Makes the first account and logs in; returns the cookies that come with it. */
async function logIn(url: string, { client, token }: { client: Deno.HttpClient; token: string }): Promise<string[]> {
  const headers = { "content-type": "application/json" };
  const account = { email: "ada@example.org", password: "lavender over the chimney" };
  const ask = (name: string, body: object) =>
    fetch(`${url}/api/auth/${name}`, { method: "POST", client, headers, body: JSON.stringify(body) });
  const signedUp = await ask("signup", { ...account, token });
  assert.equal(signedUp.status, 202, await signedUp.text());
  const loggedIn = await ask("login", account);
  assert.equal(loggedIn.status, 200, await loggedIn.text());
  return loggedIn.headers.getSetCookie();
}

function testTls(modelPath: string): void {
  Deno.test("Rookery with a certificate speaks TLS alone, its cookies are Secure, and its operator is let in", async () => {
    await withModel(modelPath, async (env, data) => {
      const { cert, key } = makeCertificate();
      const [TLS_CERT, TLS_KEY] = [`${data}/cert.pem`, `${data}/key.pem`];
      await Deno.writeTextFile(TLS_CERT, cert);
      await Deno.writeTextFile(TLS_KEY, key);
      const PUBLIC_URL = "https://rookery.example.org";
      await using runtime = new Runtime({ ...env, TLS_CERT, TLS_KEY, PUBLIC_URL });
      assert.equal(await runtime.ready(), PUBLIC_URL);
      const note = await readOperator(nameDataFolder(data));
      const url = note!.url.replace(/\/$/, "");
      assert.match(url, /^https:\/\/127\.0\.0\.1:\d+$/);
      using client = Deno.createHttpClient({ caCerts: [cert] });
      const FIRST = /"token": "([^"]+)"/;
      await until(() => FIRST.test(runtime.output));
      const cookies = await logIn(url, { client, token: FIRST.exec(runtime.output)![1]! });
      assert.ok(cookies.length > 0);
      for (const cookie of cookies) assert.match(cookie, /^__Host-rookery_\w+=.*; HttpOnly; Secure; /);
      await assert.rejects(fetch(url.replace("https:", "http:")), TypeError);
      const question = { method: "POST", path: "/api/admin/database/backups", timeoutMs: 60_000 };
      const backup = await askOperator(note!, question);
      assert.equal(backup.status, 201, backup.text);
      runtime.signal("SIGTERM");
      assert.equal(await runtime.exitCode(), 0, runtime.output);
    });
  });
}

/** Puts a file into the folder of models as a download does: whole, or not at all. */
async function placeModel(path: string, place: string): Promise<void> {
  await Deno.copyFile(path, `${place}.part`);
  await Deno.rename(`${place}.part`, place);
}

async function readModels(url: string): Promise<Record<string, boolean>> {
  const { data } = await (await fetch(`${url}/v1/models`)).json();
  return Object.fromEntries(data.map(({ id, loaded }: { id: string; loaded: boolean }) => [id, loaded]));
}

async function assertAnswered(response: Response): Promise<void> {
  assert.equal(response.status, 200);
  assert.match(await response.text(), /"content":"[^"]+"[^]*data: \[DONE\]\n\n$/);
}

skipUnless(testModel("smollm2-135m"), "Rookery serves several models", (smollm) => {
  skipUnless(testModel("gemma-3-270m"), "Rookery serves several models", (gemma) => {
    Deno.test("models that are put there while Rookery runs answer in turn, within the memory that they may take", async () => {
      await withModel(smollm, async (env, data) => {
        for (const [id, path] of [["smollm2-135m", smollm], ["gemma-3-270m", gemma]] as const) {
          await storeOneThread(data, { id, path });
        }
        await using runtime = new Runtime({ ...env, ROOKERY_MEMORY: "0.5" });
        const url = await runtime.ready();
        assert.deepEqual(await readModels(url), { "smollm2-135m": true });
        assert.equal((await ask(url, 4, "gemma-3-270m")).status, 404);
        await placeModel(gemma, `${data}/models/gemma-3-270m.gguf`);

        const answer = await ask(url, 2_000);
        const refused = await ask(url, 4, "gemma-3-270m");
        assert.equal(refused.status, 507);
        const { code, message } = (await refused.json()).error;
        assert.equal(code, "not_enough_memory");
        assert.match(message, /needs 0\.\d GB of the 0\.5 GB .* in use "smollm2-135m" holds 0\.\d GB/);
        await answer.body!.cancel();
        await until(async () => (await (await fetch(`${url}/status`)).json()).engine.active === 0);

        await assertAnswered(await ask(url, 8, "gemma-3-270m"));
        assert.deepEqual(await readModels(url), { "smollm2-135m": false, "gemma-3-270m": true });
        await assertAnswered(await ask(url, 8));
        const { engine } = await (await fetch(`${url}/status`)).json();
        assert.equal(engine.memoryBytesMax, 500_000_000);
        assert.deepEqual(engine.models.map(({ id }: { id: string }) => id), ["smollm2-135m"]);

        await Deno.remove(`${data}/models/gemma-3-270m.gguf`);
        await until(async () => !("gemma-3-270m" in await readModels(url)));
        assert.equal((await ask(url, 4, "gemma-3-270m")).status, 404);
      });
    });
  });
});
