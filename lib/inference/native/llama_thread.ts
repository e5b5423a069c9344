/// <reference lib="deno.worker" />
/**
 * The thread that computes. Its calls into llama.cpp block it, which is the point: they all come from one thread of the
 * system, so that the threads that llama.cpp starts for a batch stand on other cores and stay there. From a pool of
 * threads, as asynchronous calls have it, a batch of a small model takes three times as long.
 */
import { DomainError } from "../../errors.ts";
import { NativeModel } from "./native_model.ts";
import type { NativeCalls, NativeRequest, NativeResponse } from "./protocol.ts";

let model: NativeModel | null = null;

function expectModel(): NativeModel {
  if (model === null) throw new Error("No model is loaded");
  return model;
}

const calls: NativeCalls = {
  load: (options) => {
    model = new NativeModel(options);
    return { forgets: model.forgets };
  },
  createSampler: (options) => expectModel().createSampler(options),
  disposeSampler: (options) => expectModel().disposeSampler(options),
  setGrammar: (options) => expectModel().setGrammar(options),
  decode: (options) => expectModel().decode(options),
  cut: (options) => expectModel().cut(options),
  saveState: (options) => expectModel().saveState(options),
  loadState: (options) => expectModel().loadState(options),
  dropState: (options) => expectModel().dropState(options),
  exportState: (options) => expectModel().exportState(options),
  importState: (options) => expectModel().importState(options),
  measure: (options) => expectModel().measure(options),
  unload: () => {
    model?.unload();
    model = null;
  },
};

function answer({ id, name, options }: NativeRequest): NativeResponse {
  try {
    return { id, result: (calls[name] as (options: unknown) => unknown)(options) };
  } catch (error) {
    const code = error instanceof DomainError ? error.code : null;
    return { id, error: error instanceof Error ? error.message : String(error), code };
  }
}

self.onmessage = ({ data }: MessageEvent<NativeRequest>) => {
  const response = answer(data);
  // A state is moved to the other side, not copied.
  const isState = data.name === "exportState" && "result" in response;
  self.postMessage(response, isState ? [(response.result as Uint8Array<ArrayBuffer>).buffer] : []);
};
