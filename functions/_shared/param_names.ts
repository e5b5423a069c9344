import { DomainError } from "../../lib/errors.ts";

/**
 * How a client's API calls fields that the engine names as OpenAI's chat completions do: the first pattern that matches
 * a param rewrites it.
 */
export type ParamNames = readonly (readonly [engine: RegExp, client: string])[];

/**
 * What `asking` resolves to. A field that it is refused for is called as the client has written it.
 *
 * @throws {DomainError} what `asking` throws.
 */
export async function withParamNames<Result>(asking: Promise<Result>, names: ParamNames): Promise<Result> {
  try {
    return await asking;
  } catch (error) {
    throw error instanceof DomainError && error.param !== null ? rename(error, error.param, names) : error;
  }
}

function rename(error: DomainError, param: string, names: ParamNames): DomainError {
  const match = names.find(([engine]) => engine.test(param));
  if (match === undefined) return error;
  const named = param.replace(...match);
  const message = error.message.replaceAll(`"${param}"`, () => `"${named}"`);
  return new DomainError(error.code, message, { param: named, details: error.details, cause: error.cause });
}
