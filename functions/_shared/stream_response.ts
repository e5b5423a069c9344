import type { Context } from "hono";
import { DomainError } from "../../lib/errors.ts";
import type { FunctionEnv } from "./create_function.ts";
import { streamText, type TextStreamOptions } from "./text_stream.ts";

/** What a format of streams brings along. */
interface StreamFormat extends Pick<TextStreamOptions, "keepalive" | "keepaliveMs" | "abort"> {
  headers: Record<string, string>;
  renderFailure(error: unknown): string;
}

/**
 * Answers with a stream of texts whose request is reported when the stream has ended. Where the principal loses its
 * rights the stream ends with that failure.
 */
export function respondWithTexts(
  c: Context<FunctionEnv>,
  texts: AsyncGenerator<string, void, void>,
  format: StreamFormat,
): Response {
  const { headers, renderFailure, ...rest } = format;
  const report = c.get("report");
  const access = c.get("access");
  if (c.req.method === "HEAD") {
    // Nobody will read the body, nor cancel it.
    rest.abort();
    texts.return().catch(() => {});
    return c.body(null, 200, headers);
  }
  report.add({ stream: true });
  report.keepOpen();
  const body = streamText(endWithAccess(texts, { access: access.signal, abort: rest.abort }), {
    ...rest,
    renderFailure(error) {
      report.addFailure(error);
      const cancelled = error instanceof DomainError && error.code === "request_cancelled";
      return cancelled ? null : renderFailure(error);
    },
    onEnd(cancelled) {
      if (cancelled) report.addCancellation();
      report.write();
      access.end();
    },
  });
  return c.body(body, 200, headers);
}

/** Passes `texts` on until `access` is taken away, which aborts what they come from and fails with the reason. */
async function* endWithAccess(
  texts: AsyncGenerator<string, void, void>,
  { access, abort }: { access: AbortSignal; abort: () => void },
): AsyncGenerator<string, void, void> {
  access.addEventListener("abort", abort, { once: true });
  try {
    for await (const text of texts) {
      access.throwIfAborted();
      yield text;
    }
    // What is aborted may end as if it were complete.
    access.throwIfAborted();
  } catch (error) {
    access.throwIfAborted();
    throw error;
  } finally {
    access.removeEventListener("abort", abort);
  }
}
