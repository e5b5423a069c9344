import { z } from "zod";
import { ModelCapabilities, type ModelDescription, ModelKind } from "../contracts/model.ts";

/** Whose API a server speaks beside OpenAI's, as its models say by `owned_by`. */
export type RemoteDialect = "llama.cpp" | "ollama" | "rookery" | "vllm" | "other";

/** A model of another server. */
export interface RemoteModel {
  /** What the server calls it. */
  id: string;
  dialect: RemoteDialect;
  /** What Rookery's clients see; its id is `<server's name>/<model's id>`. */
  description: ModelDescription;
}

/** Asks the server for JSON; rejects when it refuses or cannot be reached. */
export type AskRemote = (path: string, body?: object) => Promise<unknown>;

/** Where the names of models begin, and how the server is asked. */
export interface RemoteSource {
  name: string;
  ask: AskRemote;
}

/** Most models of one server; more are left out. */
const MODELS_MAX = 1_000;

/** Models whose details are asked for at the same time. */
const ASKED_AT_ONCE = 8;

/** Longest id that requests can name, by the contract. */
const ID_CHARACTERS_MAX = 256;

/** Context of a model whose server does not say: Ollama's default, and less than any that is served today. */
const CONTEXT_TOKENS_UNKNOWN = 4_096;

/** Context from which on tools can be offered: agents' prompts do not fit into less. */
const TOOLS_CONTEXT_TOKENS_MIN = 16_384;

const DIALECTS: Record<string, RemoteDialect> = {
  llamacpp: "llama.cpp",
  library: "ollama",
  rookery: "rookery",
  vllm: "vllm",
};

const count = z.number().int().min(0).nullable().catch(null);
const text = z.string().nullable().catch(null);

/** An entry of `/v1/models`, with what llama-server (`meta`), vLLM (`max_model_len`) and Rookery add. */
const Entry = z.object({
  id: z.string().min(1),
  name: text.default(null),
  owned_by: text.default(null),
  created: count.default(null),
  context_length: count.default(null),
  max_model_len: count.default(null),
  kind: ModelKind.nullable().catch(null).default(null),
  capabilities: ModelCapabilities.nullable().catch(null).default(null),
  dimensions: count.default(null),
  meta: z.object({
    n_ctx: count.default(null),
    n_ctx_train: count.default(null),
    n_params: count.default(null),
    size: count.default(null),
    n_embd: count.default(null),
    ftype: text.default(null),
  }).nullable().catch(null).default(null),
});
type Entry = z.infer<typeof Entry>;

const ModelList = z.object({ data: z.array(z.unknown()) });

/** llama-server's `/props`. */
const Props = z.object({
  total_slots: count.default(null),
  chat_template: text.default(null),
  chat_template_caps: z.object({ supports_tools: z.boolean().catch(false).default(false) }).nullable().catch(null)
    .default(null),
  modalities: z.object({ vision: z.boolean().catch(false).default(false) }).nullable().catch(null).default(null),
  default_generation_settings: z.object({ n_ctx: count.default(null) }).nullable().catch(null).default(null),
});

/** Ollama's `/api/show`, which Rookery answers as well. */
const Show = z.object({
  capabilities: z.array(z.string()).nullable().catch(null).default(null),
  parameters: text.default(null),
  details: z.object({ family: text.default(null), quantization_level: text.default(null) }).nullable().catch(null)
    .default(null),
  model_info: z.record(z.string(), z.unknown()).nullable().catch(null).default(null),
});

/** What a server says of a model beside its entry in the list; null is what it does not say. */
interface Details {
  kind: ModelKind | null;
  capabilities: ModelCapabilities | null;
  contextTokens: number | null;
  contextTokensTrained: number | null;
  dimensions: number | null;
  architecture: string | null;
  quantization: string | null;
  parameters: number | null;
  chatTemplate: string | null;
  sequences: number | null;
}

const NO_CAPABILITIES: ModelCapabilities = { tools: false, reasoning: false, vision: false, infill: false };

const NO_DETAILS: Details = {
  kind: null,
  capabilities: null,
  contextTokens: null,
  contextTokensTrained: null,
  dimensions: null,
  architecture: null,
  quantization: null,
  parameters: null,
  chatTemplate: null,
  sequences: null,
};

/**
 * The models of a server as they are served there. It asks for the list, and of each model that was not known before
 * (by its id and the time it was created) for what the dialect tells beside that.
 *
 * @throws {Error} what `ask` throws for the list; a list that is none; details that cannot be had are left out.
 */
export async function readRemoteModels(
  { name, ask }: RemoteSource,
  known: readonly RemoteModel[],
): Promise<RemoteModel[]> {
  const { data } = ModelList.parse(await ask("/v1/models"));
  const entries = data.slice(0, MODELS_MAX).map((item) => Entry.safeParse(item).data ?? null)
    .filter((entry) => entry !== null).filter((entry) => !isPassedOn(entry));
  const models: RemoteModel[] = [];
  for (let at = 0; at < entries.length; at += ASKED_AT_ONCE) {
    const some = entries.slice(at, at + ASKED_AT_ONCE);
    models.push(...await Promise.all(some.map((entry) => describeEntry(entry, { name, ask, known }))));
  }
  return models.filter(({ description }) => description.id.length <= ID_CHARACTERS_MAX);
}

