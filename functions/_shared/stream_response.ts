import type { Context } from "hono";
import { DomainError } from "../../lib/errors.ts";
import type { FunctionEnv } from "./create_function.ts";
import { streamText, type TextStreamOptions } from "./text_stream.ts";

/** What a format of streams brings along. */
interface StreamFormat extends Pick<TextStreamOptions, "keepalive" | "keepaliveMs" | "abort"> {
  headers: Record<string, string>;
  renderFailure(error: unknown): string;
}

/** Answers with a stream of texts whose request is reported when the stream has ended. */
export function respondWithTexts(
  c: Context<FunctionEnv>,
  texts: AsyncGenerator<string, void, void>,
  format: StreamFormat,
): Response {
  const { headers, renderFailure, ...rest } = format;
  const report = c.get("report");
  report.add({ stream: true });
  report.keepOpen();
  const body = streamText(texts, {
    ...rest,
    renderFailure(error) {
      report.addFailure(error);
      const cancelled = error instanceof DomainError && error.code === "request_cancelled";
      return cancelled ? null : renderFailure(error);
    },
    onEnd(cancelled) {
      if (cancelled) report.addCancellation();
      report.write();
    },
  });
  return c.body(body, 200, headers);
}
