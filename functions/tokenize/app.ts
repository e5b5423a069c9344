import { createRoute, z } from "@hono/zod-openapi";
import type { Inference } from "../../lib/inference/inference.ts";
import { findModel } from "../_shared/answers.ts";
import { type App, createFunction, type EdgeOptions } from "../_shared/create_function.ts";
import { jsonBody, jsonContent, openaiErrors } from "../_shared/documentation.ts";
import { notServedError } from "../_shared/fields.ts";

const TokenizeBody = z.looseObject({
  model: z.string().min(1).openapi({ example: "smollm2-135m" }),
  prompt: z.string({ error: "expected a text" }).nullish().openapi({ example: "Ravens remember faces" }),
  messages: z.unknown().optional().openapi({
    description: "Refused: what a template makes of them is counted in `usage`",
  }),
}).openapi("TokenizeRequest");

const Tokens = z.object({
  tokens: z.array(z.int()).openapi({ description: "Ids in the model's own vocabulary" }),
  count: z.int(),
  max_model_len: z.int().openapi({ description: "Tokens of one conversation that are served, prompt and answer" }),
}).openapi("Tokens");

const routeOf = (path: string) =>
  createRoute({
    method: "post",
    path,
    summary: "Count the tokens of a text; special tokens written in it are plain text",
    tags: ["OpenAI"],
    request: { body: jsonBody(TokenizeBody) },
    responses: { 200: jsonContent(Tokens, "The tokens, in the shape of vLLM's server"), ...openaiErrors },
  });

/** `POST /v1/tokenize`, and `/tokenize` as vLLM's clients call it: the tokens of a text. */
export function createApp({ inference, edge }: { inference: Inference; edge?: EdgeOptions }): App {
  const app = createFunction("tokenize", edge, { scopes: ["inference"] });
  for (const path of ["/v1/tokenize", "/tokenize"]) {
    app.openapi(routeOf(path), async (c) => {
      const body = c.req.valid("json");
      const { id, contextTokensMax } = await findModel(c, inference, body.model);
      const text = body.prompt ?? null;
      if (text === null) {
        throw notServedError(
          "prompt",
          "Send the text to count as prompt; an answer's usage tells the tokens of messages",
        );
      }
      const tokens = await inference.tokenize({ model: id, text });
      return c.json({ tokens, count: tokens.length, max_model_len: contextTokensMax }, 200);
    });
  }
  return app;
}
