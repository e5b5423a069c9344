import assert from "node:assert/strict";
import { type InternetSocket, isLoopbackTcp, listInternetSockets } from "./fixtures/sockets.ts";
import { startRookery } from "./fixtures/started_rookery.ts";
import { skipUnless, testModel } from "./prerequisites.ts";

if (Deno.build.os === "linux") {
  skipUnless(testModel("smollm2-135m"), "The worker speaks to loopback alone", (modelPath) => {
    Deno.test("The worker, native code included, opens no socket but to loopback while it answers", async () => {
      await using rookery = await startRookery(modelPath);
      const pid = Number(/"event":"worker_started","pid":(\d+)/.exec(rookery.output)?.[1]);
      const seen: InternetSocket[] = [];
      let answering = true;
      const watching = (async () => {
        while (answering) {
          seen.push(...await listInternetSockets(pid));
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      })();
      const response = await fetch(`${rookery.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: rookery.model, messages: [{ role: "user", content: "Hello" }], max_tokens: 64 }),
      });
      assert.equal(response.status, 200, await response.text());
      answering = false;
      await watching;
      assert.ok(seen.some(({ remote }) => !/^0+:0000$/.test(remote)), "the connection of the request is among them");
      assert.deepEqual(seen.filter((socket) => !isLoopbackTcp(socket)), []);
    });
  });

  Deno.test("listInternetSockets() sees a socket that listens to everybody", async () => {
    const listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    try {
      const port = (listener.addr as Deno.NetAddr).port.toString(16).toUpperCase().padStart(4, "0");
      const open = (await listInternetSockets(Deno.pid)).find(({ local }) => local.endsWith(`:${port}`));
      assert.ok(open);
      assert.equal(isLoopbackTcp(open), false);
    } finally {
      listener.close();
    }
  });
}
