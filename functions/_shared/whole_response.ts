import type { Context } from "hono";
import type { FunctionEnv } from "./create_function.ts";

/** How long the status of a whole answer may still become an error's, in milliseconds. */
const STATUS_HELD_MS = 1_000;

/**
 * Answers with one JSON that is computed first. What fails at once has the status of its failure. After a moment the
 * headers leave: Deno does not notice that a client has gone while nothing was answered, when its request came in more
 * than one packet, and its answer would be computed for nobody. A failure after that breaks the body off, which every
 * client takes for an error.
 *
 * @throws what `whole` throws within that moment.
 */
export async function respondWhenWhole(
  c: Context<FunctionEnv>,
  whole: Promise<object>,
  abort: () => void,
): Promise<Response> {
  const inTime = await settledWithin(whole, STATUS_HELD_MS);
  return inTime === null ? respondLater(c, whole, abort) : c.json(inTime);
}

/** What `work` resolves to, or null when it takes longer. */
async function settledWithin(work: Promise<object>, limitMs: number): Promise<object | null> {
  const late = Promise.withResolvers<null>();
  const timer = setTimeout(() => late.resolve(null), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function respondLater(c: Context<FunctionEnv>, whole: Promise<object>, abort: () => void): Response {
  const report = c.get("report");
  report.keepOpen();
  report.add({ status: 200 });
  const source: UnderlyingDefaultSource<Uint8Array> = {
    async start(controller) {
      try {
        const text = JSON.stringify(await whole);
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      } catch (error) {
        report.addFailure(error);
        controller.error(error);
      }
      report.write();
    },
    cancel: abort,
  };
  return c.body(new ReadableStream(source), 200, { "content-type": "application/json" });
}
