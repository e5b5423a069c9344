import { z } from "@hono/zod-openapi";

const OpenAIError = z.object({
  error: z.object({
    message: z.string().openapi({ example: 'Unknown model "gpt-4"; there is "smollm2-135m"' }),
    type: z.string().openapi({ example: "not_found" }),
    code: z.string().openapi({ example: "model_not_found" }),
    param: z.string().nullable().openapi({ description: "The field that was wrong", example: "model" }),
    requestId: z.string(),
  }),
}).openapi("Error");

const OllamaError = z.object({ error: z.string() }).openapi("OllamaError");

const DESCRIPTIONS = {
  400: "The request is not valid JSON, holds a wrong value, or is longer than the context",
  401: "A key is needed, or is wrong",
  403: "The Host or Origin is not allowed",
  404: "There is no such model",
  408: "The body did not arrive in time",
  409: "Another file has the model's place",
  413: "The body is larger than 16 MiB",
  415: "The body is not JSON",
  429: "The queue is full; see Retry-After",
  500: "Something went wrong inside Rookery",
  502: "The process that holds the model ended",
  503: "The model cannot be reached now; see Retry-After",
  504: "The prompt could not be read in time",
  507: "There is not enough memory, or not enough space on the disk",
} as const;

/** What differs where Rookery's own clients ask. */
const OWN_DESCRIPTIONS = {
  ...DESCRIPTIONS,
  401: "Nobody is logged in, the session or key has ended, or a password is wrong",
  403: "This account or key may not do that, or the Host or Origin is not allowed",
  404: "There is no such thing, or none that this account may know of",
  409: "Something else came before, or is in the way",
  429: "Too many attempts; see Retry-After",
} as const;

type ErrorStatus = keyof typeof DESCRIPTIONS;
type ErrorDocs<Schema> = Record<
  ErrorStatus,
  { description: string; content: { "application/json": { schema: Schema } } }
>;

function describeErrors<Schema extends z.ZodType>(
  schema: Schema,
  descriptions: Record<ErrorStatus, string> = DESCRIPTIONS,
): ErrorDocs<Schema> {
  const entries = Object.entries(descriptions).map(([status, description]) => {
    return [status, { description, content: { "application/json": { schema } } }];
  });
  return Object.fromEntries(entries) as ErrorDocs<Schema>;
}

/** The error responses of an OpenAI route, for its description. */
export const openaiErrors: ErrorDocs<typeof OpenAIError> = describeErrors(OpenAIError);

/** The error responses of an Ollama route, for its description. */
export const ollamaErrors: ErrorDocs<typeof OllamaError> = describeErrors(OllamaError);

/** The error responses of a route of Rookery's own, for its description. */
export const ownErrors: ErrorDocs<typeof OpenAIError> = describeErrors(OpenAIError, OWN_DESCRIPTIONS);

/** The part of `docs` that is about `statuses`. */
export function pickErrors<Docs extends ErrorDocs<z.ZodType>, Status extends ErrorStatus>(
  docs: Docs,
  ...statuses: Status[]
): Pick<Docs, Status> {
  return Object.fromEntries(statuses.map((status) => [status, docs[status]])) as Pick<Docs, Status>;
}

/** A response of JSON, for a route's description. */
export function jsonContent<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
): { description: string; content: { "application/json": { schema: Schema } } } {
  return { description, content: { "application/json": { schema } } };
}

/**
 * A response of JSON that a handler sends itself, for a route's description: with the media type as a mere string Hono's
 * types take any response.
 */
export function anyJsonContent(
  schema: z.ZodType,
  description: string,
): { description: string; content: Record<string, { schema: z.ZodType }> } {
  return { description, content: { "application/json": { schema } } };
}

/** A body of JSON, for a route's description. */
export function jsonBody<Schema extends z.ZodType>(
  schema: Schema,
): { required: true; content: { "application/json": { schema: Schema } } } {
  return { required: true, content: { "application/json": { schema } } };
}
