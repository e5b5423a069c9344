import { z } from "zod";
import type { ErrorCode } from "../contracts/error.ts";
import { DomainError } from "../errors.ts";
import { readEventStream } from "./event_stream.ts";

/** Where a Rookery is, and how to be let in. */
export interface RookeryAddress {
  /** e.g. `http://127.0.0.1:8000`, without a slash at its end. */
  url: string;
  /** Null sends none. */
  apiKey: string | null;
  /** Replaces the global `fetch`: a page that is rendered on the server asks its own app. */
  fetch?: typeof fetch;
}

/** One message of a conversation. */
export interface ClientMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What to ask. */
export interface ClientChat {
  model: string;
  messages: readonly ClientMessage[];
  signal?: AbortSignal;
}

/** A piece of an answer as it is streamed. `done` comes last. */
export type ClientEvent = { type: "text"; text: string } | { type: "done"; finishReason: string };

const ErrorBody = z.object({
  error: z.object({ message: z.string(), code: z.string(), param: z.string().nullish() }),
});

const ModelList = z.object({ data: z.array(z.object({ id: z.string() })) });

const Chunk = z.object({
  choices: z.array(z.object({
    delta: z.object({ content: z.string().nullish() }),
    finish_reason: z.string().nullish(),
  })),
});

/**
 * Ids of the models that a Rookery serves.
 *
 * @throws {DomainError} `engine_unavailable` when it cannot be reached, and what it answers.
 */
export async function listModels(address: RookeryAddress): Promise<string[]> {
  const response = await send(address, { path: "/v1/models" });
  return ModelList.parse(await response.json()).data.map(({ id }) => id);
}

/**
 * Streams one answer. Aborting the signal, or leaving the iteration, stops it on the server too.
 *
 * @throws {DomainError} `engine_unavailable` when Rookery cannot be reached, `request_cancelled` after an abort,
 *   `engine_gone` when the stream breaks off, and what it answers.
 */
export async function* streamChat(address: RookeryAddress, chat: ClientChat): AsyncGenerator<ClientEvent, void, void> {
  const { model, messages, signal } = chat;
  const body = JSON.stringify({ model, messages, stream: true });
  let finishReason: string | null = null;
  try {
    const response = await send(address, { path: "/v1/chat/completions", body, signal: signal ?? null });
    for await (const { data } of readEventStream(response.body!)) {
      if (data === "[DONE]") break;
      const { text, finish } = readChunk(JSON.parse(data));
      if (text !== "") yield { type: "text", text };
      finishReason = finish ?? finishReason;
    }
  } catch (error) {
    if (signal?.aborted) throw new DomainError("request_cancelled", "The answer was stopped", { cause: error });
    if (error instanceof DomainError) throw error;
    throw brokenError(error);
  }
  if (finishReason === null) throw brokenError(null);
  yield { type: "done", finishReason };
}

function readChunk(data: unknown): { text: string; finish: string | null } {
  const failure = ErrorBody.safeParse(data);
  if (failure.success) throw toDomainError(failure.data);
  const choice = Chunk.parse(data).choices[0];
  return { text: choice?.delta.content ?? "", finish: choice?.finish_reason ?? null };
}

async function send(
  { url, apiKey, fetch = globalThis.fetch }: RookeryAddress,
  { path, body, signal }: { path: string; body?: string; signal?: AbortSignal | null },
): Promise<Response> {
  const headers = new Headers(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` });
  if (body !== undefined) headers.set("content-type", "application/json");
  const method = body === undefined ? "GET" : "POST";
  let response: Response;
  try {
    response = await fetch(url + path, { method, headers, body: body ?? null, signal: signal ?? null });
  } catch (cause) {
    throw new DomainError("engine_unavailable", `Cannot reach Rookery at ${url}: is it running?`, { cause });
  }
  if (response.ok) return response;
  const failure = ErrorBody.safeParse(await response.json().catch(() => null));
  if (failure.success) throw toDomainError(failure.data);
  throw new DomainError("internal_error", `What answers at ${url} is not Rookery: it says ${response.status}`);
}

function toDomainError({ error }: z.infer<typeof ErrorBody>): DomainError {
  return DomainError.fromReport({ ...error, code: error.code as ErrorCode, param: error.param ?? null });
}

function brokenError(cause: unknown): DomainError {
  return new DomainError("engine_gone", "The answer broke off; Rookery's log says more", { cause });
}
