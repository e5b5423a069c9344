import assert from "node:assert/strict";
import { toKeepAliveMs } from "./keep_alive.ts";

Deno.test("toKeepAliveMs() takes numbers for seconds and reads durations as Go does", () => {
  const durations: [given: number | string, ms: number][] = [
    [300, 300_000],
    [0.5, 500],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["+10s", 10_000],
    ["250ms", 250],
    ["2000us", 2],
    ["2000µs", 2],
    [" 3600s ", 3_600_000],
  ];
  for (const [given, ms] of durations) assert.equal(toKeepAliveMs(given), ms, String(given));
});

Deno.test("toKeepAliveMs() keeps for ever below zero and beyond any life, and not at all at zero", () => {
  for (const given of [-1, -0.5, "-1", "-300", "-1m", "-1h30m", 1e300, "1000000000000h"]) {
    assert.equal(toKeepAliveMs(given), -1, String(given));
  }
  for (const given of [0, -0, "0", "-0", "0s", "0m0s", "-0s"]) assert.ok(toKeepAliveMs(given) === 0, String(given));
});

Deno.test("toKeepAliveMs() leaves it to the settings where nothing is said", () => {
  for (const given of [null, undefined, ""]) assert.equal(toKeepAliveMs(given), null);
});

Deno.test("toKeepAliveMs() refuses what is no duration, and says what would be one", () => {
  for (const given of ["300", "5 m", "m", "5d", "1h30", "for ever", "--1m", "-", "1e3s", "NaN"]) {
    assert.throws(
      () => toKeepAliveMs(given),
      { code: "invalid_request", param: "keep_alive", message: /"1h30m"/ },
      given,
    );
  }
});
