/** How often and how long a server is asked whether it is there, until a model of several gigabytes is loaded. */
const POLL_MS = 250;
const START_LIMIT_MS = 300_000;

/** How long a server may take to end by itself. */
const END_LIMIT_MS = 20_000;

/** A server under measurement. */
export interface Server extends AsyncDisposable {
  name: string;
  url: string;
  /** Resident memory of the process and of all that it started, in bytes. */
  measureMemory(): Promise<number>;
  /** Ends the server as its user would and starts it again. */
  restart(): Promise<void>;
}

/** What both servers are made to serve. */
export interface ServedModel {
  id: string;
  path: string;
  /** It embeds, and lies in the folder of models already. */
  embeds?: true;
}

/** What Rookery says it serves; llama-server is given the same. */
export interface ServedContext {
  contextTokens: number;
  sequences: number;
}

/** Starts Rookery as users do, with `deno task start` and its defaults, on data of its own below `folder`. */
export async function startRookery(model: ServedModel, folder: string): Promise<Server> {
  const data = `${folder}/rookery-${model.id}`;
  await Deno.mkdir(`${data}/models`, { recursive: true });
  // What an earlier run kept of the same prompts would be read instead of them.
  await Deno.remove(`${data}/kv`, { recursive: true }).catch(() => {});
  const place = `${data}/models/${model.id}.gguf`;
  if (!model.embeds) {
    await Deno.link(model.path, place).catch(async (error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) await Deno.copyFile(model.path, place);
    });
  }
  const port = findFreePort();
  const env = { PORT: `${port}`, ROOKERY_DATA: data, ROOKERY_MODEL: model.id };
  const args = ["task", "--quiet", "start"];
  return await start({ name: "Rookery", path: Deno.execPath(), args, env, port, model, isLauncher: true });
}

/** The flags that llama-server gets: the model, where to listen, and Rookery's context and conversations. */
export function llamaServerFlags({ contextTokens, sequences }: ServedContext): string[] {
  return ["--ctx-size", `${contextTokens * sequences}`, "--parallel", `${sequences}`];
}

/** Starts llama-server with its defaults, apart from {@linkcode llamaServerFlags}. */
export async function startLlamaServer(model: ServedModel, path: string, context: ServedContext): Promise<Server> {
  const port = findFreePort();
  const args = ["--model", model.path, "--host", "127.0.0.1", "--port", `${port}`, ...llamaServerFlags(context)];
  return await start({ name: "llama-server", path, args, env: {}, port, model, isLauncher: false });
}

/** Asks Rookery, through Ollama's API, for the context that it serves, and through `/status` for its conversations. */
export async function readServedContext({ url }: Server): Promise<ServedContext> {
  const status = await (await fetch(`${url}/status`)).json();
  const { contextTokensMax, sequences } = status.model ?? {};
  if (!Number.isInteger(contextTokensMax) || !Number.isInteger(sequences)) {
    throw new Error(`Cannot read the context from /status: ${JSON.stringify(status)}`);
  }
  return { contextTokens: contextTokensMax, sequences };
}

interface StartOptions {
  name: string;
  path: string;
  args: string[];
  env: Record<string, string>;
  port: number;
  model: ServedModel;
  /** Whether the process only starts the server, so that its own memory is not counted. */
  isLauncher: boolean;
}

/** A server's process, once it answers. */
interface Started {
  pid: number;
  end(): Promise<void>;
}

async function start(options: StartOptions): Promise<Server> {
  const url = `http://127.0.0.1:${options.port}`;
  let process = await startProcess(options, url);
  return {
    name: options.name,
    url,
    measureMemory: () => measureTree(process.pid, options.isLauncher),
    async restart() {
      await process.end();
      process = await startProcess(options, url);
    },
    async [Symbol.asyncDispose]() {
      await process.end();
    },
  };
}

async function startProcess({ name, path, args, env, model }: StartOptions, url: string): Promise<Started> {
  const child = new Deno.Command(path, { args, env, stdin: "null", stdout: "null", stderr: "null" }).spawn();
  let ended = false;
  const status = child.status.then(() => ended = true);
  const end = async () => {
    if (!ended) child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), END_LIMIT_MS);
    await status;
    clearTimeout(timer);
  };
  const deadline = performance.now() + START_LIMIT_MS;
  while (!(await answers(url, model))) {
    if (ended) throw new Error(`${name} ended while it started: ${path} ${args.join(" ")}`);
    if (performance.now() > deadline) {
      await end();
      throw new Error(`${name} does not answer after ${START_LIMIT_MS / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return { pid: child.pid, end };
}

/** Whether a server answers a chat or embeds: its model is loaded, and calibrated where it does that. */
async function answers(url: string, { id, embeds }: ServedModel): Promise<boolean> {
  try {
    const headers = { "content-type": "application/json" };
    if (embeds) {
      const body = JSON.stringify({ model: id, input: "Hello" });
      const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body });
      return response.ok && (await response.text()).includes('"embedding"');
    }
    const body = JSON.stringify({ model: id, messages: [{ role: "user", content: "Hello" }], max_tokens: 1 });
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    // Rookery sends its headers while the model is still being loaded: only a whole answer shows that it is there.
    return response.ok && (await response.text()).includes('"finish_reason"');
  } catch {
    return false;
  }
}

function findFreePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Adds up VmRSS of the descendants of a process, and its own unless `isLauncher`, from /proc (Linux). */
async function measureTree(root: number, isLauncher: boolean): Promise<number> {
  const parents = new Map<number, number>();
  const memory = new Map<number, number>();
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await Deno.readTextFile(`/proc/${name}/status`).catch(() => "");
    parents.set(Number(name), Number(/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? 0));
    memory.set(Number(name), 1024 * Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0));
  }
  let sum = 0;
  for (const [pid, bytes] of memory) {
    let ancestor: number | undefined = pid;
    while (ancestor !== undefined && ancestor > 1 && ancestor !== root) ancestor = parents.get(ancestor);
    if (ancestor === root && !(isLauncher && pid === root)) sum += bytes;
  }
  return sum;
}
