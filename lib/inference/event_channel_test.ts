import assert from "node:assert/strict";
import { EventChannel } from "./event_channel.ts";

Deno.test("EventChannel delivers in order what was pushed before and while somebody listens", async () => {
  const channel = new EventChannel<number>();
  channel.push(1);
  const received = Array.fromAsync(channel);
  await Promise.resolve();
  channel.push(2);
  channel.push(3);
  channel.end();
  channel.push(4);
  assert.deepEqual(await received, [1, 2, 3]);
});

Deno.test("EventChannel delivers what came before a failure, then throws it", async () => {
  const channel = new EventChannel<string>();
  channel.push("a");
  channel.fail(new RangeError("broken"));
  channel.fail(new Error("too late"));
  const seen: string[] = [];
  await assert.rejects(async () => {
    for await (const value of channel) seen.push(value);
  }, RangeError);
  assert.deepEqual(seen, ["a"]);
});
