/** A started Rookery with two workers and another Rookery beside it, which it asks past a proxy that is set for the web. */
import assert from "node:assert/strict";
import { readJson } from "./fixtures/http.ts";
import { until } from "./fixtures/processes.ts";
import { startRookery } from "./fixtures/started_rookery.ts";
import { skipUnless, testModel } from "./prerequisites.ts";

const KEY = "correct-horse-battery";

async function chat(url: string, model: string): Promise<Response> {
  return await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], max_tokens: 4 }),
  });
}

skipUnless(testModel("smollm2-135m"), "Workers and other machines", (modelPath) => {
  Deno.test("Two workers and another Rookery answer behind one address, and one that dies takes no other along", async () => {
    const env = { ROOKERY_CONTEXT: "1024", ROOKERY_SEQUENCES: "1" };
    await using other = new AsyncDisposableStack();
    const desk = other.use(await startRookery(modelPath, { ...env, ROOKERY_API_KEY: KEY }));
    await using rookery = await startRookery(modelPath, {
      ...env,
      ROOKERY_WORKERS: "2",
      ROOKERY_REMOTES: `desk=${desk.url}/v1`,
      ROOKERY_REMOTE_KEYS: `desk=${KEY}`,
      HTTP_PROXY: "http://127.0.0.1:9",
    });
    const ids = ["smollm2-135m", "desk/smollm2-135m"];
    // The list does not wait long for a server that has not told its models yet.
    await until(async () => {
      const { data } = await readJson(await fetch(`${rookery.url}/v1/models`));
      return data.map(({ id }: { id: string }) => id).join() === ids.join();
    });
    for (const id of ids) {
      const response = await chat(rookery.url, id);
      assert.equal(response.status, 200, rookery.output);
      assert.equal((await readJson(response)).usage.completion_tokens, 4);
    }
    const pids = [...rookery.output.matchAll(/"event":"worker_started","pid":(\d+)/g)].map(([, pid]) => Number(pid));
    assert.equal(pids.length, 2);
    Deno.kill(pids[0]!, "SIGKILL");
    assert.equal((await chat(rookery.url, "smollm2-135m")).status, 200);
    await until(() => rookery.output.includes('"event":"worker_died"'));
    await other.disposeAsync();
    const response = await chat(rookery.url, "desk/smollm2-135m");
    assert.equal(response.status, 503);
    assert.match((await readJson(response)).error.message, /^The server "desk" at http:.* does not answer; start it/);
    assert.equal((await chat(rookery.url, "smollm2-135m")).status, 200);
  });
});
