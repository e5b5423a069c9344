import type { CatalogEntry } from "../../lib/catalog/catalog.ts";
import { type HubName, parseHubName } from "../../lib/catalog/hub_repository.ts";
import type { ModelLibrary } from "../../lib/catalog/pulls.ts";
import { DomainError } from "../../lib/errors.ts";
import type { NamedBody } from "./model_schemas.ts";

/** What is taken of a repository that was pulled in several quantizations when nobody says which. */
const PREFERRED = "q4_k_m";

/**
 * The model that a body names, by either word and without the tag that means no other.
 *
 * @throws {DomainError} `invalid_request` when it names none.
 */
export function requireName({ model, name }: NamedBody): string {
  const given = trimTag(model || name || "");
  if (given === "") throw new DomainError("invalid_request", "Say which model, as model", { param: "model" });
  return given;
}

/**
 * The id that a model has here. Clients go on to name what they pulled from the hub as they did then; any other name is
 * taken as it is.
 */
export async function toModelId(library: ModelLibrary, name: string): Promise<string> {
  const hub = readHubName(trimTag(name));
  if (hub === null) return name;
  const prefix = `hf:${hub.owner}/${hub.repository}`.toLowerCase();
  const ids = (await library.list()).filter(({ state, source }) => {
    const from = source?.toLowerCase() ?? "";
    return state === "installed" && from.startsWith(prefix) && /^[@/]/.test(from.slice(prefix.length));
  }).map(({ id }) => id);
  const wanted = ids.find((id) => id.toLowerCase().endsWith(`-${(hub.wanted ?? PREFERRED).toLowerCase()}`));
  return wanted ?? (hub.wanted === null ? ids[0] : undefined) ?? name;
}

/**
 * What the library calls the model that a client wants to pull: one that a manifest describes, or a repository on the
 * hub. Nothing else is taken, least of all an address.
 *
 * @throws {DomainError} `model_not_found` that lists what can be pulled.
 */
export async function toPullName(library: ModelLibrary, name: string): Promise<string> {
  const hub = readHubName(name);
  if (hub !== null) return `hf.co/${hub.owner}/${hub.repository}${hub.wanted === null ? "" : `:${hub.wanted}`}`;
  const described = (await library.list()).filter(({ manifest }) => manifest !== null);
  const entry = findEntry(described, name);
  if (entry !== null) return entry.id;
  const known = described.map(({ id }) => `"${id}"`).join(", ");
  const shown = JSON.stringify(name.length > 128 ? `${name.slice(0, 128)}…` : name);
  const message =
    `Cannot pull ${shown}: manifests tell how to get ${known || "none"}; GGUF models of the hub are named ` +
    "hf.co/owner/repository, with a quantization such as :Q8_0 or without";
  throw new DomainError("model_not_found", message, { param: "model" });
}

/** The model of that id, of the same letters first, then in any case. */
export function findEntry(entries: readonly CatalogEntry[], id: string): CatalogEntry | null {
  return entries.find((entry) => entry.id === id) ??
    entries.find((entry) => entry.id.toLowerCase() === id.toLowerCase()) ?? null;
}

/** Reads `hf.co/owner/repository` and the same with `huggingface.co`; the hub's address is the operator's to say. */
function readHubName(name: string): HubName | null {
  return /^(hf\.co|huggingface\.co)\//i.test(name) ? parseHubName(name) : null;
}

function trimTag(name: string): string {
  return name.replace(/:latest$/, "");
}
