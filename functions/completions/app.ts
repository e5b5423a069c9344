import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Inference } from "../../lib/inference/inference.ts";
import { collectAnswers, openAnswers } from "../_shared/answer_group.ts";
import { findModel } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions, type FunctionEnv } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, openaiErrors } from "../_shared/documentation.ts";
import { withParamNames } from "../_shared/param_names.ts";
import { respondWithEvents } from "../_shared/sse.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { CompletionBody, EngineCompletionBody } from "./body.ts";
import { Completion, createHead, toChunks, toCompletion } from "./completion.ts";
import { PARAM_NAMES, toCompletionRequests } from "./completion_requests.ts";

const answered = jsonContent(Completion, "The completion, or with `stream` its pieces as server-sent events");
const responses = {
  200: { ...answered, content: { ...answered.content, "text/event-stream": { schema: z.string() } } },
  ...openaiErrors,
};

const createCompletion = createRoute({
  method: "post",
  path: "/v1/completions",
  summary: "Continue a prompt",
  tags: ["OpenAI"],
  request: { body: jsonBody(CompletionBody) },
  responses,
});

const createEngineCompletion = createRoute({
  method: "post",
  path: "/v1/engines/{model}/completions",
  summary: "Continue a prompt with the model that the path names, as completions in an editor ask",
  tags: ["OpenAI"],
  request: { params: z.object({ model: z.string() }), body: jsonBody(EngineCompletionBody) },
  responses,
});

/** `POST /v1/completions`: raw prompts continued in OpenAI's older shape, whole or streamed. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("completions", edge, { scopes: ["inference"] });
  app.openapi(createCompletion, async (c) => await respond(c, inference, c.req.valid("json")));
  app.openapi(createEngineCompletion, async (c) => {
    return await respond(c, inference, { ...c.req.valid("json"), model: c.req.valid("param").model });
  });
  return app;
}

async function respond(c: Context<FunctionEnv>, inference: Inference, body: CompletionBody): Promise<Response> {
  const model = await findModel(c, inference, body.model);
  const { requests, ...choices } = toCompletionRequests(body, model);
  const group = await withParamNames(openAnswers(c, inference, requests), PARAM_NAMES);
  const head = createHead(model.id);
  const form = { ...choices, alternatives: body.logprobs ?? null };
  if (body.stream) {
    const includeUsage = body.stream_options?.include_usage ?? false;
    return respondWithEvents(c, toChunks(head, group, { ...form, includeUsage }), group.abort);
  }
  const completion = collectAnswers(group).then((answers) => toCompletion(head, answers, form));
  return await respondWhenWhole(c, completion, group.abort);
}
