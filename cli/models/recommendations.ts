import { formatBytes } from "../../lib/catalog/progress.ts";
import type { Fit, Purpose, Recommendation } from "../../lib/catalog/recommend.ts";
import { formatTable } from "./table.ts";

/** What {@linkcode renderRecommendations} tells beside the recommendations. */
export interface Situation {
  memory: { totalBytes: number; freeBytes: number };
  purpose: Purpose;
  /** Ids of models that need no download. */
  installed: ReadonlySet<string>;
  /** For programs instead of people. */
  json: boolean;
}

const FITS: Record<Fit, string> = { well: "well", tightly: "tightly", no: "no", unknown: "?" };

const TITLES: Record<Purpose, string> = {
  chat: "For conversations of 8,192 tokens:",
  copilot: "For Copilot's agent mode, which wants tools and 32,768 tokens:",
};

/** Recommendations as a table with what to do next, or as JSON. */
export function renderRecommendations(recommendations: readonly Recommendation[], situation: Situation): string {
  if (situation.json) return renderJson(recommendations, situation);
  const { memory, purpose, installed } = situation;
  const rows = recommendations.map(({ manifest, fit, neededBytes, reason }) => [
    manifest.id,
    FITS[fit],
    neededBytes === null ? "?" : formatBytes(neededBytes),
    installed.has(manifest.id) ? "is here" : formatSize(downloadOf({ manifest })),
    manifest.licence?.name ?? "unknown",
    reason,
  ]);
  return [
    `This machine has ${formatBytes(memory.totalBytes)} of memory, ${formatBytes(memory.freeBytes)} of it free now.\n`,
    `${TITLES[purpose]}\n\n`,
    formatTable([["ID", "FITS", "MEMORY", "DOWNLOAD", "LICENCE", "WHY"], ...rows]),
    `\n${renderAdvice(recommendations[0], situation)}\n`,
  ].join("");
}

function downloadOf({ manifest }: Pick<Recommendation, "manifest">): number | null {
  return manifest.files.reduce<number | null>(
    (sum, { sizeBytes, content }) => content ? sum : sum === null || sizeBytes === null ? null : sum + sizeBytes,
    0,
  );
}

function formatSize(bytes: number | null): string {
  return bytes === null ? "?" : formatBytes(bytes);
}

function renderAdvice(first: Recommendation | undefined, { memory, purpose, installed }: Situation): string {
  if (first === undefined || (first.fit !== "well" && first.fit !== "tightly")) {
    return "Nothing of this fits. Any OpenAI-speaking server on your network can answer in this machine's place.";
  }
  const { id } = first.manifest;
  const serve = `ROOKERY_MODEL=${id}${purpose === "copilot" ? ` ROOKERY_CONTEXT=${first.contextTokens}` : ""}`;
  const lines = [`Take ${id}:`];
  if (!installed.has(id)) lines.push(`  deno task models pull ${id}`);
  lines.push(`  ${serve} deno task start`);
  if (first.neededBytes! > memory.freeBytes) {
    lines.push("Close other programs before you start it: so much is not free now.");
  }
  return lines.join("\n");
}

function renderJson(recommendations: readonly Recommendation[], { memory, purpose, installed }: Situation): string {
  const models = recommendations.map(({ manifest, fit, neededBytes, contextTokens, reason }) => ({
    id: manifest.id,
    name: manifest.name,
    fit,
    neededBytes,
    contextTokens,
    downloadBytes: downloadOf({ manifest }),
    installed: installed.has(manifest.id),
    licence: manifest.licence,
    reason,
  }));
  return JSON.stringify({ memory, purpose, models }, null, 2) + "\n";
}
