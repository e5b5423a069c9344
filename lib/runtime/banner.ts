import { formatBytes } from "../catalog/progress.ts";
import type { ModelDescription } from "../contracts/model.ts";

/** What the banner tells. */
export interface BannerParts {
  /** Address to type into clients on this machine, without a slash at its end. */
  url: string;
  model: ModelDescription;
  /** Whether clients must send a key. */
  keyed: boolean;
  /** Whether accounts and conversations are in the folder of data, or on a server. */
  embedded: boolean;
  /** What the first account is made with from another machine, or null when nobody needs it. */
  firstToken: string | null;
  /** How this Deno is called, e.g. `deno`. */
  deno: string;
  /** The model to recommend when the starter is served; null when something else is. */
  biggerModelId: string | null;
}

/** What people read when Rookery is ready: where it is, what it serves, and how to connect what they have. */
export function renderBanner(parts: BannerParts): string {
  const { url, model, keyed, embedded, firstToken, deno, biggerModelId } = parts;
  const context = model.contextTokensMax.toLocaleString("en-US");
  const key = keyed ? "the value of ROOKERY_API_KEY" : "not needed; any text will do";
  const lines = [
    "",
    `Rookery is ready at ${url}`,
    "",
    `  Model         ${model.name} ("${model.id}"), ${model.quantization}, ${formatBytes(model.sizeBytes)}`,
    `  Context       ${context} tokens a conversation, ${model.sequences} conversations at once`,
    `  API key       ${key}`,
    `  Database      ${embedded ? "embedded, in the folder of data" : "the server of DATABASE_URL"}`,
    "",
    "Connect",
    `  Copilot Chat  settings.json: "github.copilot.chat.byok.ollamaEndpoint": "${url}", then "Manage Models…" → Ollama`,
    `                or "Manage Models…" → Custom Endpoint (Chat Completions): ${url}/v1/chat/completions`,
    `  Ollama        OLLAMA_HOST=${url} ollama run ${model.id}`,
    `  OpenAI        base_url="${url}/v1", model="${model.id}"`,
    `  Terminal      ${deno} task chat`,
    "",
  ];
  if (firstToken !== null) lines.push(...renderFirst(url, firstToken));
  if (biggerModelId !== null) lines.push(...renderBigger(deno, biggerModelId));
  lines.push("Ctrl-C ends it.", "");
  return lines.join("\n");
}

function renderFirst(url: string, token: string): string[] {
  return [
    "There is no account yet. The first one is the administrator's; it is made with this, once:",
    `  POST ${url}/api/auth/signup {"email": "…", "password": "…", "token": "${token}"}`,
    "",
  ];
}

function renderBigger(deno: string, id: string): string[] {
  return [
    "This starter model is for trying out. For real work get a bigger one, and start with it:",
    `  ${deno} task models pull ${id}`,
    `  ROOKERY_MODEL=${id} ${deno} task start`,
    "",
  ];
}

/** How people call the Deno that runs this: as `deno`, or through npx when it lives in an npm cache. */
export function nameDeno(execPath: string, version: string): string {
  return /[\\/]_npx[\\/]/.test(execPath) ? `npx -y deno@${version}` : "deno";
}

/** The address that a client on this machine uses; one that stands for all of a machine's is reached by loopback. */
export function nameUrl(hostname: string, port: number, { tls = false }: { tls?: boolean } = {}): string {
  const host = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
