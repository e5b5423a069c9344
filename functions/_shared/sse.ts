import type { Context } from "hono";
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
  return respondWithTexts(c, renderEvents(payloads), {
    headers: HEADERS,
    keepalive: ": keepalive\n\n",
    keepaliveMs: c.get("edge").keepaliveMs ?? KEEPALIVE_MS,
    renderFailure: (error) => renderEvent(toErrorBody(toReport(error), { dialect: "openai", requestId })),
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
