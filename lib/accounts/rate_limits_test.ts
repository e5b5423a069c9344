import assert from "node:assert/strict";
import { join } from "node:path";
import { KvLimitStore } from "./kv_limit_store.ts";
import { type LimitStore, MemoryLimitStore, nameNetwork, type Rate, RateLimits } from "./rate_limits.ts";

const RATE: Rate = { name: "test", burst: 3, refillMs: 10_000, what: "attempts" };

async function countAllowed(limits: RateLimits, attempts: number, subject = "192.0.2.1"): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: attempts }, () => limits.take(RATE, subject)));
  return results.filter(({ status }) => status === "fulfilled").length;
}

/** What every store has to do. */
function describeStore(name: string, open: () => Promise<{ store: LimitStore; close(): Promise<void> }>): void {
  Deno.test(`${name}: a burst passes, then one each time that one is due, and the wait is told`, async () => {
    const { store, close } = await open();
    let nowMs = 1_000_000;
    const limits = new RateLimits(store, () => nowMs);
    assert.equal(await countAllowed(limits, 5), 3);
    await assert.rejects(limits.take(RATE, "192.0.2.1"), {
      code: "rate_limited",
      message: "Too many attempts; try again in 10 seconds",
      details: { retryAfterSeconds: 10 },
    });
    nowMs += 9_999;
    await assert.rejects(limits.take(RATE, "192.0.2.1"), { details: { retryAfterSeconds: 1 } });
    nowMs += 1;
    assert.equal(await countAllowed(limits, 3), 1);
    nowMs += 3_600_000;
    assert.equal(await countAllowed(limits, 5), 3, "no more than the burst is saved up");
    await close();
  });

  Deno.test(`${name}: subjects and rates do not share, and what is given back may be taken again`, async () => {
    const { store, close } = await open();
    const limits = new RateLimits(store, () => 1_000_000);
    assert.equal(await countAllowed(limits, 3), 3);
    assert.equal(await countAllowed(limits, 4, "192.0.2.2"), 3);
    await limits.take({ ...RATE, name: "other" }, "192.0.2.1");
    await limits.giveBack(RATE, "192.0.2.1");
    assert.equal(await countAllowed(limits, 2), 1);
    await close();
  });
}

describeStore("Memory", () => Promise.resolve({ store: new MemoryLimitStore(), close: () => Promise.resolve() }));

describeStore("Deno KV", async () => {
  const folder = await Deno.makeTempDir();
  const store = await KvLimitStore.open(join(folder, "limits.db"));
  return {
    store,
    async close() {
      store[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
});

Deno.test("nameNetwork() takes the half of an IPv6 address that one person may have all of", () => {
  assert.equal(nameNetwork("192.0.2.1"), "192.0.2.1");
  assert.equal(nameNetwork("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(nameNetwork("2001:db8:1:2::9"), "2001:db8:1:2::/64");
  assert.equal(nameNetwork("2001:0DB8:0001:0002::9"), "2001:db8:1:2::/64");
  assert.equal(nameNetwork("::1"), "0:0:0:0::/64");
  assert.equal(nameNetwork(null), "unknown");
});
