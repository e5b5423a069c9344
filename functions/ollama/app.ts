import type { Context } from "hono";
import { DomainError } from "../../lib/errors.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { type AskedRequest, collectAnswer, findModel, openAnswer } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv } from "../_shared/create_function.ts";
import { respondWithLines } from "../_shared/ndjson.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { toRunning, toShown, toTag } from "./descriptions.ts";
import { toChatRequest, toGenerateRequest } from "./engine_request.ts";
import { createLineHead, toEnding, toLines } from "./lines.ts";
import { chat, generate, getVersion, listRunning, listTags, showModel } from "./routes.ts";
import type { ChatLine, GenerateLine } from "./schemas.ts";

/**
 * The version of Ollama whose API is spoken here. Copilot Chat wants 0.6.4 at least, or it shows no models; this is the
 * first whose lines have everything that is sent here.
 */
const OLLAMA_VERSION = "0.12.0";

/** Ollama's API for one model that is always loaded. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("ollama", edge, { takesForms: true });

  // What Ollama's own tools ask for to see whether anybody is there.
  app.get("/", (c) => c.text("Rookery is running"));
  app.openapi(getVersion, (c) => c.json({ version: OLLAMA_VERSION }, 200));
  app.openapi(listTags, async (c) => c.json({ models: (await inference.list()).map(toTag) }, 200));
  app.openapi(listRunning, async (c) => {
    const { state, rssBytes } = await inference.status();
    const models = state === "ready" ? (await inference.list()).map((model) => toRunning(model, rssBytes)) : [];
    return c.json({ models }, 200);
  });
  app.openapi(showModel, async (c) => {
    const { model, name } = c.req.valid("json");
    const id = model || name;
    if (!id) throw new DomainError("invalid_request", "Say which model to show, as model", { param: "model" });
    return c.json(toShown(await findModel(c, inference, id)), 200);
  });

  app.openapi(chat, async (c) => {
    const body = c.req.valid("json");
    const wrap = (text: string): Pick<ChatLine, "message"> => ({ message: { role: "assistant", content: text } });
    return await respond(c, inference, { body, request: toChatRequest(body), wrap });
  });
  app.openapi(generate, async (c) => {
    const body = c.req.valid("json");
    const wrap = (text: string): Pick<GenerateLine, "response"> => ({ response: text });
    return await respond(c, inference, { body, request: toGenerateRequest(body), wrap });
  });
  return app;
}

/** What `/api/chat` and `/api/generate` differ in. */
interface Asked {
  body: { model: string; stream?: boolean | null | undefined };
  /** Null asks to load the model. */
  request: Omit<AskedRequest, "model"> | null;
  wrap(text: string): object;
}

async function respond(c: Context<FunctionEnv>, inference: Inference, asked: Asked): Promise<Response> {
  const { body, request, wrap } = asked;
  const model = await findModel(c, inference, body.model);
  if (request === null) {
    return c.json({ ...createLineHead(body.model), ...wrap(""), done: true, done_reason: "load" });
  }
  const answer = await openAnswer(c, inference, { ...request, model: model.id });
  // Ollama's clients compare names, so that each hears the one that it said: with `:latest` or without.
  if (body.stream ?? true) return respondWithLines(c, toLines(body.model, answer, wrap), answer.abort);
  const line = collectAnswer(answer)
    .then(({ text, done }) => ({ ...createLineHead(body.model), ...wrap(text), ...toEnding(done) }));
  return await respondWhenWhole(c, line, answer.abort);
}
