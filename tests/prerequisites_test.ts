import assert from "node:assert/strict";

const PREREQUISITES = new URL("./prerequisites.ts", import.meta.url).href;

/** Runs `source` as a test file of its own, in an environment of its own. */
async function runTestFile(source: string, env: Record<string, string>): Promise<{ success: boolean; text: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/crafted_test.ts`;
    await Deno.writeTextFile(path, `import { skipUnless, testModel } from "${PREREQUISITES}";\n${source}`);
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
  assert.match(
    text,
    /needs a model \(skipped: there is no absent\.gguf and no absent in ROOKERY_TEST_MODELS\) \.\.\. ignored/,
  );
  assert.match(text, /0 passed \| 0 failed \| 1 ignored/);
});

Deno.test("skipUnless() fails in CI where it would skip elsewhere", async () => {
  const { success, text } = await runTestFile(NEEDS_A_MODEL, { CI: "true" });
  assert.equal(success, false);
  assert.match(text, /there is no absent\.gguf and no absent in ROOKERY_TEST_MODELS; in CI nothing may be skipped/);
});

Deno.test("skipUnless() hands what it found to the tests that it registers", async () => {
  const source = 'skipUnless({ found: "moon" }, "needs the moon", (found) => Deno.test("found " + found, () => {}));';
  const { success, text } = await runTestFile(source, { CI: "true" });
  assert.equal(success, true);
  assert.match(text, /found moon \.\.\. ok/);
});

Deno.test("testModel() finds the file or the folder of a model, and says so when nobody named a folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/tiny.gguf`, "");
    const source = 'console.log(JSON.stringify(testModel("tiny"))); Deno.test("a", () => {});';
    const found = await runTestFile(source, { ROOKERY_TEST_MODELS: `${folder}/` });
    assert.ok(found.text.includes(`{"found":"${folder}/tiny.gguf"}`));
    await Deno.mkdir(`${folder}/wide`);
    await Deno.writeTextFile(`${folder}/wide/config.json`, "{}");
    const wide = await runTestFile(source.replace("tiny", "wide"), { ROOKERY_TEST_MODELS: folder });
    assert.ok(wide.text.includes(`{"found":"${folder}/wide"}`));
    const missing = await runTestFile(source, { ROOKERY_TEST_MODELS: "" });
    assert.match(missing.text, /"missing":"ROOKERY_TEST_MODELS is not set, run `deno task test`"/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
