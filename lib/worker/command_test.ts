import assert from "node:assert/strict";
import { DomainError } from "../errors.ts";
import { buildWorkerCommand, type WorkerCommandParts } from "./command.ts";

const parts: WorkerCommandParts = {
  denoPath: "/bin/deno",
  rootDir: "/rookery",
  entry: "lib/worker/main.ts",
  modelPath: "/data/models/m.gguf",
  gpu: false,
  os: "linux",
  tie: [],
  env: {},
};

Deno.test("a worker may listen on loopback and connect nowhere, write nothing and read no data but its model", () => {
  const { args } = buildWorkerCommand(parts);
  assert.deepEqual(args.filter((argument) => argument.startsWith("--allow-net")), ["--allow-net=127.0.0.1:0"]);
  assert.ok(!args.some((argument) => argument.startsWith("--allow-write") || argument === "-A"));
  const read = args.find((argument) => argument.startsWith("--allow-read="))!.slice("--allow-read=".length).split(",");
  assert.deepEqual(read.filter((path) => path.startsWith("/data")), ["/data/models/m.gguf"]);
  assert.ok(!read.includes("/rookery") && !read.includes("/"));
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
    () => buildWorkerCommand({ ...parts, modelPath: "/data,/etc" }),
    (error) => error instanceof DomainError && error.code === "invalid_config" && error.message.includes("/data,/etc"),
  );
});

Deno.test("only Linux has its own paths to permit", () => {
  const { args } = buildWorkerCommand({ ...parts, os: "darwin" });
  assert.ok(args.includes("--allow-read=/rookery/node_modules,/rookery/lib,/data/models/m.gguf"));
  assert.ok(args.includes("--allow-run=/bin/deno"));
});

Deno.test("a worker that can be tied to the runtime is started through the tie", () => {
  const { path, args } = buildWorkerCommand({ ...parts, tie: ["setpriv", "--pdeathsig", "KILL", "--"] });
  assert.deepEqual([path, ...args.slice(0, 5)], ["setpriv", "--pdeathsig", "KILL", "--", "/bin/deno", "run"]);
});
