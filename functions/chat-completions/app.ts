import { createRoute, z } from "@hono/zod-openapi";
import type { Inference } from "../../lib/inference/inference.ts";
import { collectAnswers, openAnswers, repeatRequest } from "../_shared/answer_group.ts";
import { findModel } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, openaiErrors } from "../_shared/documentation.ts";
import { withParamNames } from "../_shared/param_names.ts";
import { respondWithEvents } from "../_shared/sse.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { ChatBody } from "./body.ts";
import { asksOldForm, nameParams, toChatRequest } from "./chat_request.ts";
import { toChunks } from "./chunks.ts";
import { openTurn, type TurnParts } from "./turns.ts";
import { ChatCompletion, createHead, toCompletion } from "./completion.ts";

const answered = jsonContent(ChatCompletion, "The completion, or with `stream` its pieces as server-sent events");

const createCompletion = createRoute({
  method: "post",
  path: "/v1/chat/completions",
  summary: "Answer a conversation",
  tags: ["OpenAI"],
  request: { body: jsonBody(ChatBody) },
  responses: {
    200: { ...answered, content: { ...answered.content, "text/event-stream": { schema: z.string() } } },
    ...openaiErrors,
  },
});

/** What the function stands on. */
interface ChatCompletionsOptions extends Partial<TurnParts> {
  inference: Inference;
  edge?: EdgeOptions;
}

/** `POST /v1/chat/completions`: answers in OpenAI's shape, whole or streamed; with `runner` it can keep turns. */
export function createApp({ inference, edge, database, runner }: ChatCompletionsOptions): App {
  const turns = database === undefined || runner === undefined ? null : { database, runner };
  const app = createFunction("chat-completions", edge, { scopes: ["inference"] });
  app.openapi(createCompletion, async (c) => {
    const body = c.req.valid("json");
    const model = await findModel(c, inference, body.model);
    const request = { model: model.id, ...toChatRequest(body) };
    const turn = openTurn(c, { body, messages: request.messages ?? [], turns });
    const asking = openAnswers(c, turn ?? inference, repeatRequest(request, body.n ?? 1));
    const group = await withParamNames(asking, nameParams(body));
    if (turn?.answerId) c.header("x-rookery-message-id", turn.answerId);
    const head = createHead(model.id);
    const form = { oldForm: asksOldForm(body), logprobs: body.logprobs ?? false };
    if (body.stream) {
      const includeUsage = body.stream_options?.include_usage ?? false;
      return respondWithEvents(c, toChunks(head, group, { ...form, includeUsage }), group.abort);
    }
    const completion = collectAnswers(group).then((answers) => toCompletion(head, answers, form));
    return await respondWhenWhole(c, completion, group.abort);
  });
  return app;
}
