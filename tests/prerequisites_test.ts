import assert from "node:assert/strict";

const PREREQUISITES = new URL("./prerequisites.ts", import.meta.url).href;

/** Runs `source` as a test file of its own, in an environment of its own. */
async function runTestFile(source: string, env: Record<string, string>): Promise<{ success: boolean; text: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/crafted_test.ts`;
    await Deno.writeTextFile(path, `import { skipUnless, testModel, testProgram } from "${PREREQUISITES}";\n${source}`);
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-config", "--no-check", path],
      env: { CI: "", NO_COLOR: "1", ROOKERY_TEST_MODELS: folder, ...env },
    }).output();
    return { success, text: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const NEEDS_A_MODEL = `skipUnless(testModel("absent"), "needs a model", () => Deno.test("with model", () => {}));`;

Deno.test("skipUnless() ignores tests whose model is missing and says why", async () => {
  const { success, text } = await runTestFile(NEEDS_A_MODEL, {});
  assert.equal(success, true);
  assert.match(text, /needs a model \(skipped: there is no absent\.gguf in ROOKERY_TEST_MODELS\) \.\.\. ignored/);
  assert.match(text, /0 passed \| 0 failed \| 1 ignored/);
});

Deno.test("skipUnless() fails in CI where it would skip elsewhere", async () => {
  const { success, text } = await runTestFile(NEEDS_A_MODEL, { CI: "true" });
  assert.equal(success, false);
  assert.match(text, /there is no absent\.gguf in ROOKERY_TEST_MODELS; in CI nothing may be skipped/);
});

Deno.test("skipUnless() hands what it found to the tests that it registers", async () => {
  const source =
    `skipUnless(testProgram("${Deno.execPath()}"), "needs deno", (path) => Deno.test("found " + path, () => {}));`;
  const { success, text } = await runTestFile(source, { CI: "true" });
  assert.equal(success, true);
  assert.match(text, new RegExp(`found ${Deno.execPath()} \\.\\.\\. ok`));
});

Deno.test("testProgram() says which program is not there", async () => {
  const source = `skipUnless(testProgram("no-such-program"), "needs it", () => {});`;
  const { success, text } = await runTestFile(source, {});
  assert.equal(success, true);
  assert.match(text, /needs it \(skipped: no-such-program is not on the PATH\) \.\.\. ignored/);
});
