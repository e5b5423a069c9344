import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { z } from "zod";
import { isSameSecret, readBearer } from "../bearer.ts";
import { type ChatEvent, ChatRequest } from "../contracts/chat.ts";
import { EmbedRequest } from "../contracts/embedding.ts";
import { ForgetRequest, KeepRequest, ModelsUpdate, TokenizeRequest, type WorkerModel } from "../contracts/worker.ts";
import { DomainError, toReport } from "../errors.ts";
import type { Inference } from "../inference/inference.ts";
import { streamAnswer } from "./answer_stream.ts";
import { packEmbeddings } from "./vectors.ts";

/** Most bytes of a request: twice what the edge takes, because JSON may be written longer here than it came. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;

/** How long an answer is kept for a reader that takes nothing of it, in milliseconds. */
const READER_STALL_MS = 60_000;

/** What a worker answers with: its models, and a list of them that its runtime replaces. */
export interface WorkerInference extends Inference {
  /** Every model that can be asked for from now on. */
  setModels(models: readonly WorkerModel[]): void;
}

/** What a worker's HTTP face stands on. */
export interface WorkerAppOptions {
  inference: WorkerInference;
  /** Bearer token that every request must carry. */
  token: string;
  /** Answers that may be open at once, those included that are complete and not yet taken. Default 256. */
  answersMax?: number;
  /** Milliseconds for which an answer is kept for a reader that takes nothing. Default 60,000. */
  stallMs?: number;
  /** Told of every failure that is not a refusal, for the log. */
  onFailure?(error: unknown): void;
}

/**
 * The worker's HTTP face: {@linkcode Inference} over HTTP. `GET /models`, `GET /models/{id}`, `GET /status`,
 * `POST /tokenize`, `/keep` and `/forget` answer JSON, `POST /embed` vectors as bytes, `POST /chat` streams
 * {@linkcode WorkerEvent}s, and `PUT /models` replaces the list of models. A refusal is an {@linkcode ErrorReport} as JSON
 * with status 422; what it means to a client of Rookery is the edge's affair.
 */
export function createWorkerApp(options: WorkerAppOptions): Hono {
  const { inference, token, onFailure = () => {} } = options;
  const app = new Hono();

  app.use(async (c, next) => {
    const given = readBearer(c.req.header("authorization") ?? null);
    if (given === null || !isSameSecret(given, token)) throw tokenError();
    await next();
  });
  app.use(bodyLimit({ maxSize: BODY_BYTES_MAX, onError: (c) => refuse(c, tooLargeError()) }));

  app.get("/models", async (c) => c.json(await inference.list()));
  app.get("/models/:id", async (c) => c.json(await inference.describe(c.req.param("id"))));
  app.put("/models", async (c) => {
    inference.setModels((await readBody(c, ModelsUpdate)).models);
    return c.json({});
  });
  app.get("/status", async (c) => c.json(await inference.status()));
  app.post("/tokenize", async (c) => {
    const request = await readBody(c, TokenizeRequest);
    return c.json({ tokens: await inference.tokenize(request) });
  });
  app.post("/keep", async (c) => {
    await inference.keep(await readBody(c, KeepRequest));
    return c.json({});
  });
  app.post("/forget", async (c) => {
    const { owner } = await readBody(c, ForgetRequest);
    await inference.forget(owner);
    return c.json({});
  });
  app.post("/embed", async (c) => {
    const request = await readBody(c, EmbedRequest);
    const embeddings = await inference.embed(request, c.req.raw.signal);
    return c.body(packEmbeddings(embeddings), 200, { "content-type": "application/octet-stream" });
  });
  serveChats(app, options);

  app.notFound((c) => refuse(c, new DomainError("not_found", `A worker has no ${c.req.method} ${c.req.path}`)));
  app.onError((error, c) => {
    if (!(error instanceof DomainError)) onFailure(error);
    return refuse(c, error);
  });
  return app;
}

/** `POST /chat`, with a bound on answers that are open. */
function serveChats(app: Hono, { inference, answersMax = 256, stallMs = READER_STALL_MS }: WorkerAppOptions): void {
  let answersOpen = 0;
  app.post("/chat", async (c) => {
    const request = await readBody(c, ChatRequest);
    if (answersOpen >= answersMax) throw tooManyAnswersError(answersMax);
    answersOpen++;
    const abortion = new AbortController();
    // The request's own signal tells of a reader that goes away before there is a stream to cancel.
    c.req.raw.signal.addEventListener("abort", () => abortion.abort(), { once: true });
    try {
      const answer = await admit(inference.chat(request, abortion.signal));
      const closing = { stallMs, abort: () => abortion.abort(), onClosed: () => answersOpen-- };
      return c.body(streamAnswer(answer, closing), 200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
      });
    } catch (error) {
      answersOpen--;
      throw error;
    }
  });
}

/** Waits for an answer's first event, `admitted`, so that a refusal can still be a refusal; throws what the engine does. */
async function admit(answer: AsyncIterable<ChatEvent>): Promise<AsyncIterable<ChatEvent>> {
  const events = answer[Symbol.asyncIterator]();
  const first = await events.next();
  return (async function* () {
    if (first.done === true) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => events };
  })();
}

async function readBody<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.infer<Schema>> {
  const body: unknown = await c.req.json().catch(() => undefined);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const param = issue.path.join(".") || "body";
  throw new DomainError("invalid_request", `Invalid ${param}: ${issue.message}`, { param });
}

function refuse(c: Context, error: unknown): Response {
  return c.json(toReport(error), error instanceof DomainError ? 422 : 500);
}

function tokenError(): DomainError {
  return new DomainError("invalid_api_key", "The worker answers only to the runtime that started it");
}

function tooLargeError(): DomainError {
  return new DomainError("payload_too_large", `A request to the worker may have ${BODY_BYTES_MAX} bytes`);
}

function tooManyAnswersError(answersMax: number): DomainError {
  return new DomainError("queue_full", `${answersMax} answers are open already; try again in a moment`);
}
