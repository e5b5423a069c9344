import type { OnnxModel } from "./onnx_model.ts";

/** What the thread of an ONNX model is asked; each request is answered with its `id`. */
export type OnnxRequest =
  & { id: number }
  & (
    | { type: "load"; folder: string; model: OnnxModel; threads: number }
    | { type: "encode"; texts: readonly string[] }
    | { type: "compute"; inputs: readonly (readonly number[])[] }
    /** Frees native memory, which the end of a thread alone does not. */
    | { type: "unload" }
  );

/** What the thread tells once its model is loaded: the tokens that it wants before and behind an input. */
export interface LoadedOnnxModel {
  prefix: number[];
  suffix: number[];
}

/** What the thread answers: a failure as text, for the log. */
export type OnnxReply =
  & { id: number }
  & (
    | { type: "loaded"; loaded: LoadedOnnxModel }
    | { type: "encoded"; tokens: number[][] }
    | { type: "computed"; vectors: Float32Array<ArrayBuffer>[] }
    | { type: "unloaded" }
    | { type: "failed"; reason: string }
  );
