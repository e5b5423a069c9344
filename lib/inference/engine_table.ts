import type { ChatEvent, ChatRequest } from "../contracts/chat.ts";
import type { Embeddings, EmbedRequest } from "../contracts/embedding.ts";
import type { ModelDescription } from "../contracts/model.ts";
import { DomainError } from "../errors.ts";
import type { ChatEngine } from "./engine.ts";
import type { Inference, InferenceStatus } from "./inference.ts";
import { unknownModelError } from "./unknown_model.ts";

export { unknownModelError };

/** Puts engines that are loaded for good, each with one chat model, behind one {@linkcode Inference}. */
export function createEngineTable(engines: readonly [ChatEngine, ...ChatEngine[]]): Inference {
  return new EngineTable(engines);
}

class EngineTable implements Inference {
  constructor(private readonly engines: readonly [ChatEngine, ...ChatEngine[]]) {}

  async list(): Promise<ModelDescription[]> {
    return await Promise.all(this.engines.map((engine) => engine.describe()));
  }

  async describe(model: string): Promise<ModelDescription> {
    return await (await this.#find(model)).describe();
  }

  async tokenize({ model, text }: { model: string; text: string }): Promise<number[]> {
    return await (await this.#find(model)).tokenize(text);
  }

  async *chat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent, void, void> {
    yield* (await this.#find(request.model)).chat(request, signal);
  }

  async embed({ model }: EmbedRequest): Promise<Embeddings> {
    await this.#find(model);
    throw new DomainError("invalid_request", `The model "${model}" does not embed: name an embedding model`, {
      param: "model",
    });
  }

  async keep({ model }: { model: string }): Promise<void> {
    await this.#find(model);
  }

  async forget(owner: string): Promise<void> {
    await Promise.all(this.engines.map((engine) => engine.forget?.(owner)));
  }

  async status(): Promise<InferenceStatus> {
    const statuses = await Promise.all(this.engines.map((engine) => engine.status()));
    const first = statuses[0]!;
    const sum = (pick: (status: typeof first) => number) => statuses.reduce((total, status) => total + pick(status), 0);
    return {
      state: first.state,
      active: sum(({ active }) => active),
      queued: sum(({ queued }) => queued),
      queuedMax: first.queuedMax,
      rssBytes: sum(({ rssBytes }) => rssBytes),
      memoryBytesMax: 0,
      models: [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.engines.map((engine) => engine[Symbol.asyncDispose]()));
  }

  async #find(model: string): Promise<ChatEngine> {
    // One engine needs no search, and asking it waits for its model.
    if (this.engines.length === 1) {
      const { id } = await this.engines[0].describe();
      if (id === model) return this.engines[0];
      throw unknownModelError(model, [id]);
    }
    const ids = (await this.list()).map(({ id }) => id);
    const engine = this.engines[ids.indexOf(model)];
    if (engine === undefined) throw unknownModelError(model, ids);
    return engine;
  }
}
