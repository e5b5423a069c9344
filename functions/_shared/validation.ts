import type { z } from "zod";
import { DomainError } from "../../lib/errors.ts";

type Issue = z.core.$ZodIssue;

/**
 * Hono's hook after validation: throws `invalid_request` for the first thing that is wrong, its `param` written as
 * OpenAI writes it, such as `messages[0].role`.
 */
export function refuseInvalid(result: { success: true } | { success: false; error: z.ZodError }): void {
  if (result.success) return;
  const issue = findDeepest(result.error.issues[0]!);
  const param = renderPath(issue.path);
  const about = param === "" ? "the body" : `"${param}"`;
  const options = param === "" ? {} : { param };
  throw new DomainError("invalid_request", `Invalid value of ${about}: ${lowerFirst(issue.message)}`, options);
}

/** Of a union's branches the one that got furthest is the one that was meant. */
function findDeepest(issue: Issue): Issue {
  if (issue.code !== "invalid_union") return issue;
  const branches = issue.errors.flatMap((issues) => issues.slice(0, 1)).filter(({ path }) => path.length > 0)
    .map(findDeepest).toSorted((a, b) => b.path.length - a.path.length);
  const deepest = branches[0];
  return deepest === undefined ? issue : { ...deepest, path: [...issue.path, ...deepest.path] };
}

function renderPath(path: readonly PropertyKey[]): string {
  return path.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("").replace(/^\./, "");
}

function lowerFirst(text: string): string {
  return text.replace(/^Invalid input: /, "").replace(/^./, (letter) => letter.toLowerCase());
}
