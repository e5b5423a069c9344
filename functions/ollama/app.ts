import type { Context } from "hono";
import { type ModelLibrary, Pulls } from "../../lib/catalog/pulls.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { type AskedRequest, collectAnswer, findModel, openAnswer } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv } from "../_shared/create_function.ts";
import { respondWithLines } from "../_shared/ndjson.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { toRunning, toShown, toTag } from "./descriptions.ts";
import { addEmbeddings } from "./embeddings.ts";
import { toChatRequest, toGenerateRequest } from "./engine_request.ts";
import { toKeepAliveMs } from "./keep_alive.ts";
import { addLibrary } from "./library.ts";
import { toLines, toLoadLine, toWholeLine, wrapInMessage, wrapInResponse, type WrapPiece } from "./lines.ts";
import { requireName, toModelId } from "./names.ts";
import { chat, generate, getVersion, listRunning, listTags, showModel } from "./routes.ts";
import type { ChatBody, GenerateBody } from "./schemas.ts";

/**
 * The version of Ollama whose API is spoken here. Copilot Chat wants 0.6.4 at least, or it shows no models; this is the
 * first whose lines have everything that is sent here.
 */
const OLLAMA_VERSION = "0.12.11";

/** What {@linkcode createApp} stands on. */
export interface OllamaOptions {
  inference: Inference;
  library: ModelLibrary;
  /** Pulls under way. Default: those that are begun here alone. */
  pulls?: Pulls;
  edge?: EdgeOptions;
}

/** Ollama's API: prompts, vectors, and the models that there are. */
export function createApp({ inference, library, pulls = new Pulls(library), edge }: OllamaOptions): App {
  const models = { inference, library };
  const app = createFunction("ollama", edge, { takesForms: true, scopes: ["inference"] });

  // What Ollama's own tools ask for to see whether anybody is there.
  app.get("/", (c) => c.text("Rookery is running"));
  app.openapi(getVersion, (c) => c.json({ version: OLLAMA_VERSION }, 200));
  app.openapi(listTags, async (c) => c.json({ models: (await inference.list()).map(toTag) }, 200));
  app.openapi(listRunning, async (c) => {
    const status = await inference.status();
    return c.json({ models: toRunning(await inference.list(), status.models) }, 200);
  });
  app.openapi(showModel, async (c) => {
    const id = await toModelId(library, requireName(c.req.valid("json")));
    return c.json(toShown(await findModel(c, inference, id)), 200);
  });

  app.openapi(chat, async (c) => {
    const body = c.req.valid("json");
    return await respond(c, models, { body, translate: (model) => toChatRequest(body, model), wrap: wrapInMessage });
  });
  app.openapi(generate, async (c) => {
    const body = c.req.valid("json");
    const translate = (model: ModelDescription) => toGenerateRequest(body, model);
    return await respond(c, models, { body, translate, wrap: wrapInResponse });
  });

  addEmbeddings(app, models);
  addLibrary(app, { ...models, pulls });
  return app;
}

/** What `/api/chat` and `/api/generate` differ in. */
interface Asked {
  body: ChatBody | GenerateBody;
  /** Null asks to load the model, or to unload it. */
  translate(model: ModelDescription): AskedRequest | null;
  wrap: WrapPiece;
}

async function respond(
  c: Context<FunctionEnv>,
  { inference, library }: { inference: Inference; library: ModelLibrary },
  { body, translate, wrap }: Asked,
): Promise<Response> {
  const model = await findModel(c, inference, await toModelId(library, body.model));
  const request = translate(model);
  if (request === null) {
    const keepAliveMs = toKeepAliveMs(body.keep_alive);
    await inference.keep({ model: model.id, keepAliveMs });
    return c.json(toLoadLine(body.model, wrap, keepAliveMs === 0 ? "unload" : "load"));
  }
  const answer = await openAnswer(c, inference, request);
  if (body.stream ?? true) return respondWithLines(c, toLines(body.model, answer, wrap), answer.abort);
  const line = collectAnswer(answer).then((whole) => toWholeLine(body.model, whole, wrap));
  return await respondWhenWhole(c, line, answer.abort);
}
