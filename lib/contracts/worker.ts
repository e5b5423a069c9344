import { z } from "zod";
import type { ChatEvent } from "./chat.ts";
import type { ErrorReport } from "./error.ts";
import { ModelDescription, ModelFile } from "./model.ts";

/** CPU threads by work: a batch of one token, of a few, of a prefill chunk. What is best differs by model and machine. */
export const ThreadPlan = z.object({
  /** Batches of 1 token: one stream decodes. */
  decodeOne: z.number().int().min(1),
  /** Batches of 2 to 15 tokens: several streams decode. */
  decodeMany: z.number().int().min(1),
  /** Batches of 16 tokens and more: a prompt is read. */
  prefill: z.number().int().min(1),
});
export type ThreadPlan = z.infer<typeof ThreadPlan>;

/** What measuring threads came to. */
export interface Calibration {
  threads: ThreadPlan;
  /** False when other programs took cores meanwhile: good enough for now, but not to be remembered. */
  undisturbed: boolean;
}

/** A model that a worker may be asked for. */
export const WorkerModel = ModelFile.extend({
  /** What an earlier calibration of this model on this machine found; null calibrates. */
  threads: ThreadPlan.nullable(),
});
export type WorkerModel = z.infer<typeof WorkerModel>;

/** What the runtime tells its worker in the first line of standard input, as JSON. The end of that input ends the worker. */
export const WorkerSettings = z.object({
  /** Bearer token that every request to the worker must carry. */
  token: z.string().min(32),
  models: z.array(WorkerModel),
  /** The model that is loaded at once and kept for ever unless a request says otherwise. */
  defaultModelId: z.string(),
  /** Memory that models may take together, weights and contexts. */
  memoryBytesMax: z.number().int().min(0),
  /** Milliseconds that other models stay after their last use; -1 means for ever. */
  keepAliveMs: z.number().int().min(-1),
  /** Tokens of one conversation; null takes what the model was trained for, at most 32,768, as memory allows. */
  contextTokens: z.number().int().min(256).nullable(),
  /** Conversations at the same time; null takes 4, or fewer as memory allows. */
  sequences: z.number().int().min(1).max(64).nullable(),
  /** Most requests that wait for one model. */
  queuedMax: z.number().int().min(0).max(10_000),
  /** Uses a GPU when the installed llama.cpp build can. */
  gpu: z.boolean(),
  /** Most threads that it may compute with, because others need the rest of the cores; null is all. */
  threadsMax: z.number().int().min(1).nullable(),
  /** Folder, which is there, of what is kept of conversations; null keeps nothing on disk. */
  kvDir: z.string().nullable(),
  /** Most bytes of that folder. */
  kvBytesMax: z.number().int().min(0),
});
export type WorkerSettings = z.infer<typeof WorkerSettings>;

/** What a worker tells the runtime, one JSON object a line on standard output. Its standard error is for people. */
export type WorkerNotice =
  | { type: "listening"; port: number }
  /** Every second, from the event loop: when it stays away the loop hangs, or native code does. */
  | { type: "heartbeat" }
  /** Threads were measured; the runtime remembers them for the next start if nothing disturbed that. */
  | { type: "calibrated"; model: string; calibration: Calibration }
  /** The default model is in memory. */
  | { type: "ready"; model: ModelDescription }
  /** The worker cannot work and ends; starting it again would not help. */
  | { type: "fatal"; error: ErrorReport };

/** What `POST /chat` streams, one event a server-sent message: the answer's own events, or the error that ended it. */
export type WorkerEvent = ChatEvent | { type: "error"; error: ErrorReport };

/** What `PUT /models` is told: every model that can be asked for from now on. */
export const ModelsUpdate = z.object({ models: z.array(WorkerModel) });
export type ModelsUpdate = z.infer<typeof ModelsUpdate>;

/** What `POST /tokenize` is asked; it answers `{ "tokens": number[] }`. */
export const TokenizeRequest = z.object({ model: z.string(), text: z.string() });
export type TokenizeRequest = z.infer<typeof TokenizeRequest>;

/** What `POST /keep` is asked, as in a chat request. */
export const KeepRequest = z.object({ model: z.string(), keepAliveMs: z.number().int().min(-1).nullable() });
export type KeepRequest = z.infer<typeof KeepRequest>;

/** What `POST /forget` is asked. */
export const ForgetRequest = z.object({ owner: z.string().min(1).max(128) });
export type ForgetRequest = z.infer<typeof ForgetRequest>;

/** How a function that runs alone finds the worker: the runtime keeps it in `<data>/run/worker.json`, readable by its owner alone. */
export const WorkerAddress = z.object({ url: z.url(), token: z.string().min(32) });
export type WorkerAddress = z.infer<typeof WorkerAddress>;
