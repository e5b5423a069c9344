import type { Context } from "hono";
import type { z } from "zod";
import { EMBEDDING_INPUTS_MAX, type Embeddings, EmbedRequest } from "../../lib/contracts/embedding.ts";
import type { ModelDescription } from "../../lib/contracts/model.ts";
import { DomainError } from "../../lib/errors.ts";
import type { Inference } from "../../lib/inference/inference.ts";
import { findModel } from "./answers.ts";
import type { FunctionEnv } from "./create_function.ts";

/** The embedding model that is recommended where there is none. */
export const STARTER_EMBEDDER = "all-minilm-l6-v2";

/** What a function asks for; what it leaves out has the contract's defaults. */
export type AskedEmbeddings = Omit<z.input<typeof EmbedRequest>, "id" | "owner">;

/** Vectors that are being computed. */
export interface PendingEmbeddings {
  embeddings: Promise<Embeddings>;
  /** Stops the engine. */
  abort(): void;
}

/**
 * The embedding model that a client means by `name`.
 *
 * @throws {DomainError} `model_not_found`; `invalid_request` for one that answers chats, with the names of those that
 *   embed.
 */
export async function findEmbedder(
  c: Context<FunctionEnv>,
  inference: Inference,
  name: string,
): Promise<ModelDescription> {
  const model = await findModel(c, inference, name);
  if (model.kind === "embedding") return model;
  const embedders = (await inference.list()).filter(({ kind }) => kind === "embedding").map(({ id }) => `"${id}"`);
  const next = embedders.length === 0
    ? `no model here does; get one with: deno task models pull ${STARTER_EMBEDDER}`
    : `name ${embedders.join(" or ")}`;
  throw new DomainError("invalid_request", `"${model.id}" does not support embeddings: ${next}`, { param: "model" });
}

/**
 * Refuses inputs that have no vector, or are too many, by their place.
 *
 * @throws {DomainError} `invalid_request` that names `input`, or the item of it.
 */
export function checkInputs(inputs: readonly (string | readonly number[])[]): void {
  if (inputs.length === 0) throw invalidInputError("input", "expected at least one input");
  if (inputs.length > EMBEDDING_INPUTS_MAX) {
    throw invalidInputError("input", `expected at most ${EMBEDDING_INPUTS_MAX} inputs, and there are ${inputs.length}`);
  }
  const empty = inputs.findIndex(({ length }) => length === 0);
  if (empty !== -1) throw invalidInputError(`input[${empty}]`, "it is empty, and nothing has no vector");
}

function invalidInputError(param: string, what: string): DomainError {
  return new DomainError("invalid_request", `Invalid value of "${param}": ${what}`, { param });
}

/**
 * Loads a model that is not in memory, apart from its first texts: clients see what took how long, and what refuses a
 * model still has a status of its own.
 *
 * @throws {DomainError} what `keep` throws, such as `not_enough_memory`.
 */
export async function loadEmbedder(inference: Inference, model: string): Promise<void> {
  const { models } = await inference.status();
  const isLoaded = models.some(({ id, state }) => id === model && state === "ready");
  if (!isLoaded) await inference.keep({ model, keepAliveMs: null });
}

/** Asks for vectors. The client that goes away stops the engine. */
export function openEmbeddings(
  c: Context<FunctionEnv>,
  inference: Inference,
  request: AskedEmbeddings,
): PendingEmbeddings {
  const abortion = new AbortController();
  const signal = AbortSignal.any([abortion.signal, c.get("client").signal]);
  const asked = EmbedRequest.parse({ ...request, id: c.get("requestId"), owner: c.get("owner") });
  const embeddings = inference.embed(asked, signal).then((result) => {
    c.get("report").add({ promptTokens: result.promptTokens });
    return result;
  });
  return { embeddings, abort: () => abortion.abort() };
}
