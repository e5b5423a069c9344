import { z } from "@hono/zod-openapi";
import type { Tool, ToolChoice } from "../../lib/contracts/chat.ts";
import { DomainError } from "../../lib/errors.ts";

const NAME = /^[\w.:/-]{1,128}$/;

/** A function that a client offers, as all of OpenAI's APIs describe it. */
export const FunctionDefinition = z.looseObject({
  name: z.string().regex(NAME, { error: "expected 1 to 128 letters, digits and any of _ - . : /" })
    .openapi({ example: "read_file" }),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown(), { error: "expected a JSON Schema, an object" }).nullish().openapi({
    description: "The JSON Schema of its one argument, an object; default: an object without properties",
  }),
  strict: z.boolean().nullish().openapi({
    description: "Default false; true refuses keywords of the schema that cannot be forced, and names them",
  }),
}).openapi("FunctionDefinition");
/** A function that a client offers. */
export type FunctionDefinition = z.infer<typeof FunctionDefinition>;

/**
 * Translates functions for the engine.
 *
 * @throws {DomainError} `invalid_request` when two have one name; `nameParam` says where the client wrote a name.
 */
export function toTools(
  definitions: readonly FunctionDefinition[],
  nameParam: (index: number) => string,
): Tool[] {
  const names = new Set<string>();
  return definitions.map(({ name, description, parameters, strict }, index) => {
    if (names.has(name)) {
      throw invalidError(nameParam(index), `there is a function "${name}" before it: give each a name of its own`);
    }
    names.add(name);
    return {
      name,
      description: description ?? "",
      parameters: parameters ?? { type: "object", properties: {} },
      strict: strict ?? false,
    };
  });
}

/**
 * Refuses a choice that no tool could satisfy, and returns any other.
 *
 * @throws {DomainError} `invalid_request` that names `param`.
 */
export function checkToolChoice(choice: ToolChoice, tools: readonly Tool[], param: string): ToolChoice {
  if (choice === "none" || choice === "auto") return choice;
  if (tools.length === 0) throw invalidError(param, "there are no tools to choose from: send tools, or leave it out");
  if (choice === "required" || tools.some(({ name }) => name === choice.name)) return choice;
  throw invalidError(param, `there is no tool "${choice.name}": name one of those that are sent`);
}

function invalidError(param: string, what: string): DomainError {
  return new DomainError("invalid_request", `Invalid value of "${param}": ${what}`, { param });
}
