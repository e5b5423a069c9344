import assert from "node:assert/strict";
import { countTests, sumCounts, summarise } from "./junit.ts";

const REPORT = `<testsuites>
  <testsuite name="./a_test.ts" tests="5">
    <testcase name="t &gt; &quot;u&quot;" time="0"></testcase>
    <testcase name="bad"><failure message="1 test step failed">x</failure></testcase>
    <testcase name="absent (skipped: no model)">
      <skipped/>
    </testcase>
    <testcase name="t &gt; &quot;u&quot; &gt; step"></testcase>
    <testcase name="bad &gt; step"><failure message="no">Error: &lt;no&gt;</failure></testcase>
  </testsuite>
  <testsuite name="./lib/b_test.ts" tests="1"><testcase name="good"/></testsuite>
  <testsuite name="./lib/empty_test.ts" tests="0"></testsuite>
</testsuites>`;

Deno.test("countTests() counts a test with its steps once, whatever their order", () => {
  assert.deepEqual(countTests(REPORT), {
    passed: 2,
    failed: 1,
    skipped: ["absent (skipped: no model)"],
  });
});

Deno.test("summarise() names skipped tests only when there are some", () => {
  const counts = countTests(REPORT);
  assert.equal(summarise(sumCounts([counts, counts])), "4 passed, 2 failed, 2 skipped");
  assert.equal(summarise(sumCounts([])), "0 passed, 0 failed");
});
