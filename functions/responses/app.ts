import { createRoute, z } from "@hono/zod-openapi";
import type { Inference } from "../../lib/inference/inference.ts";
import { findModel, openAnswer } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, openaiErrors } from "../_shared/documentation.ts";
import { withParamNames } from "../_shared/param_names.ts";
import { respondWithTypedEvents } from "../_shared/sse.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { ResponseBody } from "./body.ts";
import { PARAM_NAMES, toEngineRequest } from "./engine_request.ts";
import { createResponse, ResponseObject } from "./response.ts";
import { collectResponse, ResponseWriter, streamResponse } from "./response_writer.ts";

const answered = jsonContent(ResponseObject, "The response, or with `stream` its events as server-sent events");

const createResponseRoute = createRoute({
  method: "post",
  path: "/v1/responses",
  summary: "Answer a conversation, without keeping anything of it",
  tags: ["OpenAI"],
  request: { body: jsonBody(ResponseBody) },
  responses: {
    200: { ...answered, content: { ...answered.content, "text/event-stream": { schema: z.string() } } },
    ...openaiErrors,
  },
});

/** `POST /v1/responses`: OpenAI's newer shape of an answer, whole or streamed. Nothing is stored. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("responses", edge, { scopes: ["inference"] });
  app.openapi(createResponseRoute, async (c) => {
    const body = c.req.valid("json");
    const model = await findModel(c, inference, body.model);
    const request = { model: model.id, ...toEngineRequest(body) };
    const answer = await withParamNames(openAnswer(c, inference, request), PARAM_NAMES);
    const writer = new ResponseWriter(createResponse(body, model.id));
    if (!body.stream) return await respondWhenWhole(c, collectResponse(writer, answer), answer.abort);
    return respondWithTypedEvents(c, streamResponse(writer, answer), {
      toFailure: (report) => writer.fail(report),
      abort: answer.abort,
    });
  });
  return app;
}
