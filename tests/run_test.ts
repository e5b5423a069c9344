import assert from "node:assert/strict";

const RUNNER = new URL("./run.ts", import.meta.url).pathname;

interface Outcome {
  code: number;
  lines: string[];
}

/** Runs the test runner in a project of its own that holds `files`. */
async function runProject(files: Record<string, string>, args: string[] = [], CI = ""): Promise<Outcome> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries({ "deno.json": "{}", ...files })) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    await new Deno.Command("git", { args: ["init", "--quiet"], cwd: root }).output();
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-lock", RUNNER, ...args],
      cwd: root,
      env: { CI, NO_COLOR: "1", ROOKERY_TEST_MODELS: root },
    }).output();
    return { code, lines: new TextDecoder().decode(stdout).trimEnd().split("\n") };
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const PASSES = 'Deno.test("passes", async (t) => { await t.step("a > b", () => {}); });\n';
const FAILS = 'Deno.test("fails", () => { throw new Error("on purpose"); });\n';
const SKIPS = 'Deno.test({ name: "skips (skipped: no moon)", ignore: true, fn() {} });\n';
const SLOW =
  `Deno.test("slow", () => { new Deno.Command("${Deno.execPath()}", { args: ["--version"] }).outputSync(); });\n`;

Deno.test("the runner adds up quick and slow tests in the last line and names what was skipped", async () => {
  const { code, lines } = await runProject({ "a_test.ts": PASSES + SKIPS, "lib/b_test.ts": SLOW });
  assert.equal(lines.at(-1), "2 passed, 0 failed, 1 skipped");
  assert.ok(lines.includes("Skipped: skips (skipped: no moon)"));
  assert.equal(code, 0);
});

Deno.test("the runner fails when a test fails", async () => {
  const { code, lines } = await runProject({ "a_test.ts": PASSES, "b_test.ts": FAILS });
  assert.equal(lines.at(-1), "1 passed, 1 failed");
  assert.equal(code, 1);
});

Deno.test("the runner fails when a file does not load, compile or hold a test", async () => {
  const broken = { 'throw new Error("at load");': 1, "export {};": 1, 'const a: number = "";': 0 };
  for (const [text, passed] of Object.entries(broken)) {
    const { code, lines } = await runProject({ "a_test.ts": PASSES, "lib/b_test.ts": text });
    assert.equal(lines.at(-1), `${passed} passed, 1 failed`, text);
    assert.equal(code, 1);
  }
});

Deno.test("the runner sees tests that files share, whichever module registers them", async () => {
  const uses = 'import { share } from "./shared.ts"; share();';
  const files = { "shared.ts": `export function share() { ${PASSES} }`, "a_test.ts": uses, "b_test.ts": uses };
  assert.equal((await runProject(files)).lines.at(-1), "2 passed, 0 failed");
});

Deno.test("the runner runs the paths that are named and hands other arguments on", async () => {
  const files = { "lib/a_test.ts": PASSES + FAILS, "cli/b_test.ts": FAILS };
  assert.equal((await runProject(files, ["lib"])).lines.at(-1), "1 passed, 1 failed");
  assert.equal((await runProject(files, ["lib/", "--filter", "passes"])).lines.at(-1), "1 passed, 0 failed");
  const { code, lines } = await runProject(files, ["--filter", "nothing has this name"]);
  assert.equal(lines.at(-1), "0 passed, 0 failed");
  assert.equal(code, 1);
});

Deno.test("the runner measures coverage, of other processes too, and fails in CI below 90 %", async () => {
  const used = "export function used(): number {\n  return 1;\n}\n";
  const files = {
    "lib/used.ts": used,
    "cli/x/main.ts": 'import { used } from "../../lib/used.ts";\nused();\n',
    "cli/x/main_test.ts": SLOW.replace('"--version"', '"run", "--no-lock", "cli/x/main.ts"'),
  };
  const good = await runProject(files, [], "true");
  assert.match(good.lines.at(-2) ?? "", /^Coverage: 100\.0 % of \d+ lines/);
  assert.equal(good.lines.at(-1), "1 passed, 0 failed");
  assert.equal(good.code, 0);
  const bad = await runProject({ ...files, "lib/unused.ts": used.repeat(9).replaceAll("export ", "") }, [], "true");
  assert.match(bad.lines.at(-3) ?? "", /^No test loads lib\/unused\.ts$/);
  assert.equal(bad.lines.at(-1), "1 passed, 1 failed");
  assert.equal(bad.code, 1);
});
