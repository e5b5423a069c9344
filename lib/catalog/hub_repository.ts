import { z } from "zod";
import { ModelId, type ModelManifest, SourceText } from "../contracts/manifest.ts";
import { DomainError } from "../errors.ts";
import type { GgufHeader } from "./gguf_header.ts";
import { estimateMemoryBytes, toAttentionLayers } from "./memory_need.ts";
import type { HubAccess } from "./pull_file.ts";
import { fetchFollowing } from "./redirects.ts";

/** What people write to name a model on a hub. */
export interface HubName {
  owner: string;
  repository: string;
  /** A quantization such as `Q4_K_M`, or a file's name; null leaves the choice to us. */
  wanted: string | null;
}

const part = "[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9])?";
const HUB_NAME = new RegExp(
  `^(?:(?:https?://)?(?:hf\\.co|huggingface\\.co)/|hf:)(${part})/(${part})(?::([\\w.-]+))?$`,
  "i",
);

/** Reads `hf.co/owner/repo[:quant]`, `huggingface.co/…` and `hf:owner/repo[:quant]`; null for anything else. */
export function parseHubName(text: string): HubName | null {
  const match = HUB_NAME.exec(text.trim());
  if (match === null || text.length > 256) return null;
  return { owner: match[1]!, repository: match[2]!, wanted: match[3] ?? null };
}

/** Taken in this order when nobody asks for another: the usual balance of size and quality first. */
const PREFERRED = ["q4_k_m", "q4_0", "q8_0"];
const LIST_BYTES_MAX = 8 * 1024 * 1024;
const LIST_TIMEOUT_MS = 30_000;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/).nullish().catch(null);

/** `GET /api/models/{owner}/{repo}?blobs=true`, as far as it is needed. */
const Repository = z.object({
  /** The repository's own spelling of its name. */
  id: z.string().regex(new RegExp(`^${part}/${part}$`)),
  /** The commit that the list is of. */
  sha: z.string().regex(/^[0-9a-f]{40}$/).nullish(),
  cardData: z.object({
    license: z.union([z.string(), z.array(z.string())]).nullish().catch(null),
    license_name: z.string().nullish().catch(null),
  }).nullish().catch(null),
  gguf: z.object({ context_length: z.number().int().positive().nullish().catch(null) }).nullish().catch(null),
  siblings: z.array(z.object({
    rfilename: z.string(),
    size: z.number().int().positive().nullish().catch(null),
    lfs: z.object({ sha256, oid: sha256 }).nullish().catch(null),
  })).max(100_000),
});
type Repository = z.infer<typeof Repository>;

/** A GGUF file of a repository. */
interface HubFile {
  path: string;
  sizeBytes: number | null;
  sha256: string | null;
  /** Its quantization in lower case, or its name when that says none. */
  quantization: string;
  /** More than one when the model is split. */
  pieces: number;
}

/** What asking a hub needs. */
export interface HubContext {
  fetch: typeof fetch;
  hub: HubAccess;
  signal: AbortSignal;
}

/**
 * Makes a manifest of a name on a hub: asks the hub for the repository's GGUF files and takes the one that was asked for,
 * else Q4_K_M, Q4_0, Q8_0 or the only one. Size and SHA-256 are the hub's, and the revision is pinned. See Hugging Face's
 * Hub API.
 *
 * @throws {DomainError} `model_not_found` when there is no such repository, file or quantization, with what there is;
 *   `pull_failed` when the hub denies access or cannot be asked.
 */
