import { z } from "zod";
import type { ErrorCode } from "../contracts/error.ts";
import { DomainError } from "../errors.ts";

/** Where another server is, and what people call it. */
export interface RemotePlace {
  /** The first part of its models' ids, e.g. `gpu` of `gpu/qwen3`. */
  name: string;
  /** Its address without `/v1` and without a slash at the end, e.g. `http://gpu.lan:8080`. */
  url: string;
}

/** What a server says of its refusal, whatever its dialect. */
interface Refusal {
  message: string;
  code: string;
  type: string;
  param: string | null;
  /** llama-server's numbers of a prompt that is too long. */
  promptTokens: number | null;
  contextTokensMax: number | null;
}

/** Most characters of a server's own words in a message: some repeat the request. */
const WORDS_MAX = 300;

/** Codes of another Rookery that mean here what they mean there. */
const KEPT_CODES = new Set<string>(
  [
    "engine_gone",
    "engine_unavailable",
    "invalid_request",
    "not_enough_memory",
    "prefill_timeout",
    "queue_full",
    "queue_timeout",
  ] satisfies ErrorCode[],
);

const text = z.string().catch("");
const count = z.number().int().nullable().catch(null);
const name = z.union([z.string(), z.number()]).transform(String).catch("");

const ErrorObject = z.looseObject({
  message: text,
  code: name,
  type: text,
  param: z.string().nullable().catch(null),
  n_prompt_tokens: count,
  n_ctx: count,
});

/** Bodies of errors: OpenAI's and llama-server's, Ollama's, older vLLM's (the object itself), FastAPI's. */
const ErrorBody = z.union([
  z.looseObject({ error: ErrorObject }).transform(({ error }) => error),
  z.looseObject({ error: z.string() }).transform(({ error }) => ErrorObject.parse({ message: error })),
  z.looseObject({ message: z.string() }).transform((body) => ErrorObject.parse(body)),
  z.looseObject({ detail: z.unknown() }).transform(({ detail }) => {
    return ErrorObject.parse({ message: typeof detail === "string" ? detail : JSON.stringify(detail) });
  }),
]);

function readRefusal(body: unknown): Refusal {
  const { data } = ErrorBody.safeParse(body);
  const error = data ?? ErrorObject.parse({});
  const message = error.message.length > WORDS_MAX ? `${error.message.slice(0, WORDS_MAX)}…` : error.message;
  return { ...error, message, promptTokens: error.n_prompt_tokens, contextTokensMax: error.n_ctx };
}

/** Whether a message of a stream is an error that ends it, not a piece of the answer. */
export function isErrorBody(body: unknown): boolean {
  return typeof body === "object" && body !== null && "error" in body && Boolean(body.error);
}

/**
 * What a server's refusal means to the client that asked Rookery. `status` is null for an error that came in the middle
 * of a stream.
 */
export function explainRefusal(
  place: RemotePlace,
  { status, body }: { status: number | null; body: unknown },
): DomainError {
  const refusal = readRefusal(body);
  const said = refusal.message === "" ? (status === null ? "" : `: it answers ${status}`) : `: ${refusal.message}`;
  if (status === 401 || status === 403) return keyError(place);
  if (isTooLong(refusal)) return tooLongError(place, refusal);
  if (KEPT_CODES.has(refusal.code)) {
    const words = `${nameOf(place)} says: ${refusal.message}`;
    return DomainError.fromReport({ code: refusal.code as ErrorCode, message: words, param: refusal.param });
  }
  if (status === 404 && /model/i.test(refusal.code + refusal.type + refusal.message)) {
    return new DomainError("model_not_found", `${nameOf(place)} does not have this model any more${said}`, {
      param: "model",
    });
  }
  if (status === 429) return new DomainError("queue_full", `${nameOf(place)} is busy; try again in a moment`);
  if (status === 503) return new DomainError("engine_unavailable", `${nameOf(place)} is not ready${said}`);
  if (status === 501 || (status !== null && status < 500)) {
    const options = refusal.param === null ? {} : { param: refusal.param };
    return new DomainError("invalid_request", `${nameOf(place)} refuses the request${said}`, options);
  }
  return new DomainError("engine_gone", `${nameOf(place)} failed at this request${said}`);
}

/** The server cannot be reached, or took too long to say anything at all. */
export function unreachableError(place: RemotePlace, cause: unknown): DomainError {
  const message = `${nameOf(place)} does not answer; start it, or correct its address in ROOKERY_REMOTES`;
  return new DomainError("engine_unavailable", message, { cause });
}

/** What answers at the address is something else. */
export function notSpokenError(place: RemotePlace, cause: unknown): DomainError {
  const message = `${nameOf(place)} does not speak OpenAI's API; correct its address in ROOKERY_REMOTES`;
  return new DomainError("engine_unavailable", message, { cause });
}

/** The server broke off an answer, or sends what nobody can read; `what` completes a sentence. */
export function brokenError(place: RemotePlace, what: string, cause?: unknown): DomainError {
  return new DomainError("engine_gone", `${nameOf(place)} ${what}`, { cause });
}

/** The server, as messages name it. */
export function nameOf({ name, url }: RemotePlace): string {
  return `The server "${name}" at ${url}`;
}

/** The key is the operator's, so that the client can do nothing about it. */
function keyError(place: RemotePlace): DomainError {
  const message = `${nameOf(place)} refuses Rookery's key; whoever runs Rookery has to set ROOKERY_REMOTE_KEYS`;
  return new DomainError("invalid_config", message, { param: "ROOKERY_REMOTE_KEYS" });
}

/** OpenAI and Rookery have a code for it, llama-server a type; vLLM and others only say it. */
function isTooLong({ code, type, message }: Refusal): boolean {
  return code === "context_length_exceeded" || type === "exceed_context_size_error" ||
    /(maximum|max)\s+(context|model)\s+len|context\s+(length|size|window).*exceed|exceed.*context\s+(length|size|window)/i
      .test(message);
}

function tooLongError(place: RemotePlace, { message, promptTokens, contextTokensMax }: Refusal): DomainError {
  if (promptTokens === null || contextTokensMax === null) {
    return new DomainError("context_length_exceeded", `${nameOf(place)} says: ${message}`, { param: "messages" });
  }
  return new DomainError(
    "context_length_exceeded",
    `The messages have ${promptTokens} tokens, but ${place.name} serves the model with a context of ` +
      `${contextTokensMax} tokens, answer included; shorten them`,
    { param: "messages", details: { promptTokens, contextTokensMax } },
  );
}
