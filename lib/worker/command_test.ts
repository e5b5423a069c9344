import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { buildWorkerCommand, type WorkerCommandParts } from "./command.ts";

const parts: WorkerCommandParts = {
  denoPath: "/bin/deno",
  rootDir: "/rookery",
  entry: "lib/worker/main.ts",
  modelPaths: ["/data/models", "/elsewhere/m.gguf"],
  kvDir: null,
  gpu: false,
  os: "linux",
  tie: [],
  env: {},
};

function pathsOf(args: string[], flag: string): string[] {
  return args.filter((argument) => argument.startsWith(`${flag}=`)).flatMap((argument) =>
    argument.slice(flag.length + 1).split(",")
  );
}

Deno.test("a worker may listen on loopback and connect nowhere, write nothing and read no data but its models", () => {
  const { args } = buildWorkerCommand(parts);
  assert.deepEqual(args.filter((argument) => argument.startsWith("--allow-net")), ["--allow-net=127.0.0.1:0"]);
  assert.ok(!args.some((argument) => argument.startsWith("--allow-write") || argument === "-A"));
  const read = pathsOf(args, "--allow-read");
  assert.deepEqual(read.filter((path) => /^\/(data|elsewhere)/.test(path)), ["/data/models", "/elsewhere/m.gguf"]);
  assert.ok(!read.includes("/rookery") && !read.includes("/"));
});

Deno.test("a worker may read and write the one folder of what it keeps of conversations", () => {
  const { args } = buildWorkerCommand({ ...parts, kvDir: "/data/kv" });
  assert.deepEqual(pathsOf(args, "--allow-write"), ["/data/kv"]);
  assert.ok(pathsOf(args, "--allow-read").includes("/data/kv"));
});

Deno.test("a worker sees neither keys nor settings nor proxies", () => {
  const env = {
    PATH: "/bin",
    OMP_NUM_THREADS: "2",
    HF_TOKEN: "t",
    ROOKERY_API_KEY: "k",
    HTTPS_PROXY: "http://p",
    AWS_SECRET_ACCESS_KEY: "s",
  };
  assert.deepEqual(buildWorkerCommand({ ...parts, env }).env, { PATH: "/bin", OMP_NUM_THREADS: "2" });
});

Deno.test("a path with a comma is refused, because it would permit two others", () => {
  assert.throws(
    () => buildWorkerCommand({ ...parts, modelPaths: ["/data,/etc"] }),
    (error) => error instanceof DomainError && error.code === "invalid_config" && error.message.includes("/data,/etc"),
  );
});

Deno.test("only Linux has its own paths to permit", () => {
  const { args } = buildWorkerCommand({ ...parts, os: "darwin" });
  assert.ok(args.includes("--allow-read=/rookery/node_modules,/rookery/lib,/data/models,/elsewhere/m.gguf"));
  assert.ok(args.includes("--allow-run=/bin/deno"));
});

Deno.test("a worker that can be tied to the runtime is started through the tie", () => {
  const { path, args } = buildWorkerCommand({ ...parts, tie: ["setpriv", "--pdeathsig", "KILL", "--"] });
  assert.deepEqual([path, ...args.slice(0, 5)], ["setpriv", "--pdeathsig", "KILL", "--", "/bin/deno", "run"]);
});
