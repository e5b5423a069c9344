import assert from "node:assert/strict";
import { getLlama } from "node-llama-cpp";
import { skipUnless, testModel } from "../../../tests/prerequisites.ts";
import { findLlamaLibrary } from "./library.ts";
import { NativeModel } from "./native_model.ts";

skipUnless(testModel("smollm2-135m"), "NativeModel on SmolLM2", (modelPath) => {
  Deno.test("NativeModel keeps its threads from one batch to the next", async () => {
    const llama = await getLlama({ gpu: false, build: "never", progressLogs: false });
    try {
      const model = new NativeModel({
        libraryPath: findLlamaLibrary(llama),
        modelPath,
        gpuLayers: 0,
        contextTokens: 256,
        sequences: 1,
        batchTokensMax: 65,
        stop: new SharedArrayBuffer(1),
      });
      assert.ok(model.keepsThreads);
      for (const threads of [1, navigator.hardwareConcurrency, 1]) {
        assert.ok(model.measure({ batchTokens: 1, threads, token: 1 }).batchMs > 0);
      }
      model.unload();
    } finally {
      await llama.dispose();
    }
  });
});
