import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Llama } from "node-llama-cpp";
import { DomainError } from "../../errors.ts";
import { CONTEXT_PARAMS, MODEL_PARAMS } from "./structs.ts";

const BATCH = { struct: ["i32", "pointer", "pointer", "pointer", "pointer", "pointer", "pointer"] } as const;
const CHAIN_PARAMS = { struct: ["bool"] } as const;

/** The version that {@linkcode SYMBOLS} and the structs are written after. */
const LLAMA_VERSION = "0.4.0";

/**
 * The part of llama.cpp's C API that Rookery calls, as `llama.h` of the version that the pinned node-llama-cpp carries
 * declares it. Every call is synchronous: one thread of its own makes them all.
 */
const SYMBOLS = {
  llama_version: { parameters: [], result: "pointer" },
  llama_model_default_params: { parameters: [], result: MODEL_PARAMS },
  llama_model_load_from_file: { parameters: ["buffer", MODEL_PARAMS], result: "pointer" },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_model_n_swa: { parameters: ["pointer"], result: "i32" },
  llama_model_is_recurrent: { parameters: ["pointer"], result: "bool" },
  llama_model_is_hybrid: { parameters: ["pointer"], result: "bool" },
  llama_model_get_vocab: { parameters: ["pointer"], result: "pointer" },
  llama_vocab_n_tokens: { parameters: ["pointer"], result: "i32" },
  llama_token_to_piece: { parameters: ["pointer", "i32", "buffer", "i32", "i32", "bool"], result: "i32" },
  llama_context_default_params: { parameters: [], result: CONTEXT_PARAMS },
  llama_init_from_model: { parameters: ["pointer", CONTEXT_PARAMS], result: "pointer" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_n_ctx_seq: { parameters: ["pointer"], result: "u32" },
  llama_attach_threadpool: { parameters: ["pointer", "pointer", "pointer"], result: "void" },
  llama_set_n_threads: { parameters: ["pointer", "i32", "i32"], result: "void" },
  llama_decode: { parameters: ["pointer", BATCH], result: "i32" },
  llama_get_logits_ith: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_memory_seq_rm: { parameters: ["pointer", "i32", "i32", "i32"], result: "bool" },
  llama_memory_seq_pos_min: { parameters: ["pointer", "i32"], result: "i32" },
  llama_state_seq_get_size_ext: { parameters: ["pointer", "i32", "u32"], result: "usize" },
  llama_state_seq_get_data_ext: { parameters: ["pointer", "buffer", "usize", "i32", "u32"], result: "usize" },
  llama_state_seq_set_data_ext: { parameters: ["pointer", "buffer", "usize", "i32", "u32"], result: "usize" },
  llama_sampler_chain_init: { parameters: [CHAIN_PARAMS], result: "pointer" },
  llama_sampler_chain_add: { parameters: ["pointer", "pointer"], result: "void" },
  llama_sampler_init_logit_bias: { parameters: ["i32", "i32", "buffer"], result: "pointer" },
  llama_sampler_init_penalties: { parameters: ["i32", "i32", "f32", "f32", "f32"], result: "pointer" },
  llama_sampler_init_top_k: { parameters: ["i32"], result: "pointer" },
  llama_sampler_init_top_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_min_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_temp: { parameters: ["f32"], result: "pointer" },
  llama_sampler_init_dist: { parameters: ["u32"], result: "pointer" },
  llama_sampler_init_greedy: { parameters: [], result: "pointer" },
  llama_sampler_init_grammar: { parameters: ["pointer", "buffer", "buffer"], result: "pointer" },
  llama_sampler_sample: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  llama_sampler_apply: { parameters: ["pointer", "buffer"], result: "void" },
  llama_sampler_accept: { parameters: ["pointer", "i32"], result: "void" },
  llama_sampler_free: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** llama.cpp's functions. Pointers that they give are valid in the thread that got them. */
export type LlamaLibrary = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** A pointer that llama.cpp gave. */
export type NativePointer = Deno.PointerObject;

/**
 * The file of llama.cpp's library that node-llama-cpp has loaded into this process: opened once more, it is the same
 * library with the same backends.
 *
 * @throws {DomainError} `engine_unavailable` when it is not where node-llama-cpp's packages keep it, or of another version
 *   than the one whose interface Rookery knows.
 */
export function findLlamaLibrary(llama: Pick<Llama, "gpu" | "llamaCppRelease">): string {
  expectVersion(llama.llamaCppRelease.release);
  const base = `@node-llama-cpp/${platformName(Deno.build.os)}-${archName(Deno.build.arch)}`;
  const packages = llama.gpu === false ? [base, `${base}-metal`] : [`${base}-${llama.gpu}`, base];
  const require = createRequire(import.meta.resolve("node-llama-cpp"));
  for (const name of packages) {
    try {
      const bins = join(dirname(require.resolve(name)), "..", "bins");
      for (const { name: folder } of Deno.readDirSync(bins)) {
        const file = [...Deno.readDirSync(join(bins, folder))].find(({ name }) => isLlamaLibrary(name));
        if (file !== undefined) return join(bins, folder, file.name);
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  throw new DomainError(
    "engine_unavailable",
    `Cannot find llama.cpp for this machine in ${packages[0]}; install the project's packages with \`deno install\``,
  );
}

/**
 * Opens llama.cpp's library in the calling thread.
 *
 * @throws {DomainError} `engine_unavailable` when it is of another version: its structs may be laid out in another way,
 *   and a call that gets one wrong reads and writes memory at random.
 * @throws {Error} when there is no library.
 */
export function openLlamaLibrary(path: string): LlamaLibrary {
  const { symbols } = Deno.dlopen(path, SYMBOLS);
  const version = symbols.llama_version();
  expectVersion(version === null ? "unknown" : Deno.UnsafePointerView.getCString(version));
  return symbols;
}

/** A text as C takes it. */
export function toCString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** `libllama.so`, `libllama.v0.4.0.so`, `libllama.dylib`, `llama.dll`; not `libllama-common.so`. */
export function isLlamaLibrary(name: string): boolean {
  return /^(lib)?llama(\.[v\d][\w.]*)?\.(so|dylib|dll)$/.test(name);
}

/** @param version As a release is called, `v0.4.0`, or as the library calls itself, `0.4.0-dev`. */
function expectVersion(version: string): void {
  if (version.replace(/^v|-.*$/g, "") === LLAMA_VERSION) return;
  throw new DomainError(
    "engine_unavailable",
    `llama.cpp ${version} is installed, but Rookery knows how to call ${LLAMA_VERSION}; ` +
      "install the packages that deno.lock names with `deno install`",
  );
}

function platformName(os: typeof Deno.build.os): string {
  return os === "darwin" ? "mac" : os === "windows" ? "win" : os;
}

function archName(arch: typeof Deno.build.arch): string {
  return arch === "aarch64" ? "arm64" : "x64";
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error ? (error as { code?: string }).code : undefined;
  return error instanceof Deno.errors.NotFound || code === "MODULE_NOT_FOUND" || code === "ENOENT";
}