export async function describeHubModel(name: HubName, context: HubContext): Promise<ModelManifest> {
  const repository = await fetchRepository(name, context);
  const file = chooseFile(name, listFiles(repository));
  const title = repository.id.split("/")[1]!.replace(/[-_.]gguf$/i, "");
  const id = `${title}-${file.quantization}`.toLowerCase();
  const revision = repository.sha === null || repository.sha === undefined ? "" : `@${repository.sha}`;
  const source = `hf:${repository.id}${revision}/${file.path}`;
  if (!ModelId.safeParse(id).success || !SourceText.safeParse(source).success) {
    throw new DomainError(
      "pull_failed",
      `Cannot pull ${show(name)}: ${file.path} has a name that Rookery cannot store`,
    );
  }
  return {
    id,
    name: `${title} ${file.quantization.toUpperCase()}`,
    kind: "chat",
    engine: "llama",
    licence: readLicence(repository, pageOf(name, context.hub)),
    contextTokens: repository.gguf?.context_length ?? null,
    memoryBytes: null,
    attention: null,
    parameters: null,
    goodAt: [],
    files: [{ name: `${id}.gguf`, sizeBytes: file.sizeBytes, sha256: file.sha256, sources: [source] }],
  };
}

/** Where people read and accept a licence; a mirror without encryption is no place for that. */
function pageOf({ owner, repository }: HubName, { hfEndpoint }: HubAccess): string {
  const hub = hfEndpoint.startsWith("https:") ? hfEndpoint : "https://huggingface.co";
  return `${hub}/${owner}/${repository}`;
}

function show({ owner, repository, wanted }: HubName): string {
  return `hf.co/${owner}/${repository}${wanted === null ? "" : `:${wanted}`}`;
}

async function fetchRepository(name: HubName, { fetch, hub, signal }: HubContext): Promise<Repository> {
  const url = `${hub.hfEndpoint}/api/models/${name.owner}/${name.repository}?blobs=true`;
  const fail = (reason: string, cause?: unknown): DomainError =>
    new DomainError("pull_failed", `Cannot pull ${show(name)}: ${reason}`, { cause });
  let text: string;
  try {
    const { response } = await fetchFollowing({
      url,
      headers: { accept: "application/json", "user-agent": "rookery" },
      token: hub.hfToken,
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIST_TIMEOUT_MS)]),
    }, fetch);
    refuseStatus(response, { name, hub });
    text = await readText(response);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DomainError && error.message.startsWith("Cannot")) throw error;
    throw fail(
      `${new URL(url).host} cannot be asked (${error instanceof Error ? error.message : String(error)})`,
      error,
    );
  }
  const result = Repository.safeParse(parseJson(text));
  if (!result.success) throw fail(`${new URL(url).host} answers with something else than a list of files`);
  return result.data;
}

function refuseStatus(response: Response, { name, hub }: { name: HubName; hub: HubAccess }): void {
  const { status } = response;
  if (status === 200) return;
  if (status === 404) {
    throw new DomainError("model_not_found", `Cannot pull ${show(name)}: the hub has no such repository`);
  }
  if (status === 401 || status === 403) {
    // The hub answers so for repositories that do not exist, too, when nobody is logged in.
    throw new DomainError(
      "pull_failed",
      `Cannot pull ${show(name)}: the hub answers ${status}: either there is no such repository, or it wants a ` +
        `licence to be accepted: see ${pageOf(name, hub)}, and set HF_TOKEN`,
    );
  }
  throw new DomainError("pull_failed", `Cannot pull ${show(name)}: the hub answers ${status}; try again later`);
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const bytes of response.body ?? []) {
    size += bytes.length;
    if (size > LIST_BYTES_MAX) throw new Error(`its answer is larger than ${LIST_BYTES_MAX} bytes`);
    chunks.push(bytes);
  }
  return await new Blob(chunks).text();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The models among a repository's files: projectors and importance matrices are none. */
function listFiles({ siblings }: Repository): HubFile[] {
  const ggufs = siblings.filter(({ rfilename }) => /\.gguf$/i.test(rfilename) && !isCompanion(rfilename));
  const files = ggufs.map(({ rfilename, size, lfs }) => ({
    path: rfilename,
    sizeBytes: size ?? null,
    sha256: lfs?.sha256 ?? lfs?.oid ?? null,
    quantization: readQuantization(rfilename),
    pieces: Number(/-\d{5}-of-(\d{5})\.gguf$/i.exec(rfilename)?.[1] ?? 1),
  }));
  // Of a split model the first piece stands for all.
  return files.filter(({ path, pieces }) => pieces === 1 || /-00001-of-\d{5}\.gguf$/i.test(path));
}

