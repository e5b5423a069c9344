import type { Context } from "hono";
import { toReport } from "../../lib/errors.ts";
import { type FunctionEnv, KEEPALIVE_MS } from "./create_function.ts";
import { toErrorBody } from "./errors.ts";
import { respondWithTexts } from "./stream_response.ts";

const HEADERS = {
  "content-type": "application/x-ndjson",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/**
 * Answers with one JSON object a line, as Ollama does. There is nothing that could be sent to show that the stream
 * lives: a blank line crashes Home Assistant. A failure becomes a last line that holds the error alone.
 */
export function respondWithLines(
  c: Context<FunctionEnv>,
  payloads: AsyncGenerator<object, void, void>,
  abort: () => void,
): Response {
  const requestId = c.get("requestId");
  return respondWithTexts(c, renderLines(payloads), {
    headers: HEADERS,
    keepalive: null,
    keepaliveMs: KEEPALIVE_MS,
    renderFailure: (error) => renderLine(toErrorBody(toReport(error), { dialect: "ollama", requestId })),
    abort,
  });
}

async function* renderLines(payloads: AsyncGenerator<object, void, void>): AsyncGenerator<string, void, void> {
  for await (const payload of payloads) yield renderLine(payload);
}

function renderLine(payload: object): string {
  return JSON.stringify(payload) + "\n";
}
