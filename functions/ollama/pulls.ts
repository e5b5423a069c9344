import type { PullNews, Pulls } from "../../lib/catalog/pulls.ts";
import type { PullLine } from "./model_schemas.ts";

/**
 * The lines that tell of a pull, in Ollama's words.
 *
 * @throws {DomainError} what {@linkcode Pulls.follow} throws.
 */
export async function* pullInLines(
  pulls: Pulls,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<PullLine, void, void> {
  yield { status: "pulling manifest" };
  for await (const news of pulls.follow(name, signal)) yield toLine(news);
  yield { status: "success" };
}

/** Clients draw one bar for each digest; where nobody knows one, the file's name tells them apart. */
function toLine(news: PullNews): PullLine {
  if (news.type === "notice") return { status: news.message };
  const { file, sha256, receivedBytes, totalBytes } = news.progress;
  return {
    status: `pulling ${file}`,
    digest: sha256 === null ? `unknown-sha256:${file}` : `sha256:${sha256}`,
    ...(totalBytes === null ? {} : { total: totalBytes }),
    completed: receivedBytes,
  };
}
