import type { Module, ModuleImport } from "./modules.ts";

/** What a rule finds wrong, one sentence each with file and line. */
export type Complaints = string[];

const isTest = (path: string) => path.startsWith("tests/") || path.endsWith("_test.ts");
const isEntryPoint = (path: string) =>
  /^(main|functions\/[^/]+\/index|cli\/[^/]+\/main|lib\/worker\/main)\.ts$/.test(path);
const functionOf = (path: string) => /^functions\/([^/]+)\//.exec(path)?.[1] ?? null;

/** Whether a file of lib may import Hono: the pages' router and the worker's HTTP face. */
const isHttpFace = (path: string) => path.startsWith("lib/pages/") || path === "lib/worker/app.ts";

/** Applies `judge` to every import outside of tests; it returns why an import is wrong, or null. */
function complainAboutImports(modules: Module[], judge: (from: Module, to: ModuleImport) => string | null): Complaints {
  return modules.filter(({ path }) => !isTest(path)).flatMap((from) =>
    from.imports.flatMap((to) => {
      const reason = judge(from, to);
      return reason === null ? [] : [`${from.path}:${to.line} imports ${to.specifier}: ${reason}`];
    })
  );
}

/** Rank of a path's layer; a file imports its own layer and lower ones. */
function rankLayer(path: string): number {
  if (path.startsWith("lib/contracts/")) return 0;
  if (path.startsWith("lib/")) return 1;
  if (/^(functions|routes|islands)\//.test(path)) return 2;
  return path.startsWith("tests/") ? 4 : 3;
}

/** Invariant 1. */
export function findUpwardImports(modules: Module[]): Complaints {
  return complainAboutImports(modules, (from, { specifier, target }) => {
    const rank = rankLayer(from.path);
    if (rank === 0 && target === null && specifier !== "zod") return "contracts import zod alone";
    if (target === null) return null;
    if (isEntryPoint(target) && !target.startsWith("functions/")) return "nothing imports an entry point";
    return rankLayer(target) > rank ? "imports go down only" : null;
  });
}

/** Invariant 1: two files that import each other, however far around. Types count: they are dependencies too. */
export function findImportCycles(modules: Module[]): Complaints {
  const targets = new Map(modules.map(({ path, imports }) => [path, imports.map(({ target }) => target)]));
  const done = new Set<string>();
  const complaints: Complaints = [];
  function visit(path: string, trail: string[]): void {
    if (trail.includes(path)) complaints.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
    if (trail.includes(path) || done.has(path)) return;
    for (const target of targets.get(path) ?? []) {
      if (target !== null) visit(target, [...trail, path]);
    }
    done.add(path);
  }
  for (const { path } of modules) visit(path, []);
  return complaints;
}

/** Invariant 2: the domain knows neither the web framework nor the pages. */
export function findFrameworkImports(modules: Module[]): Complaints {
  return complainAboutImports(modules, ({ path }, { specifier }) => {
    if (!path.startsWith("lib/") || isHttpFace(path)) return null;
    return /^(@?hono|preact|@preact)\b/.test(specifier) ? "nothing in lib imports Hono or Preact" : null;
  });
}

/** Invariant 2: an engine's adapters import their port and their driver, never each other. */
export function findAdapterImports(modules: Module[]): Complaints {
  const isAdapter = (path: string) => /^lib\/inference\/\w+_engine\.ts$/.test(path);
  return complainAboutImports(modules, ({ path }, { target }) => {
    return isAdapter(path) && target !== null && isAdapter(target) ? "adapters never import each other" : null;
  });
}

/** Invariant 3. */
export function findFunctionImports(modules: Module[]): Complaints {
  return complainAboutImports(modules, ({ path }, { target }) => {
    const own = functionOf(path);
    const other = target === null ? null : functionOf(target);
    if (own === null || target === null) return null;
    if (/^(routes|islands)\//.test(target)) return "a function never imports a route or an island";
    if (other === null || other === own || other === "_shared") return null;
    return own === "_shared" ? "_shared imports no function" : "a function never imports another function";
  });
}

/** Contracts and the client also run in a browser, which has neither Deno nor Node. */
export function findServerCodeForBrowsers(modules: Module[]): Complaints {
  const shared = modules.filter(({ path }) => /^lib\/(contracts|client)\//.test(path));
  const imports = complainAboutImports(shared, (_, { specifier }) => {
    return specifier.startsWith("node:") ? "contracts and client also run in a browser" : null;
  });
  const uses = shared.filter(({ path }) => !isTest(path)).flatMap(({ path, code }) =>
    code.filter(({ kind, text }) => kind === "word" && /^(Deno|process|Buffer)$/.test(text))
      .map(({ text, line }) => `${path}:${line} uses ${text}, which no browser has`)
  );
  return [...imports, ...uses];
}

/** Invariant 4: everything but an entry point takes what it needs as arguments. */
export function findEnvironmentReaders(modules: Module[]): Complaints {
  return modules.filter(({ path }) => !isTest(path) && !isEntryPoint(path)).flatMap(({ path, code }) =>
    code.filter(({ text }, at) => {
      return text === "env" && code[at - 1]?.text === "." && /^(Deno|process)$/.test(code[at - 2]?.text ?? "");
    }).map(({ line }) => `${path}:${line} reads the environment, which only index.ts and main.ts may`)
  );
}

/** Files of lib/inference that drive native code. */
const NATIVE_FILES = /^lib\/inference\/(llama_|native\/|onnx_)/;
const NATIVE_PACKAGES = /^(node-llama-cpp|onnxruntime-|@huggingface\/transformers)/;

/** Invariant 5. */
export function findModelLoaders(modules: Module[]): Complaints {
  return complainAboutImports(modules, ({ path }, { specifier, target }) => {
    if (NATIVE_FILES.test(path) || path.startsWith("lib/worker/")) return null;
    if (NATIVE_PACKAGES.test(specifier)) {
      return "only llama_*, native/* and onnx_* files of lib/inference and the worker may load native code";
    }
    return target !== null && NATIVE_FILES.test(target) ? "only the worker loads a model" : null;
  });
}

/**
 * Exports that nothing needs. One is needed when a file other than its own test imports it, when its own test imports
 * it and its own file uses it too, or when it is a type that its own file uses in what it exports.
 */
export function findDeadExports(modules: Module[]): Complaints {
  const used = new Set<string>();
  const tested = new Set<string>();
  for (const { path, imports } of modules) {
    for (const { target, names } of imports) {
      const isOwnTest = target !== null && path === target.replace(/\.ts$/, "_test.ts");
      for (const name of names ?? ["*"]) (isOwnTest ? tested : used).add(`${target} ${name}`);
    }
  }
  return modules.filter(({ path }) => !isEntryPoint(path)).flatMap(({ path, code, exports }) =>
    exports.filter(({ name }) => {
      if (used.has(`${path} ${name}`) || used.has(`${path} *`)) return false;
      const sameName = exports.filter((other) => other.name === name);
      if (code.filter(({ text }) => text === name).length <= sameName.length) return true;
      return !sameName.some(({ kind }) => kind === "type") && !tested.has(`${path} ${name}`);
    }).map(({ name, line }) => `${path}:${line} exports ${name}, which nothing needs`)
  );
}
