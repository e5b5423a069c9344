import assert from "node:assert/strict";
import { median, takeTurns } from "./rounds.ts";

Deno.test("takeTurns() lets the other one begin every second round, and one of them work at a time", async () => {
  const turns: string[] = [];
  const work = (name: string) => async (round: number) => {
    turns.push(`${name}${round} begins`);
    await Promise.resolve();
    turns.push(`${name}${round} ends`);
    return `${name}${round}`;
  };
  const rounds = await takeTurns(3, { own: work("a"), other: work("b") });
  assert.deepEqual(rounds, [{ own: "a1", other: "b1" }, { own: "a2", other: "b2" }, { own: "a3", other: "b3" }]);
  const order = ["a1", "b1", "b2", "a2", "a3", "b3"];
  assert.deepEqual(turns, order.flatMap((turn) => [`${turn} begins`, `${turn} ends`]));
});

Deno.test("takeTurns() measures one alone when nobody is beside", async () => {
  const rounds = await takeTurns(2, { own: (round) => Promise.resolve(round), other: null });
  assert.deepEqual(rounds, [{ own: 1, other: null }, { own: 2, other: null }]);
});

Deno.test("median() takes the middle, and of an even number the mean of the middle two", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([1, 9, 5, 6]), 5.5);
  assert.throws(() => median([]), RangeError);
});
