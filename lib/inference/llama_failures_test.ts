/**
 * What native code makes of misuse. Each case runs in a process of its own: a crash of it would end the test's own.
 */
import assert from "node:assert/strict";
import { type Prerequisite, skipUnless, testModel } from "../../tests/prerequisites.ts";

const SCRIPT = new URL("../../tests/fixtures/llama_process.ts", import.meta.url);

interface Failure {
  code: string | null;
  message: string;
}

/** What came of a misuse; the process has to end by itself, in peace. */
async function runMisuse<Result>(name: string, path: string): Promise<Result> {
  const args = ["run", "--quiet", "--no-prompt", "-A", SCRIPT.pathname, name, path];
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } })
    .output();
  const said = new TextDecoder().decode(stderr);
  assert.deepEqual([code, signal], [0, null], said);
  return JSON.parse(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!);
}

function codesOf(results: readonly Failure[]): (string | null)[] {
  return [...new Set(results.map(({ code }) => code))];
}

skipUnless(testModel("smollm2-135m"), "LlamaEngine under misuse", (path) => {
  const misuse = <Result>(name: string) => runMisuse<Result>(name, path);

  Deno.test("NativeThread says that there is no library, and goes on without a model", async () => {
    const { result, again } = await misuse<Record<"result" | "again", Failure>>("wrong library");
    assert.match(result.message, /libllama\.so/);
    assert.match(again.message, /No model is loaded/);
  });

  Deno.test("NativeThread says that llama.cpp does not take a model, and goes on without one", async () => {
    const { result, again } = await misuse<Record<"result" | "again", Failure>>("no model file");
    assert.match(result.message, /llama\.cpp does not take the model/);
    assert.match(again.message, /No model is loaded/);
  });

  skipUnless(findMemoryLimit(), "NativeThread without memory", () => {
    Deno.test("NativeThread says that a context has no room in memory", async () => {
      const { result } = await misuse<Record<"result", Failure>>("huge context");
      assert.equal(result.code, "not_enough_memory");
      assert.match(result.message, /1 × 8388608 tokens.*ROOKERY_CONTEXT/);
    });
  });

  Deno.test("LlamaEngine refuses a file that was cut off, for every call", async () => {
    const results = await misuse<Failure[]>("cut file");
    assert.deepEqual(results.map(({ code }) => code), ["engine_unavailable", "engine_unavailable"]);
    assert.match(results[0]!.message, /models verify test-model/);
  });

  Deno.test("LlamaEngine fails the answers of a model that computes no numbers, each one", async () => {
    assert.deepEqual(codesOf(await misuse<Failure[]>("no numbers")), ["internal_error"]);
  });

  Deno.test("LlamaEngine can be disposed of at any moment of its loading", async () => {
    assert.deepEqual(codesOf(await misuse<Failure[]>("disposed while loading")), ["engine_gone"]);
  });

  Deno.test("LlamaEngine can be disposed of at any moment of an answer", async () => {
    assert.deepEqual(codesOf(await misuse<Failure[]>("disposed while decoding")), ["engine_gone"]);
  });

  Deno.test("LlamaEngine answers 64 requests side by side, each its own, and others after them", async () => {
    const { sequences, answers } = await misuse<{ sequences: number; answers: string[] }>("64 sequences");
    assert.equal(sequences, 64);
    assert.equal(answers.length, 80);
    for (const [i, answer] of answers.entries()) {
      assert.ok(
        answer !== "" && ` ${i + 6}, ${i + 7}, ${i + 8}`.startsWith(answer),
        `${i + 5}, is followed by ${answer}`,
      );
    }
  });

  Deno.test("LlamaEngine ends every answer when its thread dies, takes no more, and asks for the process to go", async () => {
    const { first, ended, later, state, told } = await misuse<
      { first: boolean; ended: Failure[]; later: Failure; state: string; told: string[] }
    >("dead thread");
    assert.equal(first, true);
    assert.deepEqual(codesOf([...ended, later]), ["engine_gone"]);
    assert.match(later.message, /The thread that computed "test-model" has died/);
    assert.deepEqual([state, told], ["gone", ["hung"]]);
  });
});

/** Where a system gives out more memory than it has, 190 GB of context would not be refused but take all there is. */
function findMemoryLimit(): Prerequisite<true> {
  if (Deno.build.os !== "linux") return { missing: "this system promises more memory than it has" };
  const mode = Deno.readTextFileSync("/proc/sys/vm/overcommit_memory").trim();
  return mode === "1" ? { missing: "vm.overcommit_memory is 1" } : { found: true };
}
