import { dirname, join } from "node:path";
import type { LlamaLibrary, NativePointer } from "./library.ts";
import { toCString } from "./library.ts";
import { THREAD_POOL_PARAMS_BYTES } from "./structs.ts";

/** Of the count of threads in its struct, behind a mask of 512 cores. */
const THREADS_OFFSET = 512;

/** `GGML_BACKEND_DEVICE_TYPE_CPU`. */
const CPU = 0;

const BASE_SYMBOLS = {
  ggml_threadpool_params_init: { parameters: ["buffer", "i32"], result: "void" },
  ggml_backend_dev_backend_reg: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_reg_get_proc_address: { parameters: ["pointer", "buffer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const REGISTRY_SYMBOLS = {
  ggml_backend_dev_by_type: { parameters: ["i32"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * Threads that stay from one batch to the next, as llama.cpp's own server has them. Without them llama.cpp starts its
 * threads anew for every batch, and where another process is busy just then, the system puts two of them on one core.
 * Freeing them is the caller's affair.
 */
export class ThreadPool implements Disposable {
  readonly #pool: NativePointer;
  readonly #free: (pool: NativePointer) => void;

  private constructor(pool: NativePointer, free: (pool: NativePointer) => void) {
    this.#pool = pool;
    this.#free = free;
  }

  /**
   * Starts threads for the batches of a context; null when the installed library has no such pool.
   *
   * @param libraryPath llama.cpp's library; ggml's lie beside it.
   */
  static attach(
    library: LlamaLibrary,
    { libraryPath, context, threads }: { libraryPath: string; context: NativePointer; threads: number },
  ): ThreadPool | null {
    const cpu = findCpuFunctions(libraryPath);
    // Without it llama.cpp starts threads by itself: slower, and right.
    if (cpu === null) return null;
    const params = new Uint8Array(THREAD_POOL_PARAMS_BYTES);
    cpu.base.ggml_threadpool_params_init(params, threads);
    // Laid out in another way than is known here, it had better be left alone.
    if (new DataView(params.buffer).getInt32(THREADS_OFFSET, true) !== threads) return null;
    const pool = cpu.create.call(params);
    if (pool === null) return null;
    library.llama_attach_threadpool(context, pool, pool);
    return new ThreadPool(pool, (pool) => cpu.free.call(pool));
  }

  /** Ends the threads; the context must be gone by then. */
  [Symbol.dispose](): void {
    this.#free(this.#pool);
  }
}

/** The CPU backend comes in a build for each kind of processor: which one is loaded only ggml's registry knows. */
function findCpuFunctions(libraryPath: string) {
  try {
    return openCpuFunctions(libraryPath);
  } catch {
    return null;
  }
}

function openCpuFunctions(libraryPath: string) {
  const folder = dirname(libraryPath);
  const basePath = findLibrary(folder, /^(lib)?ggml-base\.(so|dylib|dll)$/);
  const registryPath = findLibrary(folder, /^(lib)?ggml(\.v[\d.]*\d)?\.(so|dylib|dll)$/);
  if (basePath === null || registryPath === null) return null;
  const { symbols: base } = Deno.dlopen(basePath, BASE_SYMBOLS);
  const { symbols: devices } = Deno.dlopen(registryPath, REGISTRY_SYMBOLS);
  const device = devices.ggml_backend_dev_by_type(CPU);
  if (device === null) return null;
  const backend = base.ggml_backend_dev_backend_reg(device);
  const find = <Definition extends Deno.ForeignFunction>(name: string, definition: Definition) => {
    const address = base.ggml_backend_reg_get_proc_address(backend, toCString(name));
    return address === null ? null : new Deno.UnsafeFnPointer(address as Deno.PointerObject<Definition>, definition);
  };
  const create = find("ggml_threadpool_new", { parameters: ["buffer"], result: "pointer" });
  const free = find("ggml_threadpool_free", { parameters: ["pointer"], result: "void" });
  return create === null || free === null ? null : { base, create, free };
}

function findLibrary(folder: string, pattern: RegExp): string | null {
  const file = [...Deno.readDirSync(folder)].find(({ name }) => pattern.test(name));
  return file === undefined ? null : join(folder, file.name);
}
