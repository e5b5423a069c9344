import { join } from "node:path";
import { DomainError } from "../errors.ts";
import { removeAll } from "./disk.ts";
import type { DownloadContext } from "./http_download.ts";
import type { Source } from "./sources.ts";

/** The Python that pip runs in. */
export interface PipOptions {
  /** Commands to try in order; the first that has pip is taken. */
  pythons: readonly string[];
  /** Variables for pip beside those of this process, e.g. `PIP_INDEX_URL`. */
  env: Record<string, string>;
}

/** The Python that is on the path, with pip's own settings. */
export const DEFAULT_PIP: PipOptions = { pythons: ["python3", "python"], env: {} };

/** How often the growing wheel is measured: pip itself tells its progress to terminals only. */
const POLL_MS = 250;
/** pip gives up a silent connection by itself (`--timeout`, `--retries`); this catches a pip that hangs. */
const STALLS_MAX = 4;

/**
 * Comes before every script: when standard input ends, so does Python. That also reaches a Python behind a shim (pyenv's
 * would die alone of a signal and leave pip running), and ends pip when this process is killed.
 */
const GUARD_SCRIPT = `
import os, sys, threading
def leave_with_parent():
    while os.read(0, 1):
        pass
    os._exit(143)
threading.Thread(target=leave_with_parent, daemon=True).start()
`;

const PROBE_SCRIPT = "import pip";

const PIP_SCRIPT = `
import runpy
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
`;

/** Copies one member of a wheel and stops beyond a size, so that a small wheel cannot fill the disk. */
const EXTRACT_SCRIPT = `
import zipfile
wheel, member, target, limit = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
with zipfile.ZipFile(wheel) as archive:
    try:
        info = archive.getinfo(member)
    except KeyError:
        sys.exit("the wheel holds no " + member)
    if info.file_size > limit:
        sys.exit("%s has %d bytes and should have %d" % (member, info.file_size, limit))
    with archive.open(info) as source, open(target, "wb") as out:
        written = 0
        while True:
            block = source.read(1 << 20)
            if not block:
                break
            written += len(block)
            if written > limit:
                sys.exit("%s is larger than the %d bytes that it should have" % (member, limit))
            out.write(block)
`;

/** One file of a wheel, and where it goes. */
export interface PipDownload {
  source: Source & { kind: "pypi" };
  /** Folder for the wheel, in the file system of `targetPath`; it is emptied before and removed after. */
  workFolder: string;
  targetPath: string;
  /** Size of the file; null allows any. */
  sizeBytes: number | null;
}

/**
 * Fetches one file of a wheel: `pip download` into `workFolder`, then that member alone into `targetPath`. Only wheels
 * are taken, so nothing of the package runs. Index, proxy and certificates are pip's own settings.
 *
 * @throws {DomainError} `pull_failed` with pip's own reason (the second half of a sentence), `disk_full`.
 */
export async function downloadFromPypi(
  download: PipDownload,
  { pip, context }: { pip: PipOptions; context: DownloadContext },
): Promise<void> {
  const { workFolder, sizeBytes, source, targetPath } = download;
  await removeAll(workFolder);
  try {
    const python = await findPython(pip, context.signal);
    // pip writes the wheel once and copies it once; then the file is taken out of it.
    if (sizeBytes !== null) await context.requireSpace(2 * sizeBytes);
    await Deno.mkdir(workFolder, { recursive: true });
    await runPip(python, { download, pip, context });
    const wheel = await findWheel(workFolder);
    const limit = String(sizeBytes ?? Number.MAX_SAFE_INTEGER);
    const member = [wheel, source.member, targetPath, limit];
    await runPython(python, { script: EXTRACT_SCRIPT, args: member, env: pip.env, signal: context.signal });
  } finally {
    await removeAll(workFolder);
  }
}

