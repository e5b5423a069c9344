/**
 * Prints what `deno task start` permits the runtime: with `write` the folders that it may write to, with `run` the
 * programs that it may start, with `ffi` the native code that it may load, in the form of Deno's permission flags. The
 * task puts that into its command line, so that a data folder somewhere else and a Deno that came through npx are
 * permitted exactly, and nothing beside them.
 */
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { SETTINGS } from "../../lib/env.ts";
import { printTo } from "../../lib/terminal.ts";

/** What `lib/catalog/pip_download.ts` pulls models with, and what `lib/runtime/parent_tie.ts` ties the worker with. */
const PROGRAMS = ["python3", "python", "setpriv"];

/** The folder of data and the log's file; a wrong setting is the runtime's to complain about. */
function listWritable(): string[] {
  const { dataDir, logFile } = SETTINGS;
  const data = Deno.env.get(dataDir.name)?.trim() || dataDir.default;
  const log = Deno.env.get(logFile.name)?.trim() ?? "";
  return [data, log].filter((path) => path !== "" && !path.includes(",")).map((path) => resolve(path));
}

function listRunnable(): string[] {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const found = PROGRAMS.filter((name) => folders.some((folder) => exists(join(folder, name + suffix))));
  return [Deno.execPath(), ...found];
}

/** The folders of argon2's builds for this machine, which `node_modules` need not have yet; passwords are hashed by it. */
function listLoadable(): string[] {
  const version = config.imports["@node-rs/argon2"].replace(/.*@/, "");
  const { os, arch } = Deno.build;
  const cpu = arch === "x86_64" ? "x64" : "arm64";
  const builds: Record<string, string[]> = {
    linux: [`linux-${cpu}-gnu`, `linux-${cpu}-musl`],
    windows: [`win32-${cpu}-msvc`],
  };
  const modules = fileURLToPath(new URL("../../node_modules/.deno", import.meta.url));
  return (builds[os] ?? [`${os}-${cpu}`]).map((build) => join(modules, `@node-rs+argon2-${build}@${version}`));
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const LISTS: Record<string, () => string[]> = { ffi: listLoadable, run: listRunnable, write: listWritable };

const [name = ""] = Deno.args;
printTo(Deno.stdout, LISTS[name]!().join(","));
