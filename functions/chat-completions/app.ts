import { createRoute, z } from "@hono/zod-openapi";
import type { Inference } from "../../lib/inference/inference.ts";
import { collectAnswer, findModel, openAnswer } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, openaiErrors } from "../_shared/documentation.ts";
import { respondWithEvents } from "../_shared/sse.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { ChatBody, ChatCompletion } from "./body.ts";
import { toChatRequest } from "./chat_request.ts";
import { createHead, toChunks, toCompletion } from "./completion.ts";

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

/** `POST /v1/chat/completions`: an answer in OpenAI's shape, whole or streamed. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("chat-completions", edge);
  app.openapi(createCompletion, async (c) => {
    const body = c.req.valid("json");
    const model = await findModel(c, inference, body.model);
    const answer = await openAnswer(c, inference, { model: model.id, ...toChatRequest(body) });
    const head = createHead(model.id);
    if (body.stream) {
      const includeUsage = body.stream_options?.include_usage ?? false;
      return respondWithEvents(c, toChunks(head, answer, { includeUsage }), answer.abort);
    }
    const completion = collectAnswer(answer).then(({ text, done }) => toCompletion(head, text, done));
    return await respondWhenWhole(c, completion, answer.abort);
  });
  return app;
}
