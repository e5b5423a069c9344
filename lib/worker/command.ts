import { DomainError } from "../errors.ts";
import type { WorkerCommand } from "./worker_process.ts";

/** What a worker's command line is made from. */
export interface WorkerCommandParts {
  /** Path of the Deno executable. */
  denoPath: string;
  /** The project's folder. */
  rootDir: string;
  /** The worker's entry below `rootDir`. */
  entry: string;
  /** The folder of models, and where models lie that are linked from there. */
  modelPaths: readonly string[];
  /** The one folder that the worker may write to, or null. */
  kvDir: string | null;
  /** GPU drivers live in more places than the CPU's libraries. */
  gpu: boolean;
  os: typeof Deno.build.os;
  /** Words before the command that tie the worker's life to the runtime's, or none. */
  tie: readonly string[];
  /** The runtime's environment, of which the worker sees little. */
  env: Record<string, string>;
}

/** What node-llama-cpp reads to tell glibc from musl. */
const LINUX_PATHS = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/os-release"];
/** Where it looks for the libraries of GPU drivers. */
const LINUX_GPU_PATHS = ["/usr", "/opt"];

/** Variables that a worker may see: none of Rookery's own, no keys, no proxies. */
const ENV_NAMES =
  /^(PATH|HOME|USERPROFILE|LANG|LC_.*|TZ|TMPDIR|TEMP|TMP|SYSTEMROOT|WINDIR|APPDATA|LOCALAPPDATA|XDG_CACHE_HOME|DENO_DIR|DENO_COVERAGE_DIR|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|NO_COLOR|(CUDA|GGML|GOMP|HIP|OMP|ROCR|VK)_.*)$/i;

/**
 * The command that starts a worker with the least that it needs: it reads the project's code and models, writes what it
 * keeps of conversations, loads the native libraries, listens on one loopback port and connects nowhere. What it may start, node-llama-cpp's test of its
 * library, it gives up once that is loaded.
 *
 * @throws {DomainError} `invalid_config` when a path has a comma, which Deno's permission lists cannot express.
 */
export function buildWorkerCommand(parts: WorkerCommandParts): WorkerCommand {
  const { denoPath, rootDir, entry, modelPaths, kvDir, gpu, os, tie, env } = parts;
  const systemPaths = os !== "linux" ? [] : gpu ? [...LINUX_PATHS, ...LINUX_GPU_PATHS] : LINUX_PATHS;
  const modules = `${rootDir}/node_modules`;
  const kvDirs = kvDir === null ? [] : [kvDir];
  const words = [
    ...tie,
    denoPath,
    "run",
    "--quiet",
    "--no-prompt",
    "--cached-only",
    `--config=${rootDir}/deno.json`,
    `--allow-read=${joinPaths([modules, `${rootDir}/lib`, ...modelPaths, ...kvDirs, ...systemPaths])}`,
    ...kvDirs.map((path) => `--allow-write=${joinPaths([path])}`),
    // Reading what a native library points to is a permission that Deno gives for all libraries or none.
    "--allow-ffi",
    `--allow-run=${joinPaths(os === "linux" ? ["ldd", denoPath] : [denoPath])}`,
    "--allow-net=127.0.0.1:0",
    "--allow-env",
    "--allow-sys",
    `${rootDir}/${entry}`,
  ];
  const [path = denoPath, ...args] = words;
  return {
    path,
    args,
    env: Object.fromEntries(Object.entries(env).filter(([name]) => ENV_NAMES.test(name))),
  };
}

function joinPaths(paths: string[]): string {
  const unspeakable = paths.find((path) => path.includes(","));
  if (unspeakable === undefined) return paths.join(",");
  throw new DomainError(
    "invalid_config",
    `Cannot use "${unspeakable}": a path with a comma cannot be permitted; rename it`,
  );
}
