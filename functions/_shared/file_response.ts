import type { Context } from "hono";
import { toReport } from "../../lib/errors.ts";
import type { FunctionEnv } from "./create_function.ts";
import { respondWithTexts } from "./stream_response.ts";

/** Nothing is sent between the pieces of a file. */
const NO_KEEPALIVE = { keepalive: null, keepaliveMs: 0 };

/** Answers with a file to be stored, while it is made. Its last line says so when a failure breaks it off. */
export function respondWithFile(
  c: Context<FunctionEnv>,
  texts: AsyncGenerator<string, void, void>,
  { name, type }: { name: string; type: string },
): Response {
  return respondWithTexts(c, texts, {
    ...NO_KEEPALIVE,
    headers: {
      "content-type": type,
      // RFC 6266: names beyond ASCII are written as RFC 8187 has it.
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, escape)}`,
      "cache-control": "no-store",
    },
    renderFailure: (error) => `\n\n[This file broke off here: ${toReport(error).message}]\n`,
    abort: () => {},
  });
}
