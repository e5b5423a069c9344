import assert from "node:assert/strict";
import { getLlama } from "node-llama-cpp";
import { findLlamaLibrary, isLlamaLibrary, openLlamaLibrary, toCString } from "./library.ts";

const BUILD = { gpu: false, llamaCppRelease: { repo: "ggml-org/llama.cpp", release: "v0.4.0" } } as const;

Deno.test("isLlamaLibrary() knows llama.cpp's library by its name on every system, and nothing beside it", () => {
  for (
    const name of [
      "libllama.so",
      "libllama.v0.4.0.so",
      "libllama.0.dylib",
      "libllama.dylib",
      "llama.dll",
      "libllama.dll",
    ]
  ) assert.equal(isLlamaLibrary(name), true, name);
  for (
    const name of [
      "libllama-common.so",
      "libggml.so",
      "libggml-base.v0.4.0.so",
      "llama-addon.node",
      "libllama.so.txt",
      "libllama_old.so",
      "ollama.dll",
      "llama.lib",
    ]
  ) assert.equal(isLlamaLibrary(name), false, name);
});

Deno.test("findLlamaLibrary() finds the library of the build that is loaded, and it opens", async () => {
  const llama = await getLlama({ gpu: false, build: "never", progressLogs: false });
  try {
    const path = findLlamaLibrary(llama);
    assert.ok(Deno.statSync(path).isFile);
    assert.equal(path, findLlamaLibrary(BUILD), "the version that is pinned");
    assert.ok(openLlamaLibrary(path).llama_context_default_params() instanceof Uint8Array);
  } finally {
    await llama.dispose();
  }
});

Deno.test("findLlamaLibrary() refuses a version whose interface nobody here knows", () => {
  const llamaCppRelease = { ...BUILD.llamaCppRelease, release: "v0.5.0" };
  assert.throws(() => findLlamaLibrary({ ...BUILD, llamaCppRelease }), {
    code: "engine_unavailable",
    message: /^llama\.cpp v0\.5\.0 is installed, but Rookery knows how to call 0\.4\.0; .*deno install/,
  });
});

Deno.test("openLlamaLibrary() throws where there is no library, or another one", () => {
  assert.throws(() => openLlamaLibrary("/nowhere/libllama.so"));
  const bins = findLlamaLibrary(BUILD).replace(/[^\\/]*$/, "");
  const other = [...Deno.readDirSync(bins)].find(({ name }) => name.includes("ggml-base"));
  assert.ok(other !== undefined);
  assert.throws(() => openLlamaLibrary(bins + other.name), /llama_/);
});

Deno.test("toCString() ends a text with a zero", () => {
  assert.deepEqual(toCString("ß"), new Uint8Array([0xc3, 0x9f, 0]));
});
