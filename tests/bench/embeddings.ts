import { EMBED_BATCH_MAX } from "../../lib/inference/engine.ts";
import { BATCH_TOKENS_MAX } from "../../lib/inference/embedding_batches.ts";
import { WordSource } from "./client.ts";
import { takeTurns } from "./rounds.ts";
import { type Server, startRookery } from "./servers.ts";
import { type Comparison, renderTable } from "./table.ts";

/** The model that is measured, and its longest input. */
export const EMBEDDING_MODEL = "all-minilm-l6-v2";
const TOKENS_MAX = 256;

/** The onnxruntime that the npm package has inside, so that only what is around it differs. */
const PYTHON_PACKAGES = ["onnxruntime==1.30.0", "tokenizers==0.23.3", "numpy==2.4.6"];

/** Which texts are embedded; the model cuts them at its longest input, of which chunks have more. */
const TEXTS = {
  // Enough texts for some seconds of work; words are invented ones.
  chunks: { count: 64, words: 120 },
  short: { count: 512, words: 3 },
};

type Kind = keyof typeof TEXTS;

const COMPARISON: Comparison<Kind> = {
  own: "Rookery",
  other: "Python",
  rows: [
    { label: `chunks of ${TOKENS_MAX} tokens`, key: "chunks", unit: "/s", divisor: 1, digits: 1 },
    { label: "texts of 3 words", key: "short", unit: "/s", divisor: 1, digits: 1 },
  ],
};

/** What embeds: texts in, seconds out. */
type Embed = (texts: string[]) => Promise<number>;

/**
 * Measures how many texts a second Rookery embeds over HTTP, and in turns with it a Python process that does the same
 * with onnxruntime and tokenizers; returns a table in Markdown.
 */
export async function measureEmbeddings(folder: string, rounds: number): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const data = `${folder}/rookery-${EMBEDDING_MODEL}`;
  await pull(data);
  const path = `${data}/models/${EMBEDDING_MODEL}`;
  const server = stack.use(await startRookery({ id: EMBEDDING_MODEL, path, embeds: true }, folder));
  const python = await providePython(`${folder}/python-embeddings`);
  const other = typeof python === "string" ? stack.use(new PythonEmbedder(python, path)) : null;
  const own: Embed = (texts) => embedWithRookery(server, texts);
  const measure = (embed: Embed) => (round: number) => measureTexts(embed, round);
  const turns = { own: measure(own), other: other === null ? null : measure(other.embed) };
  // The first round fills caches.
  const [, ...measured] = await takeTurns(rounds + 1, turns);
  const beside = typeof python === "string"
    ? `${PYTHON_PACKAGES.join(", ")}, batches as Rookery's.`
    : `Python is left out: ${python.missing}`;
  return `${beside}\n\n${renderTable(measured, COMPARISON)}`;
}

/** Texts a second, of each kind; those of one round are the same for everybody. */
async function measureTexts(embed: Embed, round: number): Promise<Record<Kind, number>> {
  const speeds = { chunks: 0, short: 0 };
  for (const kind of ["chunks", "short"] as const) {
    const { count, words } = TEXTS[kind];
    const source = new WordSource(`${kind} ${round}`);
    const texts = Array.from({ length: count }, () => source.take(words));
    speeds[kind] = count / await embed(texts);
  }
  return speeds;
}

async function embedWithRookery(server: Server, texts: string[]): Promise<number> {
  const body = JSON.stringify({ model: EMBEDDING_MODEL, input: texts, truncate: true });
  const headers = { "content-type": "application/json" };
  const startedAt = performance.now();
  const response = await fetch(`${server.url}/api/embed`, { method: "POST", headers, body });
  const { embeddings } = await response.json();
  if (embeddings?.length !== texts.length) throw new Error(`Rookery answers ${response.status} without embeddings`);
  return (performance.now() - startedAt) / 1000;
}

async function pull(data: string): Promise<void> {
  const args = ["run", "--no-prompt", "-A", "cli/models/main.ts", "pull", EMBEDDING_MODEL];
  if (!await run(Deno.execPath(), args, { ROOKERY_DATA: data })) throw new Error(`Cannot pull ${EMBEDDING_MODEL}`);
}

/** Makes a Python environment of its own, once; returns its interpreter, or why there is none. */
async function providePython(folder: string): Promise<string | { missing: string }> {
  const interpreter = `${folder}/bin/python`;
  const isThere = () => run(interpreter, ["-c", "import numpy, onnxruntime, tokenizers"], {});
  if (await isThere()) return interpreter;
  if (!await run("python3", ["-m", "venv", folder], {})) return { missing: "python3 with venv is not installed" };
  await run(interpreter, ["-m", "pip", "install", "--quiet", ...PYTHON_PACKAGES], {});
  return await isThere() ? interpreter : { missing: `pip cannot install ${PYTHON_PACKAGES.join(", ")}` };
}

async function run(path: string, args: string[], env: Record<string, string>): Promise<boolean> {
  try {
    return (await new Deno.Command(path, { args, env, stdin: "null", stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false; // There is no such program.
  }
}

class PythonEmbedder implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;

  constructor(interpreter: string, model: string) {
    const script = new URL("./embed.py", import.meta.url).pathname;
    const args = [script, model, `${TOKENS_MAX}`, `${BATCH_TOKENS_MAX}`, `${EMBED_BATCH_MAX}`];
    this.#child = new Deno.Command(interpreter, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  readonly embed: Embed = async (texts) => {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(texts)}\n`));
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error("Python ended");
      line += value;
    }
    return Number(line);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#output.cancel();
    await this.#child.status;
  }
}
