import type { Context } from "hono";
import type { ErrorReport } from "../../lib/contracts/error.ts";
import { toReport } from "../../lib/errors.ts";
import { type FunctionEnv, KEEPALIVE_MS } from "./create_function.ts";
import { toErrorBody } from "./errors.ts";
import { respondWithTexts } from "./stream_response.ts";

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  // `no-transform` keeps proxies, and this house's own compression, from holding pieces back.
  "cache-control": "no-cache, no-transform",
  // What nginx reads for the same.
  "x-accel-buffering": "no",
};

/**
 * Answers with server-sent events, one for each payload, and `[DONE]` at the end. While there is nothing to say,
 * also before the first token, a comment shows that the stream lives.
 *
 * A failure becomes one event that holds the error alone, and no `[DONE]` follows: without `choices` in it Copilot and
 * OpenAI's libraries raise it as an error, whereas `[DONE]` would make half an answer look whole.
 */
export function respondWithEvents(
  c: Context<FunctionEnv>,
  payloads: AsyncGenerator<object, void, void>,
  abort: () => void,
): Response {
  const requestId = c.get("requestId");
  return respond(c, renderEvents(payloads), {
    renderFailure: (report) => renderEvent(toErrorBody(report, { dialect: "openai", requestId })),
    abort,
  });
}

/**
 * Answers with server-sent events that are named by their types, as OpenAI's Responses API does: its last event says
 * that it is the last, and so does the one that `toFailure` makes of a failure. Keepalives are as above.
 */
export function respondWithTypedEvents(
  c: Context<FunctionEnv>,
  payloads: AsyncGenerator<TypedEvent, void, void>,
  { toFailure, abort }: { toFailure(report: ErrorReport): TypedEvent; abort(): void },
): Response {
  return respond(c, renderTypedEvents(payloads), {
    renderFailure: (report) => renderTypedEvent(toFailure(report)),
    abort,
  });
}

/** An event that says what it is. */
interface TypedEvent {
  type: string;
}

/** An event with the number that whoever comes back names as `Last-Event-ID`; null has none. */
export interface NumberedPayload {
  seq: number | null;
  payload: TypedEvent;
}

/**
 * Answers with server-sent events that are named by their types and carry numbers. A failure becomes an event `error`,
 * without a number, and is the last one. Keepalives are as above.
 */
export function respondWithNumberedEvents(
  c: Context<FunctionEnv>,
  payloads: AsyncGenerator<NumberedPayload, void, void>,
  abort: () => void,
): Response {
  const requestId = c.get("requestId");
  return respond(c, renderNumberedEvents(payloads), {
    renderFailure: (report) => {
      return renderTypedEvent({ type: "error", ...toErrorBody(report, { dialect: "openai", requestId }) });
    },
    abort,
  });
}

async function* renderNumberedEvents(
  payloads: AsyncGenerator<NumberedPayload, void, void>,
): AsyncGenerator<string, void, void> {
  for await (const { seq, payload } of payloads) {
    yield seq === null ? renderTypedEvent(payload) : `id: ${seq}\n${renderTypedEvent(payload)}`;
  }
}

function respond(
  c: Context<FunctionEnv>,
  texts: AsyncGenerator<string, void, void>,
  { renderFailure, abort }: { renderFailure(report: ErrorReport): string; abort(): void },
): Response {
  return respondWithTexts(c, texts, {
    headers: HEADERS,
    keepalive: ": keepalive\n\n",
    keepaliveMs: c.get("edge").keepaliveMs ?? KEEPALIVE_MS,
    renderFailure: (error) => renderFailure(toReport(error)),
    abort,
  });
}

async function* renderEvents(payloads: AsyncGenerator<object, void, void>): AsyncGenerator<string, void, void> {
  for await (const payload of payloads) yield renderEvent(payload);
  yield "data: [DONE]\n\n";
}

function renderEvent(payload: object): string {
  return `data: ${JSON.stringify(payload)}\n\n`;
}

async function* renderTypedEvents(
  payloads: AsyncGenerator<TypedEvent, void, void>,
): AsyncGenerator<string, void, void> {
  for await (const payload of payloads) yield renderTypedEvent(payload);
}

function renderTypedEvent(payload: TypedEvent): string {
  return `event: ${payload.type}\n${renderEvent(payload)}`;
}
