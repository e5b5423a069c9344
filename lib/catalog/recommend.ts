import type { ModelManifest } from "../contracts/manifest.ts";
import { countCacheBytes, estimateMemoryBytes } from "./memory_need.ts";
import { formatBytes } from "./progress.ts";

/** What a model is wanted for. */
export type Purpose = keyof typeof PURPOSES;

/** How much context each purpose needs, and what a model must have been trained for. */
const PURPOSES = {
  chat: { contextTokens: 8_192, leastTokens: 1, skill: "chat" },
  /** Agent prompts alone have 10,000 to 30,000 tokens. */
  copilot: { contextTokens: 32_768, leastTokens: 32_768, skill: "tools" },
} as const;

/** The purposes that there are. */
export const PURPOSE_NAMES = Object.keys(PURPOSES) as Purpose[];

/** `well` leaves room for other programs, `tightly` for the system alone; `unknown` lacks the numbers. */
export type Fit = "well" | "tightly" | "no" | "unknown";

/** How a model fits a machine and a purpose. */
export interface Recommendation {
  manifest: ModelManifest;
  fit: Fit;
  /** Memory with one conversation of `contextTokens`; null when it cannot be counted. */
  neededBytes: number | null;
  /** Context that was counted. */
  contextTokens: number;
  /** One line for people, with the numbers. */
  reason: string;
}

/** Kept free of a model that fits well: a quarter, for an editor and a browser 3 GB at least. */
const spareWell = (memoryBytes: number): number => Math.max(3e9, memoryBytes / 4);
/** Kept free of a model that fits tightly: what a system without much open needs. */
const spareTightly = (memoryBytes: number): number => Math.max(1.5e9, memoryBytes / 8);

const ORDER: readonly Fit[] = ["well", "tightly", "unknown", "no"];

/**
 * Tells of every chat model whether it fits a machine of `memoryBytes` with the context that `purpose` needs, the one to
 * take first: of those that fit well the most capable, then of those that fit tightly.
 */
export function recommend(
  { manifests, memoryBytes, purpose }: { manifests: readonly ModelManifest[]; memoryBytes: number; purpose: Purpose },
): Recommendation[] {
  const candidates = manifests.filter((manifest) => manifest.kind === "chat");
  return candidates.map((manifest) => judge(manifest, { memoryBytes, purpose })).sort((a, b) =>
    ORDER.indexOf(a.fit) - ORDER.indexOf(b.fit) || rateCapability(b.manifest) - rateCapability(a.manifest) ||
    (a.manifest.id < b.manifest.id ? -1 : 1)
  );
}

function judge(
  manifest: ModelManifest,
  { memoryBytes, purpose }: { memoryBytes: number; purpose: Purpose },
): Recommendation {
  const { leastTokens, skill } = PURPOSES[purpose];
  const contextTokens = Math.min(PURPOSES[purpose].contextTokens, manifest.contextTokens ?? Infinity);
  const { attention, goodAt } = manifest;
  const weightsBytes = manifest.files[0]?.sizeBytes ?? null;
  const common = { manifest, contextTokens };
  if (contextTokens < leastTokens) {
    const reason = `was trained for ${count(contextTokens)} tokens; ${count(leastTokens)} are needed`;
    return { ...common, fit: "no", neededBytes: null, reason };
  }
  if (goodAt.length > 0 && !goodAt.includes(skill)) {
    return { ...common, fit: "no", neededBytes: null, reason: `is made for ${goodAt.join(" and ")}, not for ${skill}` };
  }
  if (weightsBytes === null || attention === null) {
    return { ...common, fit: "unknown", neededBytes: null, reason: "what it needs is known when it is here" };
  }
  const neededBytes = estimateMemoryBytes({ weightsBytes, attention, contextTokens });
  const cacheBytes = countCacheBytes(attention, contextTokens);
  const sum = `${formatBytes(weightsBytes)} of weights, ${formatBytes(cacheBytes)} for ${count(contextTokens)} tokens`;
  const rest = memoryBytes - neededBytes;
  const fit = rest >= spareWell(memoryBytes) ? "well" : rest >= spareTightly(memoryBytes) ? "tightly" : "no";
  const room = rest < 0
    ? `${formatBytes(-rest)} more than there are`
    : `leaves ${formatBytes(rest)}${fit === "no" ? ", too little for the system" : ""}`;
  return { ...common, fit, neededBytes, reason: `${sum}; ${room}` };
}

/**
 * Orders models by size, which decides most of what they can do; a mixture of experts counts as the geometric mean of
 * all weights and those that are used for one token, a rule of thumb.
 */
function rateCapability({ parameters }: ModelManifest): number {
  return parameters === null ? 0 : Math.sqrt(parameters.total * parameters.active);
}

function count(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
