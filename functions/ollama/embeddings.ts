import type { Context } from "hono";
import type { ModelLibrary } from "../../lib/catalog/pulls.ts";
import type { Embeddings } from "../../lib/contracts/embedding.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import type { App, FunctionEnv } from "../_shared/create_function.ts";
import { checkInputs, findEmbedder, loadEmbedder, openEmbeddings } from "../_shared/embeddings.ts";
import { respondWhenWhole } from "../_shared/whole_response.ts";
import { toKeepAliveMs } from "./keep_alive.ts";
import { toNanoseconds } from "./lines.ts";
import { toModelId } from "./names.ts";
import { embed, embedOne } from "./routes.ts";

interface Models {
  inference: Inference;
  library: ModelLibrary;
}

/** Adds what turns texts into vectors. */
export function addEmbeddings(app: App, models: Models): void {
  app.openapi(embed, async (c) => {
    const { model, input, truncate, dimensions, keep_alive } = c.req.valid("json");
    const texts = typeof input === "string" ? [input].filter((text) => text !== "") : input ?? [];
    return await respond(c, models, {
      model,
      texts,
      truncate: truncate ?? true,
      dimensions: dimensions ?? null,
      keepAliveMs: toKeepAliveMs(keep_alive),
      render: ({ vectors, promptTokens }, { loadMs, totalMs }) => ({
        model,
        embeddings: vectors.map((vector) => [...vector]),
        total_duration: toNanoseconds(totalMs),
        load_duration: toNanoseconds(loadMs),
        prompt_eval_count: promptTokens,
      }),
    });
  });

  app.openapi(embedOne, async (c) => {
    const { model, prompt, keep_alive } = c.req.valid("json");
    return await respond(c, models, {
      model,
      texts: [prompt ?? ""].filter((text) => text !== ""),
      truncate: true,
      dimensions: null,
      keepAliveMs: toKeepAliveMs(keep_alive),
      render: ({ vectors: [vector] }) => ({ embedding: [...vector ?? []] }),
    });
  });
}

/** What `/api/embed` and `/api/embeddings` differ in. Without texts they load the model, or unload it. */
interface Asked {
  model: string;
  texts: string[];
  truncate: boolean;
  dimensions: number | null;
  keepAliveMs: number | null;
  render(embeddings: Embeddings, times: { loadMs: number; totalMs: number }): object;
}

async function respond(
  c: Context<FunctionEnv>,
  { inference, library }: Models,
  asked: Asked,
): Promise<Response> {
  const { texts: inputs, truncate, dimensions, keepAliveMs, render } = asked;
  const { id: model } = await findEmbedder(c, inference, await toModelId(library, asked.model));
  const startedAt = performance.now();
  const measure = (): number => performance.now() - startedAt;
  if (inputs.length === 0) {
    await inference.keep({ model, keepAliveMs });
    return c.json(render({ vectors: [], promptTokens: 0 }, { loadMs: measure(), totalMs: measure() }));
  }
  checkInputs(inputs);
  await loadEmbedder(inference, model);
  const loadMs = measure();
  const { embeddings, abort } = openEmbeddings(c, inference, { model, inputs, truncate, dimensions, keepAliveMs });
  const body = embeddings.then((done) => render(done, { loadMs, totalMs: measure() }));
  return await respondWhenWhole(c, body, abort);
}