function isCompanion(path: string): boolean {
  return /(?:^|[/._-])(?:mmproj|imatrix)(?:[._-]|$)/i.test(path);
}

/** `Qwen3-4B-Q4_K_M.gguf` → `q4_k_m`, `UD-Q4_K_XL` with its prefix; else the file's name without its ending. */
function readQuantization(path: string): string {
  const stem = path.split("/").at(-1)!.replace(/(?:-\d{5}-of-\d{5})?\.gguf$/i, "");
  const match = /(?:^|[-._])((?:ud-)?(?:i?q\d(?:_[a-z0-9]+)*|tq\d_\d|mxfp4(?:_moe)?|nvfp4|bf16|f16|fp16|f32))$/i.exec(
    stem,
  );
  return (match?.[1] ?? stem).toLowerCase();
}

function chooseFile(name: HubName, files: HubFile[]): HubFile {
  const there = describeChoice(files);
  const fail = (reason: string): DomainError =>
    new DomainError("model_not_found", `Cannot pull ${show(name)}: ${reason}`);
  if (files.length === 0) throw fail("the repository holds no GGUF model; look for one whose name ends in GGUF");
  const wanted = name.wanted?.toLowerCase().replace(/\.gguf$/, "") ?? null;
  const named = (text: string) => files.filter((file) => file.quantization === text || stemOf(file) === text);
  const candidates = wanted === null || wanted === "latest"
    ? PREFERRED.map(named).find((matches) => matches.length > 0) ?? files
    : named(wanted);
  if (candidates.length === 0) throw fail(`there is no ${name.wanted}; there is ${there}`);
  const whole = candidates.filter(({ pieces }) => pieces === 1);
  if (whole.length === 0) {
    const { path, pieces } = candidates[0]!;
    throw fail(
      `${path} is one of ${pieces} pieces, and Rookery takes models of one file: choose another of ${there}, or join ` +
        "them with llama-gguf-split --merge and import the result",
    );
  }
  if (whole.length > 1) {
    throw fail(`choose one of ${describeChoice(whole)} by putting it behind the name, e.g. ${example(name, whole)}`);
  }
  return whole[0]!;
}

function stemOf({ path }: HubFile): string {
  return path.split("/").at(-1)!.replace(/\.gguf$/i, "").toLowerCase();
}

/** What can be written behind the name: a quantization, or a file's name where two files have the same. */
function labelOf(file: HubFile, files: HubFile[]): string {
  const isAmbiguous = files.some((other) => other !== file && other.quantization === file.quantization);
  return isAmbiguous ? stemOf(file) : file.quantization.toUpperCase();
}

function describeChoice(files: HubFile[]): string {
  return files.map((file) => labelOf(file, files)).sort().join(", ");
}

function example(name: HubName, files: HubFile[]): string {
  return show({ ...name, wanted: labelOf(files[0]!, files) });
}

function readLicence({ cardData }: Repository, page: string): ModelManifest["licence"] {
  const { license, license_name } = cardData ?? {};
  const name = (Array.isArray(license) ? license[0] : license) ?? null;
  const shown = name === "other" ? license_name ?? name : name;
  return shown === null || shown.trim() === "" ? null : { name: shown, url: page };
}

/** Most context that `memoryBytes` of a manifest counts: see `ModelManifest`. */
const GUIDE_TOKENS = 8_192;

/** Adds to a hub model's manifest what its file says of itself. */
export function completeManifest(
  manifest: ModelManifest,
  { header, weightsBytes }: { header: GgufHeader; weightsBytes: number },
): ModelManifest {
  const attention = header.attention === null ? null : toAttentionLayers(header.attention);
  const contextTokens = Math.min(header.contextTokensTrained, GUIDE_TOKENS);
  return {
    ...manifest,
    kind: header.kind,
    contextTokens: header.contextTokensTrained,
    attention,
    memoryBytes: attention === null ? null : estimateMemoryBytes({ weightsBytes, attention, contextTokens }),
  };
}
