/**
 * The thread of one ONNX embedding model, a Deno Worker: ONNX Runtime computes in the thread that asks, which would keep
 * the event loop of a whole process from turning. It serves {@linkcode OnnxRequest}s one after the other.
 */
import type { PreTrainedModel, PreTrainedTokenizer } from "@huggingface/transformers";
import { basename, dirname, join } from "node:path";
import { poolVectors } from "./onnx_pooling.ts";
import type { OnnxReply, OnnxRequest } from "./onnx_protocol.ts";

/** The part of a worker's global scope that is used; the types of windows are in force here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<OnnxRequest>) => void) | null;
  postMessage(reply: OnnxReply, options: { transfer: Transferable[] }): void;
}

type Load = Extract<OnnxRequest, { type: "load" }>;
type Transformers = typeof import("@huggingface/transformers");

const scope = globalThis as unknown as WorkerScope;

/** What a load leaves behind. */
interface Loaded {
  transformers: Transformers;
  model: PreTrainedModel;
  tokenizer: PreTrainedTokenizer;
  paddingToken: number;
  pooling: Load["model"]["pooling"];
}

let loaded: Loaded | null = null;

// A library that prints must not break the lines that this process writes to its runtime.
const { error: printError } = console;
Object.assign(console, { debug: printError, dir: printError, info: printError, log: printError });

scope.onmessage = async ({ data }) => {
  try {
    const reply = await answer(data);
    const transfer = reply.type === "computed" ? reply.vectors.map(({ buffer }) => buffer) : [];
    scope.postMessage(reply, { transfer });
  } catch (error) {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    scope.postMessage({ id: data.id, type: "failed", reason }, { transfer: [] });
  }
};

async function answer(request: OnnxRequest): Promise<OnnxReply> {
  if (request.type === "load") return await load(request);
  if (loaded === null) throw new Error("No model is loaded");
  const { id } = request;
  if (request.type === "unload") {
    await loaded.model.dispose();
    loaded = null;
    return { id, type: "unloaded" };
  }
  if (request.type === "encode") {
    const { tokenizer } = loaded;
    const tokens = request.texts.map((text) => tokenizer.encode(text, { add_special_tokens: false }));
    return { id, type: "encoded", tokens };
  }
  return { id, type: "computed", vectors: await compute(request.inputs, loaded) };
}

async function load({ id, folder, model: { dtype, pooling }, threads }: Load): Promise<OnnxReply> {
  const transformers = await importTransformers();
  const { AutoModel, env, PreTrainedTokenizer } = transformers;
  env.allowRemoteModels = false;
  env.allowLocalModels = true;
  env.localModelPath = `${dirname(folder)}/`;
  const [definition, config] = await Promise.all(["tokenizer.json", "tokenizer_config.json"].map(async (name) => {
    return JSON.parse(await Deno.readTextFile(join(folder, name)));
  }));
  const whole = new PreTrainedTokenizer(definition, config);
  const content = whole.encode("a", { add_special_tokens: false });
  const framed = whole.encode("a");
  const start = framed.indexOf(content[0]!);
  // Without them in its definition, a tokenizer reads special tokens that somebody wrote as plain text.
  const added = definition.added_tokens.filter((token: { special: boolean }) => !token.special);
  const tokenizer = new PreTrainedTokenizer({ ...definition, added_tokens: added }, config);
  const model = await AutoModel.from_pretrained(basename(folder), {
    dtype,
    device: "cpu",
    local_files_only: true,
    session_options: {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // Threads that wait for the next batch would otherwise burn a core for the time of it.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    },
  });
  loaded = { transformers, model, tokenizer, paddingToken: whole.pad_token_id ?? 0, pooling };
  return {
    id,
    type: "loaded",
    loaded: { prefix: framed.slice(0, start), suffix: framed.slice(start + content.length) },
  };
}

/** transformers.js takes a global `location` for a browser's page, and would load its build for browsers. */
async function importTransformers(): Promise<Transformers> {
  Object.defineProperty(globalThis, "location", { value: undefined, configurable: true, writable: true });
  return await import("@huggingface/transformers");
}

async function compute(
  inputs: readonly (readonly number[])[],
  { transformers: { Tensor }, model, paddingToken, pooling }: Loaded,
): Promise<Float32Array<ArrayBuffer>[]> {
  const width = Math.max(...inputs.map(({ length }) => length));
  const ids = new BigInt64Array(inputs.length * width).fill(BigInt(paddingToken));
  const mask = new BigInt64Array(inputs.length * width);
  for (const [row, input] of inputs.entries()) {
    for (const [column, token] of input.entries()) ids[row * width + column] = BigInt(token);
    mask.fill(1n, row * width, row * width + input.length);
  }
  const shape = [inputs.length, width];
  const output = await model({
    input_ids: new Tensor("int64", ids, shape),
    attention_mask: new Tensor("int64", mask, shape),
  });
  const states = output.last_hidden_state ?? output.token_embeddings;
  try {
    const lengths = inputs.map(({ length }) => length);
    return poolVectors(states.data, { lengths, width, dimensions: states.dims[2], pooling });
  } finally {
    for (const tensor of Object.values(output)) (tensor as { dispose?(): void }).dispose?.();
  }
}