async function findPython({ pythons, env }: PipOptions, signal: AbortSignal): Promise<string> {
  for (const python of pythons) {
    try {
      await runPython(python, { script: PROBE_SCRIPT, args: [], env, signal });
      return python;
    } catch {
      signal.throwIfAborted();
    }
  }
  throw new DomainError("pull_failed", `it needs pip, and neither ${pythons.join(" nor ")} has it; install Python 3`);
}

async function runPip(
  python: string,
  { download, pip, context }: { download: PipDownload; pip: PipOptions; context: DownloadContext },
): Promise<void> {
  const { source, workFolder } = download;
  const flags = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--no-input"];
  const wanted = `${source.package}==${source.version}`;
  const args = ["download", ...flags, "--progress-bar=off", "--dest", workFolder, wanted];
  const env = { ...pip.env, TMPDIR: workFolder, TMP: workFolder, TEMP: workFolder };
  const stop = new AbortController();
  const running = runPython(python, {
    script: PIP_SCRIPT,
    args,
    env,
    signal: AbortSignal.any([context.signal, stop.signal]),
  });
  const watching = watchGrowth(download, { context, stop });
  try {
    await running;
  } catch (error) {
    if (stop.signal.aborted && !context.signal.aborted) throw stop.signal.reason;
    throw error;
  } finally {
    watching.end();
  }
}

/**
 * Reports the size of what pip has written so far, which may end up as more than the file that is wanted, and stops a
 * pip that writes nothing for too long.
 */
function watchGrowth(
  { workFolder, sizeBytes }: PipDownload,
  { context, stop }: { context: DownloadContext; stop: AbortController },
): { end(): void } {
  const { meter, policy, baseBytes } = context;
  meter.restartAt(baseBytes);
  let largest = 0;
  let grownAt = performance.now();
  const timer = setInterval(async () => {
    const size = await measureLargest(workFolder);
    if (size > largest) {
      const told = (bytes: number): number => Math.min(bytes, sizeBytes ?? Infinity);
      meter.add(told(size) - told(largest));
      largest = size;
      grownAt = performance.now();
    }
    if (performance.now() - grownAt <= policy.stallTimeoutMs * STALLS_MAX) return;
    stop.abort(
      new DomainError("pull_failed", `pip made no progress for ${policy.stallTimeoutMs * STALLS_MAX / 1_000} s`),
    );
  }, POLL_MS);
  return { end: () => clearInterval(timer) };
}

async function measureLargest(folder: string): Promise<number> {
  let largest = 0;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      const size = entry.isDirectory ? await measureLargest(path) : (await Deno.stat(path)).size;
      largest = Math.max(largest, size);
    }
  } catch {
    // pip moves its files while we look
  }
  return largest;
}

async function findWheel(folder: string): Promise<string> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".whl")) return join(folder, name);
  }
  throw new DomainError("pull_failed", "pip brought no wheel");
}

/** Runs a Python script to its end; aborting ends it. */
async function runPython(
  python: string,
  { script, args, env, signal }: { script: string; args: string[]; env: Record<string, string>; signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  const command = ["-c", GUARD_SCRIPT + script, ...args];
  const child = new Deno.Command(python, { args: command, env, stdin: "piped", stdout: "null", stderr: "piped" })
    .spawn();
  const endInput = (): void => void child.stdin.close().catch(() => {}); // fails when it is closed already
  signal.addEventListener("abort", endInput, { once: true });
  try {
    const { success, stderr, code } = await child.output();
    signal.throwIfAborted();
    if (!success) throw new DomainError("pull_failed", readReason(new TextDecoder().decode(stderr), code));
  } finally {
    signal.removeEventListener("abort", endInput);
    endInput();
  }
}

/** The line of pip's complaint that says why; the first `ERROR:`, else the last line. */
function readReason(stderr: string, code: number): string {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const line = lines.find((text) => text.startsWith("ERROR: ")) ?? lines.at(-1) ?? `exit code ${code}`;
  return line.replace(/^ERROR: /, "").slice(0, 300);
}
