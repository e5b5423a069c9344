import { pairBrackets, scanTokens, type Token, withoutComments } from "./tokens.ts";

/** A text file of the project; `path` is relative to its root, with `/`. */
export interface TextFile {
  path: string;
  text: string;
}

/** One `import`, `export … from` or `import()`; `names` is null when it takes everything. */
export interface ModuleImport {
  specifier: string;
  /** The project file it names, or null when it is a package. */
  target: string | null;
  names: string[] | null;
  line: number;
}

export interface ModuleExport {
  name: string;
  kind: "type" | "value";
  line: number;
  documented: boolean;
}

/** A TypeScript file, scanned. `code` is `tokens` without comments. */
export interface Module extends TextFile {
  tokens: Token[];
  code: Token[];
  imports: ModuleImport[];
  exports: ModuleExport[];
}

/** Scans a TypeScript file; throws a `SyntaxError` that names it when that fails. */
export function scanModule({ path, text }: TextFile): Module {
  try {
    const tokens = scanTokens(text);
    const code = withoutComments(tokens);
    return { path, text, tokens, code, imports: findImports(path, code), exports: findExports(tokens) };
  } catch (error) {
    throw new SyntaxError(`${path}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Indices of the words `word` that stand outside of every bracket. */
function findAtTop(tokens: Token[], word: string): number[] {
  const pairs = pairBrackets(tokens);
  const indices: number[] = [];
  for (let at = 0; at < tokens.length; at = (pairs.get(at) ?? at) + 1) {
    if (tokens[at]?.kind === "word" && tokens[at]?.text === word) indices.push(at);
  }
  return indices;
}

function findImports(path: string, code: Token[]): ModuleImport[] {
  const imports: ModuleImport[] = [];
  const add = (at: number, names: string[] | null, token: Token) => {
    const specifier = token.text.slice(1, -1);
    imports.push({ specifier, target: resolve(path, specifier), names, line: code[at]?.line ?? 0 });
  };
  for (const at of [...findAtTop(code, "import"), ...findAtTop(code, "export")]) {
    const from = findFrom(code, at);
    if (from !== null) add(at, readNames(code.slice(at + 1, from)), code[from] as Token);
  }
  for (const [at, token] of code.entries()) {
    const argument = code[at + 2];
    const isCall = token.text === "import" && code[at + 1]?.text === "(";
    if (isCall && argument?.kind === "string") add(at, null, argument);
  }
  return imports;
}

/** Index of the module name of the `import` or `export … from` at `at`, or null when it has none. */
function findFrom(code: Token[], at: number): number | null {
  const next = code[at + 1];
  if (code[at]?.text === "import" && next?.kind === "string") return at + 1;
  for (let index = at + 1; index < code.length; index++) {
    const { kind, text } = code[index] as Token;
    if (text === "from" && code[index + 1]?.kind === "string") return index + 1;
    if (kind !== "word" && !/^[{},*]$/.test(text)) return null;
    if (/^(const|let|function|class|interface|enum|default|async|abstract)$/.test(text)) return null;
  }
  return null;
}

/** The exported names that an import clause takes, or null for all. */
function readNames(clause: Token[]): string[] | null {
  const words = clause.map(({ text }) => text).filter((text) => text !== "from");
  if (words[0] === "type" && words.length > 1 && words[1] !== ",") words.shift();
  if (words.includes("*")) return null;
  const open = words.indexOf("{");
  const names = open !== 0 && words.length > 0 ? ["default"] : [];
  if (open === -1) return names;
  for (const part of words.slice(open + 1, words.indexOf("}")).join(" ").split(",")) {
    const name = part.trim().replace(/^type (?!as\b)/, "").split(" ")[0] ?? "";
    if (name !== "") names.push(name);
  }
  return names;
}

function resolve(path: string, specifier: string): string | null {
  if (!/^\.{0,2}\//.test(specifier)) return null;
  return new URL(specifier, `file:///${path}`).pathname.slice(1);
}

const DECLARATION = /^(function|class|const|let|var|type|interface|enum|namespace)$/;

function findExports(tokens: Token[]): ModuleExport[] {
  const exports: ModuleExport[] = [];
  for (const at of findAtTop(tokens, "export")) {
    const line = tokens[at]?.line ?? 0;
    const documented = tokens[at - 1]?.kind === "doc";
    const rest = tokens.slice(at + 1, at + 400).filter(({ kind }) => kind !== "comment" && kind !== "doc");
    const declared = rest.findIndex(({ text }) => !/^(async|abstract|declare)$/.test(text));
    const word = rest[declared]?.text ?? "";
    if (word === "default") exports.push({ name: "default", kind: "value", line, documented });
    else if (DECLARATION.test(word) && rest[declared + 1]?.text !== "{") {
      const name = rest.slice(declared + 1).find(({ text }) => text !== "*")?.text ?? "";
      exports.push({ name, kind: /^(type|interface)$/.test(word) ? "type" : "value", line, documented });
    } else {
      for (const name of readListed(rest)) exports.push({ name, kind: "value", line, documented: true });
    }
  }
  return exports;
}

/** The names of `export { a, type b as c }`. */
function readListed(tokens: Token[]): string[] {
  const open = tokens.findIndex(({ text }) => text === "{");
  const close = tokens.findIndex(({ text }) => text === "}");
  if (open === -1 || open > 1) return [];
  const parts = tokens.slice(open + 1, close).map(({ text }) => text).join(" ").split(",");
  return parts.map((part) => part.trim().split(" ").at(-1) ?? "").filter((name) => name !== "");
}
