import { DomainError } from "../errors.ts";

/** Names the models that there are to one who asked for another. */
export function unknownModelError(model: string, known: readonly string[]): DomainError {
  const shown = JSON.stringify(model.length > 128 ? `${model.slice(0, 128)}…` : model);
  const there = known.length === 0 ? "there is none yet" : `there is ${known.map((id) => `"${id}"`).join(", ")}`;
  return new DomainError("model_not_found", `Unknown model ${shown}; ${there}`, { param: "model" });
}
