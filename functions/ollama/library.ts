import type { ModelLibrary, Pulls } from "../../lib/catalog/pulls.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import type { App } from "../_shared/create_function.ts";
import { notServedError } from "../_shared/fields.ts";
import { respondWithLines } from "../_shared/ndjson.ts";
import { requireAdministrator } from "../_shared/principal.ts";
import { findEntry, requireName, toModelId, toPullName } from "./names.ts";
import { pullInLines } from "./pulls.ts";
import { copyModel, createModel, deleteModel, pullModel, pushModel } from "./routes.ts";

/** Adds what changes the models that there are. Nothing here takes an address from a client. */
export function addLibrary(
  app: App,
  { inference, library, pulls }: { inference: Inference; library: ModelLibrary; pulls: Pulls },
): void {
  app.openapi(pullModel, async (c) => {
    requireAdministrator(c.get("principal"));
    const body = c.req.valid("json");
    const name = await toPullName(library, requireName(body));
    const abortion = new AbortController();
    const lines = pullInLines(pulls, name, AbortSignal.any([abortion.signal, c.get("client").signal]));
    if (body.stream ?? true) return respondWithLines(c, lines, () => abortion.abort());
    // The status is held to the end: clients that wait for one object look at nothing else.
    for await (const _ of lines);
    return c.json({ status: "success" }, 200);
  });

  app.openapi(deleteModel, async (c) => {
    requireAdministrator(c.get("principal"));
    const name = await toModelId(library, requireName(c.req.valid("json")));
    const id = findEntry(await library.list(), name)?.id ?? name;
    const { models } = await inference.status();
    // Before it is removed, as no system but Unix removes open files: where that is refused then, because the model is
    // being changed, it is loaded again with its next request.
    if (models.some((model) => model.id === id)) await inference.keep({ model: id, keepAliveMs: 0 });
    await library.remove(id);
    return c.json({ status: "success" as const }, 200);
  });

  app.openapi(copyModel, () => {
    throw notServedError("source", "Rookery copies no models: one has the name that /api/tags lists, and no other");
  });
  app.openapi(createModel, () => {
    throw notServedError(
      "model",
      "Rookery makes no models: /api/pull fetches one, and `deno task models import` takes a GGUF file",
    );
  });
  app.openapi(pushModel, () => {
    throw notServedError("model", "Rookery sends no model anywhere: its files are in the data folder");
  });
}
