import assert from "node:assert/strict";
import * as rules from "./import_rules.ts";
import { scanModule } from "./modules.ts";

type Rule = (typeof rules)[keyof typeof rules];

/** Asserts that `rule` complains of the sources in `bad`, once for each pattern, and of nothing in `good`. */
function assertFinds(rule: Rule, bad: Record<string, string>, patterns: RegExp[], good: Record<string, string>): void {
  const scan = (sources: Record<string, string>) =>
    Object.entries(sources).map(([path, text]) => scanModule({ path, text }));
  const complaints = rule(scan(bad));
  assert.equal(complaints.length, patterns.length, complaints.join("\n"));
  for (const [index, pattern] of patterns.entries()) assert.match(complaints[index] ?? "", pattern);
  assert.deepEqual(rule(scan(good)), []);
}

Deno.test("findUpwardImports() finds what looks up", () => {
  assertFinds(
    rules.findUpwardImports,
    {
      "lib/contracts/a.ts": 'import "hono";\nimport { b } from "../errors.ts";',
      "lib/x/b.ts": 'import { c } from "../../functions/models/app.ts";',
      "functions/models/app.ts": 'import "../../cli/models/main.ts";',
      "main.ts": 'import "./tests/run.ts";',
    },
    [/a\.ts:1 .* zod alone/, /a\.ts:2 .* go down only/, /b\.ts:1 .* go down only/, /app\.ts:1 .* entry point/, /main/],
    {
      "lib/contracts/a.ts": 'import { z } from "zod";\nimport type { B } from "./b.ts";',
      "main.ts": 'import models from "./functions/models/index.ts";',
      "lib/x/b_test.ts": 'import { c } from "../../tests/prerequisites.ts";',
    },
  );
});

Deno.test("findImportCycles() finds a ring of files, and none in a diamond", () => {
  assertFinds(
    rules.findImportCycles,
    { "lib/a.ts": 'import "./b.ts";', "lib/b.ts": 'import "./c.ts";', "lib/c.ts": 'import type { A } from "./a.ts";' },
    [/^lib\/a\.ts → lib\/b\.ts → lib\/c\.ts → lib\/a\.ts$/],
    { "lib/a.ts": 'import "./b.ts"; import "./c.ts";', "lib/b.ts": 'import "./c.ts";', "lib/c.ts": "" },
  );
});

Deno.test("findFrameworkImports() finds Hono and Preact below the functions", () => {
  const source = 'import { Hono } from "hono";\nimport { sse } from "hono/streaming";\nimport "@hono/zod-openapi";';
  assertFinds(
    rules.findFrameworkImports,
    { "lib/catalog/a.ts": source, "lib/b.ts": 'import "preact";' },
    [/a\.ts:1/, /a\.ts:2/, /a\.ts:3/, /b\.ts:1/],
    { "lib/worker/app.ts": source, "functions/models/app.ts": source, "lib/b_test.ts": source },
  );
});

Deno.test("findAdapterImports() finds an adapter that leans on another", () => {
  assertFinds(
    rules.findAdapterImports,
    { "lib/inference/scripted_engine.ts": 'import { x } from "./llama_engine.ts";' },
    [/scripted_engine\.ts:1 .* never import each other/],
    { "lib/inference/scripted_engine.ts": 'import type { ChatEngine } from "./engine.ts";' },
  );
});

Deno.test("findFunctionImports() finds a function that reaches into another, also from _shared", () => {
  assertFinds(
    rules.findFunctionImports,
    {
      "functions/models/app.ts": 'import "../status/app.ts";\nimport "../../islands/Composer.tsx";',
      "functions/_shared/mount.ts": 'import "../status/index.ts";',
    },
    [/app\.ts:1 .* another function/, /app\.ts:2 .* island/, /mount\.ts:1 .* imports no function/],
    {
      "functions/models/app.ts": 'import "../_shared/errors.ts";\nimport "./shape.ts";\nimport "../../lib/errors.ts";',
    },
  );
});

Deno.test("findServerCodeForBrowsers() finds Deno and Node in what browsers load", () => {
  assertFinds(
    rules.findServerCodeForBrowsers,
    { "lib/client/a.ts": 'import "node:path";', "lib/contracts/b.ts": "const c = Deno.env;" },
    [/a\.ts:1 .* browser/, /b\.ts:1 uses Deno/],
    { "lib/client/a_test.ts": 'import "node:path"; Deno.exit();', "lib/b.ts": 'import "node:path";' },
  );
});

Deno.test("findEnvironmentReaders() finds every way to the environment but an entry point's", () => {
  const source = 'const a = Deno.env.get("A");\nconst b = process.env.B;\nconst c = settings.env;';
  assertFinds(
    rules.findEnvironmentReaders,
    { "lib/a.ts": source, "functions/models/app.ts": source },
    [/lib\/a\.ts:1/, /lib\/a\.ts:2/, /app\.ts:1/, /app\.ts:2/],
    { "main.ts": source, "functions/models/index.ts": source, "cli/models/main.ts": source, "tests/run.ts": source },
  );
});

Deno.test("findModelLoaders() finds native code and engines outside of the worker", () => {
  assertFinds(
    rules.findModelLoaders,
    {
      "functions/models/app.ts": 'import { getLlama } from "node-llama-cpp";',
      "main.ts": 'import { createLlamaEngine } from "./lib/inference/llama_engine.ts";',
      "lib/inference/scheduler.ts": 'const { getLlama } = await import("node-llama-cpp");',
      "lib/knowledge/index.ts": 'import { AutoModel } from "@huggingface/transformers";',
    },
    [
      /app\.ts:1 .* native code/,
      /main\.ts:1 .* only the worker/,
      /scheduler\.ts:1 .* native code/,
      /index\.ts:1 .* native code/,
    ],
    {
      "lib/inference/onnx_worker.ts": 'await import("@huggingface/transformers");',
      "lib/inference/llama_engine.ts": 'import "node-llama-cpp"; import "./llama_model.ts";',
      "lib/worker/main.ts": 'import "../inference/llama_engine.ts";',
    },
  );
});

Deno.test("findDeadExports() finds what nothing but its own test imports", () => {
  assertFinds(
    rules.findDeadExports,
    {
      "lib/a.ts": "export const a = 1;\nexport const b = 2; b;\nexport type C = 1;",
      "lib/a_test.ts": 'import { a } from "./a.ts";',
    },
    [/a\.ts:1 exports a,/, /a\.ts:2 exports b,/, /a\.ts:3 exports C,/],
    {
      "lib/a.ts": "export const a = 1;\nexport const b = 2; b;\nexport interface C {}\nexport function d(c: C) {}",
      "lib/a_test.ts": 'import { b } from "./a.ts";',
      "lib/e.ts": 'import { a, d } from "./a.ts";',
      "cli/models/main.ts": "export default 1;",
    },
  );
});