async function describeEntry(
  entry: Entry,
  { name, ask, known }: RemoteSource & { known: readonly RemoteModel[] },
): Promise<RemoteModel> {
  const dialect = DIALECTS[entry.owned_by ?? ""] ?? "other";
  const id = `${name}/${nameModel(entry.id)}`;
  const modifiedAtMs = (entry.created ?? 0) * 1_000;
  const before = known.find(({ description }) => description.id === id);
  // llama-server's `created` is the time of the question.
  const same = dialect === "llama.cpp" || before?.description.modifiedAtMs === modifiedAtMs;
  if (before !== undefined && same) return before;
  const details = await readDetails(entry, dialect, ask);
  return { id: entry.id, dialect, description: describe(entry, { id, details, modifiedAtMs }) };
}

/** Another Rookery's own ids have no slash. What it passes on may be asked directly, and may even come from here. */
function isPassedOn({ id, owned_by }: Entry): boolean {
  return owned_by === "rookery" && id.includes("/");
}

/** llama-server calls a model that has no alias by its path. */
function nameModel(id: string): string {
  return /^(\/|[a-z]:\\)/i.test(id) ? id.replace(/^.*[/\\]/, "").replace(/\.gguf$/i, "") : id;
}

async function readDetails(entry: Entry, dialect: RemoteDialect, ask: AskRemote): Promise<Details> {
  try {
    // vLLM does not tell; where it was started without tools, it refuses them with the option that is missing.
    if (dialect === "vllm") return { ...NO_DETAILS, capabilities: { ...NO_CAPABILITIES, tools: true } };
    if (dialect === "llama.cpp") return readProps(await ask(`/props?model=${encodeURIComponent(entry.id)}`));
    if (dialect === "rookery") return { ...NO_DETAILS, ...pickTold(entry) };
    return readShow(await ask("/api/show", { model: entry.id }), dialect);
  } catch {
    // Most servers have no such page; what the list says has to do.
    return NO_DETAILS;
  }
}

function pickTold({ kind, capabilities, dimensions }: Entry): Partial<Details> {
  return { kind, capabilities, dimensions };
}

function readProps(answer: unknown): Details {
  const props = Props.parse(answer);
  const template = props.chat_template;
  return {
    ...NO_DETAILS,
    capabilities: {
      tools: props.chat_template_caps?.supports_tools ?? false,
      reasoning: template !== null && /<think>|enable_thinking/.test(template),
      vision: props.modalities?.vision ?? false,
      infill: false,
    },
    contextTokens: props.default_generation_settings?.n_ctx ?? null,
    chatTemplate: template,
    sequences: props.total_slots,
  };
}

function readShow(answer: unknown, dialect: RemoteDialect): Details {
  const { capabilities, parameters, details, model_info: info } = Show.parse(answer);
  const find = (ending: string) => {
    const value = Object.entries(info ?? {}).find(([key]) => key.endsWith(ending))?.[1];
    return typeof value === "number" && value > 0 ? value : null;
  };
  const trained = find(".context_length");
  const asked = /^\s*num_ctx\s+(\d{1,9})\s*$/m.exec(parameters ?? "")?.[1];
  // Ollama serves what the model's file says, else its own default, whatever the model was trained for.
  const served = asked === undefined ? CONTEXT_TOKENS_UNKNOWN : Number(asked);
  return {
    kind: capabilities === null ? null : capabilities.includes("embedding") ? "embedding" : "chat",
    capabilities: capabilities === null ? null : {
      tools: capabilities.includes("tools"),
      reasoning: capabilities.includes("thinking"),
      vision: capabilities.includes("vision"),
      infill: capabilities.includes("insert"),
    },
    contextTokens: dialect === "ollama" ? Math.min(served, trained ?? served) : null,
    contextTokensTrained: trained,
    dimensions: find(".embedding_length"),
    architecture: details?.family ?? null,
    quantization: details?.quantization_level ?? null,
    parameters: find("general.parameter_count"),
    chatTemplate: null,
    sequences: null,
  };
}

function describe(
  entry: Entry,
  { id, details, modifiedAtMs }: { id: string; details: Details; modifiedAtMs: number },
): ModelDescription {
  const { meta } = entry;
  const told = entry.context_length ?? entry.max_model_len ?? meta?.n_ctx ?? details.contextTokens;
  const contextTokensMax = told ?? details.contextTokensTrained ?? meta?.n_ctx_train ?? CONTEXT_TOKENS_UNKNOWN;
  // Only names tell of servers that do not say what a model does.
  const kind = details.kind ?? (/embed/i.test(entry.id) ? "embedding" : "chat");
  const capabilities = details.capabilities ?? NO_CAPABILITIES;
  return {
    id,
    name: entry.name ?? id,
    kind,
    engine: "remote",
    sizeBytes: meta?.size ?? 0,
    sha256: null,
    modifiedAtMs,
    architecture: details.architecture ?? "unknown",
    parameters: meta?.n_params ?? details.parameters,
    quantization: meta?.ftype ?? details.quantization ?? "unknown",
    contextTokensTrained: meta?.n_ctx_train ?? details.contextTokensTrained ?? contextTokensMax,
    chatTemplate: details.chatTemplate,
    licence: null,
    // Whether an image can be passed on is for the request's contract to say, which knows text alone.
    capabilities: {
      ...capabilities,
      tools: capabilities.tools && contextTokensMax >= TOOLS_CONTEXT_TOKENS_MIN,
      vision: false,
    },
    dimensions: kind === "embedding" ? details.dimensions ?? meta?.n_embd ?? null : null,
    contextTokensMax,
    sequences: details.sequences ?? 1,
  };
}
